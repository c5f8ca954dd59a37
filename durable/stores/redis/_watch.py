"""Notifications by pub/sub: topics as channels, on a connection of their own that is begun with the first watch."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..._clock import Clock
from .._watch import Topics, TopicWatch
from ._errors import code_of

_log = logging.getLogger("durable.store")

PING_S = 10.0  # so long without a word, and the server is asked; twice as long, and the connection is made anew
_RETRY_S = (0.1, 0.5, 1.0, 2.0)  # pauses before a lost connection is made anew; the last one repeats
_CANCEL_S = 0.05
_SETTLE_S = 1.0  # a read waits so long for subscriptions begun before it: they are hints, and the server may be away


class Notifier:
    """Who watches what, told by this process at once and by others through the server.

    A read that follows a `watch` waits until the server has the subscription (`settled`): so what happens after the read is told.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], prefix: bytes, origin: bytes) -> None:
        self._connect, self._prefix, self._origin = connect, prefix, origin
        self._local = _Topics(self._closed)
        self._wanted = Counter[str]()
        self._asked: set[str] = set()  # subscribed to, or about to be
        self._unconfirmed: set[str] = set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = self._interrupted = self._refusal_told = False

    def watch(self, topics: Iterable[str], clock: Clock) -> TopicWatch:
        """Subscribe to `topics`."""
        watch = self._local.watch(topics, clock)
        for topic in watch.topics:
            self._wanted[topic] += 1
            if topic not in self._asked:
                self._unconfirmed.add(topic)
                self._settled.clear()
        self._changed.set()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run(), name="durable notifications of redis")]
        return watch

    def _closed(self, watch: TopicWatch) -> None:
        for topic in watch.topics:
            self._wanted[topic] -= 1
            if self._wanted[topic] <= 0:
                del self._wanted[topic]
        self._changed.set()

    def touch(self, topics: Iterable[str]) -> None:
        """Wake those of this process who watch one of `topics`."""
        self._local.touch(topics)

    async def settled(self) -> None:
        """Wait until the server knows what is watched; not for long, since these are hints."""
        if not self._settled.is_set():
            try:
                async with asyncio.timeout(_SETTLE_S):
                    await self._settled.wait()
            except TimeoutError:
                self._unconfirmed.clear()
                self._settled.set()

    async def close(self) -> None:
        """End the connection. Those who wait are left to their clocks."""
        self._ended = True
        self._changed.set()
        for task in self._tasks:
            while not task.done():  # redis-py may swallow a cancellation that comes while it writes
                task.cancel()
                await asyncio.wait([task], timeout=_CANCEL_S)
        self._tasks = []

    # --- the connection

    async def _run(self) -> None:
        tries = 0
        while not self._ended:
            subscriptions: Any = None
            try:
                subscriptions = await self._connect()
                await self._subscribed(subscriptions)
                tries = 0
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._listen(subscriptions))
                    group.create_task(self._follow(subscriptions))
            except* Exception as errors:
                # Not only errors of connections: one that breaks while redis-py writes to it may end in an AttributeError.
                self._tell(errors.exceptions[0])
            finally:
                if subscriptions is not None:
                    await _closed(subscriptions)
            self._asked.clear()
            self._interrupted = True
            await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1

    def _tell(self, error: BaseException) -> None:
        if code_of(error) == "NOPERM" and not self._refusal_told:
            self._refusal_told = True  # it stays so, and is asked again every two seconds
            _log.warning(
                "the user may not subscribe to channels of the namespace, so everyone who waits looks only now and then, and is slow: %s; "
                "allow it in the user's ACL", error,
            )  # fmt: skip
        else:
            _log.debug("notifications of the store were interrupted: %s", error)

    async def _subscribed(self, subscriptions: Any) -> None:
        """Subscribe to all that is watched. What happened meanwhile is unknown, so everyone looks."""
        wanted = set(self._wanted)
        self._asked = wanted
        if wanted:
            await subscriptions.subscribe(*map(self._channel, wanted))
        else:
            await subscriptions.subscribe(
                self._prefix
            )  # a connection has to be subscribed to something to be listened to
        if self._interrupted:
            self._local.touch_all()

    async def _listen(self, subscriptions: Any) -> None:
        asked = False
        while not self._ended:
            message: dict[str, Any] | None = await subscriptions.get_message(timeout=PING_S)
            if message is None:
                if asked:
                    raise ConnectionError("the server does not answer")
                asked = True
                await subscriptions.ping()
                continue
            asked = False
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        channel = message["channel"]
        if not isinstance(channel, bytes):
            return
        topic = channel.removeprefix(self._prefix).decode(errors="replace")
        if message["type"] == "message":
            if message["data"] != self._origin:  # our own were told at once
                self._local.touch([topic])
        elif message["type"] == "subscribe":
            self._unconfirmed.discard(topic)
            if not self._unconfirmed:
                self._settled.set()

    async def _follow(self, subscriptions: Any) -> None:
        """Subscribe and unsubscribe as watches come and go."""
        while not self._ended:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._wanted)
            new, old = wanted - self._asked, self._asked - wanted
            self._asked = wanted
            if new:
                await subscriptions.subscribe(*map(self._channel, new))
            if old:
                await subscriptions.unsubscribe(*map(self._channel, old))
            gone = self._unconfirmed - wanted
            if gone:
                self._unconfirmed -= gone
                if not self._unconfirmed:
                    self._settled.set()

    def _channel(self, topic: str) -> bytes:
        return self._prefix + topic.encode(errors="replace")


async def _closed(subscriptions: Any) -> None:
    try:
        await subscriptions.aclose()
    except Exception as error:
        _log.debug("a broken connection could not be closed in good order: %r", error)


class _Topics(Topics):
    """Topics that tell when a watch is closed."""

    def __init__(self, on_close: Callable[[TopicWatch], None]) -> None:
        super().__init__()
        self._on_close = on_close

    def remove(self, watch: TopicWatch) -> None:
        if watch in self._all:
            super().remove(watch)
            self._on_close(watch)
