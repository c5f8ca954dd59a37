"""A server whose clock a test sets, back and forth, while it runs: by a library that is loaded before all others (`clock.c`)."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.server_faults import ask
from tests.redis_server import RedisServer, server_binary


def built(folder: Path, name: str = "clock") -> Path:
    """Compile a library to be preloaded. The test is skipped where there is no compiler, or no Linux."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("what the server's machine does can be set only on Linux, with a C compiler (cc)")
    library = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class ClockedServer(RedisServer):
    """A server that thinks it is `shift_s` later than it is."""

    def __init__(self, library: Path, file: Path, *settings: str) -> None:
        self._library, self._file = library, file
        self._file.write_bytes(struct.pack("q", 0))
        super().__init__(server_binary(), *settings)

    def start(self, *settings: str, loaded: bool = True, env: Mapping[str, str] | None = None) -> None:
        mine = {"LD_PRELOAD": str(self._library), "DURABLE_TEST_CLOCK": str(self._file), **(env or {})}
        super().start(*settings, loaded=loaded, env=mine)

    def shift(self, shift_s: int) -> None:
        """Set its clock."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", shift_s))
        ask(self, "PING")  # the server reads the time once for each turn of its loop

    def time_s(self) -> int:
        """Return what it says the time is."""
        seconds: int = ask(self, "TIME")[0]
        return int(seconds)
