"""Subscriptions to topics, for the stores that notify within the process."""

import asyncio
import threading
from collections.abc import Callable, Iterable

from .._clock import Clock


class TopicWatch:
    """A `Watch`. It belongs to the event loop that made it, and may be touched from any thread."""

    def __init__(self, registry: "Topics", topics: tuple[str, ...], clock: Clock) -> None:
        self._registry, self.topics, self._clock = registry, topics, clock
        self.loop = asyncio.get_running_loop()
        self.event = asyncio.Event()
        self.number = 0  # by the order of subscriptions

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait until a topic was touched since the last return, or since `watch`; False after `timeout_s`."""
        touched = await self._clock.wait(self.event, timeout_s)
        self.event.clear()
        return touched

    def close(self) -> None:
        """End the subscription."""
        self._registry.remove(self)


class Topics:
    """Who watches what. `touch` may be called from any thread; it wakes each watch in its own loop."""

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._watches: dict[str, set[TopicWatch]] = {}
        self._all: set[TopicWatch] = set()
        self._count = 0
        self._on_first = on_first

    def __len__(self) -> int:
        return len(self._all)

    def watch(self, topics: Iterable[str], clock: Clock) -> TopicWatch:
        """Subscribe to `topics`. Must be called on the loop that will wait."""
        watch = TopicWatch(self, tuple(dict.fromkeys(topics)), clock)
        with self._lock:
            self._count += 1
            watch.number = self._count
            first = not self._all
            self._all.add(watch)
            for topic in watch.topics:
                self._watches.setdefault(topic, set()).add(watch)
        if first and self._on_first is not None:
            self._on_first()
        return watch

    def remove(self, watch: TopicWatch) -> None:
        """Forget `watch`. A second call does nothing."""
        with self._lock:
            self._all.discard(watch)
            for topic in watch.topics:
                watchers = self._watches.get(topic)
                if watchers is not None:
                    watchers.discard(watch)
                    if not watchers:
                        del self._watches[topic]

    def touch(self, topics: Iterable[str]) -> None:
        """Wake those who watch one of `topics`."""
        if not self._all:
            return
        with self._lock:
            woken = {watch for topic in topics for watch in self._watches.get(topic, ())}
        _wake(woken)

    def touch_all(self) -> None:
        """Wake everyone: something changed, and nobody knows what."""
        with self._lock:
            woken = set(self._all)
        _wake(woken)


def _wake(watches: set[TopicWatch]) -> None:
    elsewhere: dict[asyncio.AbstractEventLoop, list[TopicWatch]] = {}
    here = running_loop()
    for watch in sorted(watches, key=_number):  # the same order in every process: who subscribed first is woken first
        if watch.loop is here:
            watch.event.set()
        else:
            elsewhere.setdefault(watch.loop, []).append(watch)
    for loop, group in elsewhere.items():
        call_in(loop, _set, group)


def _number(watch: TopicWatch) -> int:
    return watch.number


def _set(watches: list[TopicWatch]) -> None:
    for watch in watches:
        watch.event.set()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_in(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    """Have `loop` call `function`; nothing happens if the loop is closed: then nobody waits there any more."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise
