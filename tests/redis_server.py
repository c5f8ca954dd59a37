"""A Redis server for tests: a child process on a socket of its own, ended with the test session."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

STARTS_WITHIN_S = 20.0


def server_binary() -> str | None:
    """Return the server's path: what DURABLE_TEST_REDIS_SERVER names, else what is on PATH; None if there is none."""
    named = os.environ.get("DURABLE_TEST_REDIS_SERVER")
    return named or shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A running server. It keeps nothing on disk unless told to."""

    def __init__(self, binary: str, *settings: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="durable-redis-")
        self.socket = str(Path(self.folder, "redis.sock"))
        self._command = [
            binary, "--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--loglevel", "warning", *settings,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.socket)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        give_up_s = time.monotonic() + STARTS_WITHIN_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if self._process.poll() is not None or time.monotonic() > give_up_s:
                        raise RuntimeError(f"{self._command} did not start") from None
                    time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Stop it without ending it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def close(self) -> None:
        """End it, and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
