"""A cluster, and a primary with sentinels, for tests: child processes on free ports of the loopback."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.redis_server import RedisServer

SLOTS = 16_384
READY_WITHIN_S = 40.0
_ANSWERS_QUICKLY = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


def free_port() -> int:
    """Return a port of which the one 10,000 above is free too: a cluster's servers talk to one another there."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                if 1_024 < port < 55_000:
                    second.bind(("127.0.0.1", port + 10_000))
                    return port
            except OSError:
                pass  # taken


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until `condition()` is true, as other processes make it."""
    give_up_s = time.monotonic() + READY_WITHIN_S
    while not condition():
        if time.monotonic() > give_up_s:
            raise RuntimeError(f"waited in vain until {what}")
        time.sleep(0.02)


class RedisCluster:
    """Three primaries with a replica each."""

    def __init__(self, binary: str) -> None:
        self.servers: dict[int, RedisServer] = {}
        try:
            for _ in range(6):
                self._start(binary, free_port())
            self._form()
        except BaseException:
            self.close()
            raise

    def _start(self, binary: str, port: int) -> None:
        self.servers[port] = RedisServer(
            binary, "--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes",
            "--cluster-node-timeout", "15000", "--cluster-replica-validity-factor", "0", *_ANSWERS_QUICKLY,
        )  # fmt: skip

    def _form(self) -> None:
        ports = list(self.servers)
        for number, port in enumerate(ports):
            self.ask(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self.ask(ports[0], "CLUSTER", "MEET", "127.0.0.1", port)
        for number, port in enumerate(ports[:3]):
            slots = range(SLOTS * number // 3, SLOTS * (number + 1) // 3)
            self.ask(port, "CLUSTER", "ADDSLOTS", *slots)
        until(lambda: all(self._nodes(port) == 6 for port in ports), "the servers know one another")
        for primary, replica in zip(ports[:3], ports[3:], strict=True):
            self.ask(replica, "CLUSTER", "REPLICATE", self.id_of(primary))
        self.wait_until_whole()

    def _nodes(self, port: int) -> int:
        lines = self.ask(port, "CLUSTER", "NODES").decode().splitlines()
        return sum("handshake" not in line for line in lines)

    def ask(self, port: int, *command: object) -> Any:
        """Send a command to the server at a port."""
        with self.servers[port].client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def id_of(self, port: int) -> str:
        """Return what the cluster calls a server."""
        found: str = self.ask(port, "CLUSTER", "MYID").decode()
        return found

    def wait_until_whole(self) -> None:
        """Wait until every server says that all slots are served, and every replica is one."""

        def whole() -> bool:
            roles = list[bytes]()
            for port in self.servers:
                if b"cluster_state:ok" not in self.ask(port, "CLUSTER", "INFO"):
                    return False
                role = self.ask(port, "ROLE")
                roles.append(role[0])
                if role[0] == b"slave" and role[3] != b"connected":
                    return False
            primary_of = [
                line for line in self.ask(next(iter(self.servers)), "CLUSTER", "NODES").splitlines() if b"fail" in line
            ]
            return roles.count(b"master") == 3 and not primary_of

        until(whole, "the cluster is whole")

    @property
    def url(self) -> str:
        """The URL; two servers of six are enough to find the others."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in list(self.servers)[1:3])
        return f"redis+cluster://{hosts}"

    def primaries(self) -> list[int]:
        """Return the ports of the primaries."""
        return [port for port in self.servers if self.ask(port, "ROLE")[0] == b"master"]

    def primary_of(self, slot: int) -> int:
        """Return the port of the primary that serves a slot, as the majority sees it."""
        for first, last, primary, *_ in self.ask(self.primaries()[0], "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return int(primary[1])
        raise LookupError(f"nobody serves slot {slot}")

    def replica_of(self, port: int) -> int:
        """Return the port of a replica of the primary at a port."""
        _, _, replicas = self.ask(port, "ROLE")
        return int(replicas[0][1])

    def set(self, name: str, value: object) -> None:
        """Change a setting of all servers."""
        for port in self.servers:
            self.ask(port, "CONFIG", "SET", name, value)

    def flush(self) -> None:
        """Forget everything."""
        for port in self.primaries():
            self.ask(port, "FLUSHALL")

    def move_slot(self, slot: int, target: int, *, between: Callable[[], Any] = lambda: None) -> None:
        """Move a slot with all its keys to another primary, one key after the other; `between` is called before each."""
        source = self.primary_of(slot)
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        while True:
            between()
            keys = self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1)
            if not keys:
                break
            self.ask(source, "MIGRATE", "127.0.0.1", target, "", 0, 5_000, "KEYS", *keys)
        for port in (target, source, *self.primaries()):
            self.ask(port, "CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def close(self) -> None:
        """End all servers."""
        for server in self.servers.values():
            server.close()


class Watched:
    """A primary, its replica, and three sentinels that watch it."""

    service = "orders"

    def __init__(self, binary: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="durable-sentinel-")
        self.servers: dict[int, RedisServer] = {}
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []
        try:
            for _ in range(2):
                port = free_port()
                self.servers[port] = RedisServer(binary, "--port", str(port), "--bind", "127.0.0.1", *_ANSWERS_QUICKLY)
            self.primary, self.replica = self.servers
            self.ask(self.replica, "REPLICAOF", "127.0.0.1", self.primary)
            until(lambda: self.ask(self.replica, "ROLE")[3] == b"connected", "the replica has its primary")
            for number in range(3):
                self._watch(binary, number)
            until(self._all_know_one_another, "the sentinels know one another")
        except BaseException:
            self.close()
            raise

    def _watch(self, binary: str, number: int) -> None:
        port, config = free_port(), Path(self.folder, f"sentinel-{number}.conf")
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {self.service} 127.0.0.1 {self.primary} 2\n"
            f"sentinel down-after-milliseconds {self.service} 1000\n"
            f"sentinel failover-timeout {self.service} 3000\n"
        )
        self.ports.append(port)
        command = [binary, str(config), "--sentinel"]
        self._sentinels.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT))

    def _all_know_one_another(self) -> bool:
        try:
            for port in self.ports:
                with redis.Redis(port=port) as client:
                    seen: Any = client.sentinel_master(self.service)
                    if (seen["num-other-sentinels"], seen["num-slaves"]) != (2, 1):
                        return False
        except redis.RedisError:
            return False
        return True

    def ask(self, port: int, *command: object) -> Any:
        """Send a command to a server."""
        with self.servers[port].client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    @property
    def url(self) -> str:
        """The URL; of a sentinel that is not there, too."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in (1, *self.ports))
        return f"redis+sentinel://{hosts}/{self.service}"

    def close(self) -> None:
        """End all of them, and remove their files."""
        for process in self._sentinels:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for server in self.servers.values():
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
