"""A TCP proxy in front of a server that does what networks do: cuts, delays, drops, leaves connections half-open."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

CHUNK = 1 << 16


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: "Proxy", client: Ends, server: Ends) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self.silent = False
        self._left: int | None = None  # how many bytes of the answer still come through before the cut

    async def run(self) -> None:
        pumps = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if not self.silent:
            self.cut()
        await asyncio.wait(pumps)

    def cut(self) -> None:
        """End both connections at once."""
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    async def _requests(self) -> None:
        async for data in _chunks(self._from_client):
            if self.silent:
                continue
            proxy = self._proxy
            proxy.requests += 1
            if proxy.request_to_lose is not None and proxy.request_to_lose in data:
                proxy.request_to_lose = None
                proxy.note_loss()
                return
            if proxy.answer_to_lose is not None and proxy.answer_to_lose in data:
                proxy.answer_to_lose = None
                self._left = proxy.kept_of_answer
            self._to_server.write(data)

    async def _answers(self) -> None:
        async for data in _chunks(self._from_server):
            if self.silent:
                continue
            proxy = self._proxy
            if self._left is not None:
                self._to_client.write(data[: self._left])
                self._left = max(0, self._left - len(data))
                if not self._left:
                    await asyncio.sleep(0)  # what came through goes out before the cut
                    proxy.note_loss()
                    return
                continue
            proxy.note_answer()
            await proxy.held.wait()
            if proxy.delay_s:
                await asyncio.sleep(proxy.delay_s)
            self._to_client.write(proxy.rewritten(data))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while data := await reader.read(CHUNK):
            yield data
    except ConnectionError:
        return  # that is how a cut looks from here


class Proxy:
    """Passes connections on to `path`, the socket of a server, until told otherwise. Belongs to one event loop."""

    def __init__(self, path: str) -> None:
        self.path = path  # where new connections go
        self.delay_s = 0.0  # before each answer
        self.refuses = False  # new connections are closed at once
        self.replaces: dict[bytes, bytes] = {}  # in answers; both of one length
        self.request_to_lose: bytes | None = None
        self.answer_to_lose: bytes | None = None
        self.kept_of_answer = 0
        self.lost = 0  # requests and answers
        self.held = asyncio.Event()  # cleared, answers are held back until it is set again
        self.held.set()
        self.requests = 0  # pieces that clients sent
        self.answers = 0  # pieces that the server sent
        self.connections = 0  # asked for, whatever became of them
        self._lost = asyncio.Event()
        self._seen = asyncio.Event()
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.held.set()  # a test that failed may have left it so, and an answer that is held ends never
        self.cut()
        await self._server.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        """The URL of the server, by way of the proxy."""
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    # --- faults

    def cut(self) -> None:
        """End all connections."""
        for link in list(self._links):
            link.cut()

    def go_silent(self) -> None:
        """Leave all connections half-open: nothing comes through any more, and nobody is told. New ones work."""
        for link in self._links:
            link.silent = True

    def lose_answer(self, marker: bytes, *, keep: int = 0) -> None:
        """Let the next request with `marker` through, and cut the connection after `keep` bytes of what comes back."""
        self.answer_to_lose, self.kept_of_answer = marker, keep
        self._lost.clear()

    def lose_request(self, marker: bytes) -> None:
        """Cut the connection in place of the next request with `marker`."""
        self.request_to_lose = marker
        self._lost.clear()

    def note_loss(self) -> None:
        self.lost += 1
        self._lost.set()

    def note_answer(self) -> None:
        self.answers += 1
        self._seen.set()

    async def until_answered(self, count: int) -> None:
        """Wait until the server has sent `count` pieces in all."""
        async with asyncio.timeout(20):
            while self.answers < count:
                self._seen.clear()
                await self._seen.wait()

    async def until_lost(self, *, within_s: float) -> bool:
        """Wait until what is to be lost was lost; False if nobody asked for it."""
        try:
            async with asyncio.timeout(within_s):
                await self._lost.wait()
        except TimeoutError:
            return False
        return True

    def rewritten(self, data: bytes) -> bytes:
        for old, new in self.replaces.items():
            assert len(old) == len(new)
            data = data.replace(old, new)
        return data

    # --- connections

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuses:
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_unix_connection(self.path)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links[link] = task
        try:
            await link.run()
        finally:
            del self._links[link]
            link.cut()
