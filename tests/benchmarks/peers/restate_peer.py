"""Restate: its server (npm: @restatedev/restate-server) with a file of its own, and the Python SDK served by hypercorn in this process."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

TEXT = "x" * 90
_STARTS_WITHIN_S = 60.0
_CALLS_MAX = 500

work = restate.Workflow("work")
fan = restate.Workflow("fan")
signals = restate.Workflow("signals")


async def step(number: int, _text: str) -> int:
    """Do nothing."""
    return number + 1


@work.main()
async def chain(ctx: restate.WorkflowContext, length: int) -> int:
    """Await so many steps, one after the other."""
    number = 0
    for _ in range(length):
        number = await ctx.run_typed("step", step, number=number, _text=TEXT)
    return number


@fan.main()
async def fan_out(ctx: restate.WorkflowContext, width: int) -> int:
    """Await so many steps, all at once."""
    calls = [ctx.run_typed("step", step, number=number, _text=TEXT) for number in range(width)]
    return sum([await call for call in await restate.gather(*calls)])


@signals.main()
async def signalled(ctx: restate.WorkflowContext, count: int) -> int:
    """Receive so many signals."""
    for number in range(count):
        await ctx.promise(f"number-{number}").value()
    return count


@signals.handler()
async def number(ctx: restate.WorkflowSharedContext, value: int) -> None:
    """Give it a signal."""
    await ctx.promise(f"number-{value}").resolve(value)


class Peer:
    """See `child.Peer`. Calls go to the server's ingress over HTTP, without the short time limit of the SDK's client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def _call(self, service: str, id: str, handler: str, value: int) -> object:
        answer = await self._client.post(f"/{service}/{id}/{handler}", json=value)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def chain(self, id: str, length: int) -> None:
        assert await self._call("work", id, "chain", length) == length

    async def fan_out(self, id: str, width: int) -> None:
        assert await self._call("fan", id, "fan_out", width) == width * (width + 1) // 2

    async def signalled(self, id: str, count: int) -> None:
        result = asyncio.ensure_future(self._call("signals", id, "signalled", count))
        for value in range(count):
            await self._call("signals", id, "number", value)
        assert await result == count


def _binary() -> str:
    """Return the server's path: what npm puts on PATH is a script, which leaves the server behind when it is ended."""
    found = os.environ.get("RESTATE_SERVER") or shutil.which("restate-server")
    if found is None:
        raise SystemExit("no restate-server on PATH, nor in RESTATE_SERVER: npm install @restatedev/restate-server")
    beside = sorted(Path(found).resolve().parents[2].glob("restate-server-*/bin/restate-server"))
    return str(beside[0] if beside else found)


def _started(binary: str, folder: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [binary, "--base-dir", folder],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _answered(client: httpx.AsyncClient, method: str, url: str, body: object = None) -> None:
    async with asyncio.timeout(_STARTS_WITHIN_S):
        while True:
            try:
                (await client.request(method, url, json=body, timeout=30)).raise_for_status()
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def opened(folder: str) -> AsyncIterator[Peer]:
    """Run the server and the services while the block lasts."""
    binary = _binary()
    ingress, admin, node, service = (_free_port() for _ in range(4))
    config = Config()
    config.bind = [f"127.0.0.1:{service}"]
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(restate.app([work, fan, signals]), config, shutdown_trigger=stop.wait))
    environment = {
        **os.environ,
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_LOG_FILTER": "error",
        "DO_NOT_TRACK": "1",
    }
    server = _started(binary, folder, environment)
    try:
        async with httpx.AsyncClient() as client:
            await _answered(client, "GET", f"http://127.0.0.1:{admin}/health")
            body = {"uri": f"http://127.0.0.1:{service}"}
            await _answered(client, "POST", f"http://127.0.0.1:{admin}/deployments", body)
        limits = httpx.Limits(max_connections=_CALLS_MAX, max_keepalive_connections=_CALLS_MAX)
        url = f"http://127.0.0.1:{ingress}"
        async with httpx.AsyncClient(base_url=url, timeout=None, limits=limits) as client:
            yield Peer(client)
    finally:
        server.kill()
        server.wait()
        stop.set()
        await serving
