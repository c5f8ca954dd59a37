"""What a benchmark costs beside time: CPU seconds, bytes on the disk, memory."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Server:
    """What a server has used since it was started; None where it does not tell."""

    cpu_s: float | None
    written_bytes: int | None
    memory_bytes: int | None


def no_server() -> Server:
    """Return what is known where there is no server."""
    return Server(None, None, None)


@dataclass(frozen=True, slots=True)
class Costs:
    """What was used between two looks. `peak_bytes` is the most memory that this process ever had; None: not known here."""

    cpu_s: float
    server_cpu_s: float | None
    written_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """What this process and the server have used so far."""

    cpu_s: float
    written_bytes: int | None
    server: Server

    @classmethod
    def now(cls, server: Server) -> "Look":
        """Look at this process."""
        return cls(time.process_time(), _written(), server)

    def costs_since(self, before: "Look") -> Costs:
        """Return what was used since `before`. A server's file counts, if there is one, else what this process wrote."""
        mine = _difference(self.written_bytes, before.written_bytes)
        its = _difference(self.server.written_bytes, before.server.written_bytes)
        has_server = self.server.cpu_s is not None
        return Costs(
            cpu_s=self.cpu_s - before.cpu_s,
            server_cpu_s=_less(self.server.cpu_s, before.server.cpu_s),
            written_bytes=its if has_server else mine,
            peak_bytes=_peak(),
        )


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _written() -> int | None:
    """Return the bytes that this process sent to disks; only Linux tells."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes:")), None)


def _peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes elsewhere
