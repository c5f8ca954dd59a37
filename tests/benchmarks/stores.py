"""The stores that are measured: their names, and where each is."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.redis_server import RedisServer, server_binary

NAMES = ("memory", "sqlite-full", "sqlite-normal", "redis-everysec")
# The log is not rewritten on the way: what it grows by is what was written.
_EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")


@contextmanager
def opened(name: str, folder: str | None) -> Iterator[str | None]:
    """Give the URL of the store `name`, on the disk of `folder`; None if there is no server for it."""
    if name == "memory":
        yield "memory:"
    elif name.startswith("sqlite-"):
        path = tempfile.mkdtemp(prefix="durable-bench-", dir=folder)
        try:
            yield f"sqlite:///{Path(path, 'runs.db')}?synchronous={name.removeprefix('sqlite-')}"
        finally:
            shutil.rmtree(path)
    else:
        binary = server_binary()
        if binary is None:
            yield None
            return
        with contextlib.closing(RedisServer(binary, *_EVERYSEC)) as server:
            yield server.url
