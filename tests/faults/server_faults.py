"""States that a real server is put into, and taken out of again."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import redis

from tests.faults.proxy import Proxy
from tests.faults.scripts import marker
from tests.redis_cluster import until
from tests.redis_server import RedisServer

SLOW_LOAD = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")  # 10 ms for each key


def ask(server: RedisServer, *command: Any) -> Any:
    """Send a command to the server itself."""
    with server.client() as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def full(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`OOM`: it has reached its maxmemory."""
    ask(server, "CONFIG", "SET", "maxmemory", "1")
    yield
    ask(server, "CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def demoted(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`READONLY`: it is a replica."""
    ask(server, "REPLICAOF", "127.0.0.1", "1")
    yield
    ask(server, "REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def busy(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`BUSY`: somebody runs a script that does not end."""
    ask(server, "CONFIG", "SET", "lua-time-limit", "50")
    script = threading.Thread(target=_run_for_ever, args=(server,))
    script.start()

    def is_busy() -> bool:
        try:
            ask(server, "PING")
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    await asyncio.to_thread(until, is_busy, "the server is busy")
    try:
        yield
    finally:
        ask(server, "SCRIPT", "KILL")
        await asyncio.to_thread(script.join)


def _run_for_ever(server: RedisServer) -> None:
    with suppress(redis.ResponseError):  # it is killed
        ask(server, "EVAL", "while true do end", 0)


def answers_while_it_loads(server: RedisServer) -> bool:
    """Return whether the server can be told to. Redis 6.2 does every 2 MB, and takes no settings meanwhile."""
    return b"redis_version:6." not in ask(server, "INFO", "server")


@asynccontextmanager
async def loading(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`LOADING`: it was killed, and reads what it had for a long time. (Where that cannot be had it was killed, no more.)"""
    if not answers_while_it_loads(server):
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        yield
        return
    theirs = [part for number in range(400) for part in (f"theirs-{number}", os.urandom(250))]
    ask(server, "MSET", *theirs)  # it looks up every kilobyte
    ask(server, "BGREWRITEAOF")  # by keys, not by commands: between those it would answer less often
    rewritten = b"aof_rewrite_in_progress:0"
    await asyncio.to_thread(until, lambda: rewritten in ask(server, "INFO", "persistence"), "the file is rewritten")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(partial(server.start, *SLOW_LOAD, loaded=False))
    yield
    ask(server, "CONFIG", "SET", "key-load-delay", "0")


@asynccontextmanager
async def unable_to_save(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`MISCONF`: it could not write its snapshot."""
    blocks = Path(server.folder, "dump.rdb")
    await asyncio.to_thread(blocks.mkdir)
    ask(server, "CONFIG", "SET", "save", "3600 1")
    ask(server, "BGSAVE")
    await asyncio.to_thread(
        until, lambda: b"bgsave_status:err" in ask(server, "INFO", "persistence"), "a save has failed"
    )
    yield
    await asyncio.to_thread(blocks.rmdir)
    ask(server, "BGSAVE")


@asynccontextmanager
async def short_of_replicas(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`NOREPLICAS`: it wants one before it takes writes."""
    ask(server, "CONFIG", "SET", "min-replicas-to-write", "1")
    yield
    ask(server, "CONFIG", "SET", "min-replicas-to-write", "0")


@asynccontextmanager
async def forbidden(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """`NOPERM`: somebody takes away the user's rights."""
    ask(server, "ACL", "SETUSER", "default", "-evalsha", "-eval")
    with suppress(redis.ResponseError):
        yield
    ask(server, "ACL", "SETUSER", "default", "+@all")


@asynccontextmanager
async def killed(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """It dies, and is started again."""
    await asyncio.to_thread(server.kill)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def frozen(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """It takes connections and answers nothing."""
    server.pause()
    yield
    server.resume()


@asynccontextmanager
async def unreachable(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """All connections end, and new ones too."""
    proxy.refuses = True
    proxy.cut()
    yield
    proxy.refuses = False


@asynccontextmanager
async def slow(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """Each answer takes a while."""
    proxy.delay_s = 0.05
    yield
    proxy.delay_s = 0.0


@asynccontextmanager
async def forgetful(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """It forgets the scripts."""
    ask(server, "SCRIPT", "FLUSH")
    yield
    ask(server, "SCRIPT", "FLUSH")


@asynccontextmanager
async def half_open(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """The connections of now have no other end any more."""
    proxy.go_silent()
    yield


@asynccontextmanager
async def lossy(server: RedisServer, proxy: Proxy) -> AsyncIterator[None]:
    """Again and again an answer is lost, or a request: of each script in turn that workers call."""
    names = (
        "renew", "commit", "sessions", "available", "send", "holder", "claim", "complete", "read_dues", "document", "acquire",
        "begin_session",
    )  # fmt: skip

    async def lose() -> None:
        for number, name in enumerate(cycle(names)):
            if number % 3:
                proxy.lose_answer(marker(name), keep=number % 5)
            else:
                proxy.lose_request(marker(name))
            await proxy.until_lost(within_s=0.1)

    losing = asyncio.create_task(lose())
    yield
    losing.cancel()
    await asyncio.wait([losing])
    assert losing.cancelled()
    assert proxy.lost > 1
    proxy.answer_to_lose = proxy.request_to_lose = None


Fault = Callable[[RedisServer, Proxy], AbstractAsyncContextManager[None]]
