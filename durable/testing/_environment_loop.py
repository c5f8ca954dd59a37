"""When an event loop has nothing left to run, and when nothing can ever make it run again."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

_EMPTY_TURNS = 2  # of the loop; between the two it has looked for I/O
_TURNS_UNSEEN = (
    100  # where the loop does not show what is ready (uvloop): more than any chain of callbacks of ours is long
)


class LoopView:
    """Looks into an event loop, as far as it lets itself be looked into: asyncio's own do."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = loop
        self._ready: Any = getattr(loop, "_ready", None)
        self._threads = set(threading.enumerate())

    async def until_empty(self) -> None:
        """Return once everything that was ready has run, with all that it made ready.

        What waits for I/O, a timer of the loop or another thread counts as ended. Exact with asyncio's loops: the queue of
        what is ready is seen to be empty, also after a look for I/O. With another loop, many turns are let pass.
        """
        found: asyncio.Future[None] = self._loop.create_future()
        self._loop.call_soon(self._look, found, 0)
        await found

    def _look(self, found: asyncio.Future[None], empty: int) -> None:
        if found.done():
            return
        if self._ready is None:
            empty, enough = empty + 1, _TURNS_UNSEEN
        else:
            # This very callback was taken out before it was called: what is there comes after it.
            empty, enough = (0 if self._ready else empty + 1), _EMPTY_TURNS
        if empty >= enough:
            found.set_result(None)
        else:
            self._loop.call_soon(self._look, found, empty)

    def is_dead(self) -> bool:
        """Whether the loop, found empty, would stay so for ever: no timer, no I/O, no thread that could wake it. False if unknown."""
        scheduled: Any = getattr(self._loop, "_scheduled", None)
        selector: Any = getattr(self._loop, "_selector", None)
        internal: Any = getattr(self._loop, "_internal_fds", None)
        if scheduled is None or selector is None or internal is None:
            return False
        if any(not handle.cancelled() for handle in scheduled) or len(selector.get_map()) > internal:
            return False
        return all(_is_ours(thread) for thread in threading.enumerate() if thread not in self._threads)


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("durable-watchdog")
