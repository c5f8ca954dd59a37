"""The processes of the soak: a server, a proxy before it, and workers. Each may be killed, and is started again."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from tests.redis_server import RedisServer, server_binary

ROOT = Path(__file__).parents[2]


class Cast:
    """Everything that runs. `losses` counts the workers that were killed or frozen: only then may an effect be repeated."""

    def __init__(self, folder: Path, *, workers: int, lease_s: float) -> None:
        self._folder, self._lease_s = folder, lease_s
        self.ledger = folder / "effects"
        self.ledger.mkdir()
        self.losses = 0
        # Its process dies, not the machine: then "no" loses nothing. "everysec" may: while the disk is slow to flush, the server
        # holds back for 2 s what it has acknowledged. A soak has found that on a busy machine.
        self.server = RedisServer(server_binary(), "--appendonly", "yes", "--appendfsync", "no")
        command = [sys.executable, "-m", "tests.chaos.cutter", self.server.socket]
        with (folder / "cutter.log").open("ab") as log:
            self._cutter = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._cutter.stdout is not None
        self.url = self._cutter.stdout.readline().decode().strip()
        self.workers = [self._started() for _ in range(workers)]

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.chaos.program", self.url, str(self.ledger), str(self._lease_s)]
        with (self._folder / "workers.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stderr=log)

    def log(self) -> str:
        """Return the end of what the workers wrote."""
        return "".join(path.read_text(errors="replace")[-4_000:] for path in sorted(self._folder.glob("*.log")))

    def check(self) -> None:
        """Raise `AssertionError` if something has ended that nobody killed."""
        assert self._cutter.poll() is None, f"the proxy has ended:\n{self.log()}"
        for worker in self.workers:
            assert worker.poll() is None, f"a worker has ended by itself ({worker.returncode}):\n{self.log()}"

    # --- what befalls them

    def kill(self, which: int) -> None:
        """Kill a worker as the machine's OOM killer would, and start another one."""
        self.losses += 1
        worker = self.workers[which]
        worker.send_signal(signal.SIGCONT)
        worker.kill()
        worker.wait()
        self.workers[which] = self._started()

    async def freeze(self, which: int, seconds: float) -> None:
        """Stop a worker for a while."""
        self.losses += 1
        worker = self.workers[which]
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if worker.poll() is None:
            worker.send_signal(signal.SIGCONT)

    async def restart_server(self, away_s: float) -> None:
        """Kill the server as a power cut of its process would, and start it after a while on the same files."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.server.start)

    async def freeze_server(self, seconds: float) -> None:
        """Stop the server for a while."""
        self.server.pause()
        await asyncio.sleep(seconds)
        self.server.resume()

    def tell_cutter(self, line: str) -> None:
        """Let the proxy do something to the connections."""
        assert self._cutter.stdin is not None
        self._cutter.stdin.write(f"{line}\n".encode())
        self._cutter.stdin.flush()

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self._cutter):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        for stream in (self._cutter.stdin, self._cutter.stdout):
            if stream is not None:
                stream.close()
        self.server.resume()
        self.server.close()
