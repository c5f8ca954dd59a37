"""A thread that works off a queue of calls, and hands all answers of a round to the event loop at once."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from ..._clock import forks
from ...errors import InvalidCallError
from .._watch import call_in

CALLS_MAX = 512  # calls taken in one round: bounds the size of a transaction, and how long its first caller waits


@dataclass(slots=True, eq=False)
class Call:
    """One call under way; `loop` is None for one that a thread waits for."""

    work: Callable[..., object]
    argument: object
    loop: asyncio.AbstractEventLoop | None
    future: "asyncio.Future[object] | ThreadFuture[object]"


Pair = tuple[Call, object]


class Lane:
    """A thread with a queue. Subclasses say what a round does."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._lock, self._closed = Lock(), False
        self._forks = forks()
        self._ready: ThreadFuture[object] = ThreadFuture()
        # A daemon: a process that ends without `close` must not hang. What was acknowledged is in the file by then.
        self._thread = Thread(target=self._work_off, name=name, daemon=True)

    async def start(self) -> None:
        """Start the thread; raises what its opening raises."""
        self._thread.start()
        try:
            await asyncio.shield(asyncio.wrap_future(self._ready))
        except BaseException:
            self._refuse_more()
            raise

    async def stop(self) -> None:
        """Finish what is queued, and end the thread. A second call does nothing."""
        if self._refuse_more():
            await asyncio.to_thread(self._thread.join)

    def _refuse_more(self) -> bool:
        """Take no more calls, and end the thread after those that are queued; False if that was asked for before."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            self._queue.put(None)
            return True

    def _submit(self, work: Callable[..., object], argument: object) -> "asyncio.Future[object]":
        """Queue a call; the future of this loop gets its answer."""
        self._check_process()  # first: in a forked child there is no running loop
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        self._put(Call(work, argument, loop, future))
        return future

    def _call(self, work: Callable[..., object], argument: object) -> object:
        """Queue a call and block until its answer is there."""
        self._check_process()
        future: ThreadFuture[object] = ThreadFuture()
        self._put(Call(work, argument, None, future))
        return future.result()

    def poke(self) -> None:
        """Make the thread look up, though there is nothing to do."""
        with self._lock:
            if not self._closed:
                self._queue.put(Call(_nothing, None, None, ThreadFuture()))

    def _put(self, call: Call) -> None:
        with self._lock:  # so that no call comes after the one that ends the thread, and waits for ever
            if self._closed:
                raise InvalidCallError(f"the store is closed ({self._thread.name}): open it anew")
            self._queue.put(call)

    def _check_process(self) -> None:
        if self._forks != forks():
            raise InvalidCallError(
                "this store was opened before a fork, and belongs to the parent process: open it anew here"
            )

    def _work_off(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self._closed = True
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        stopping = False
        while not stopping:
            calls, stopping = self._take()
            if calls:
                deliver(self._round(calls))
        self._close()

    def _take(self) -> tuple[list[Call], bool]:
        """Wait for calls, and return all that are queued (and whether the lane is to stop after them)."""
        calls = list[Call]()
        try:
            call = self._queue.get(timeout=self._patience_s())
            while call is not None:
                if call.work is not _nothing:
                    calls.append(call)
                if len(calls) >= CALLS_MAX:
                    break
                call = self._queue.get_nowait()
        except Empty:
            if not calls:
                self._idle()
            return calls, False
        return calls, call is None

    def _patience_s(self) -> float | None:
        return None

    def _idle(self) -> None:
        """Nothing came within the patience, or a poke."""

    def _open(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _round(self, calls: Sequence[Call]) -> Sequence[Pair]:
        raise NotImplementedError


def _nothing() -> None: ...


def deliver(answers: Sequence[Pair]) -> None:
    """Hand out the answers: one hop for each loop that waits."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Pair]] = {}
    for call, answer in answers:
        if call.loop is None:
            _finish([(call, answer)])
        else:
            by_loop.setdefault(call.loop, []).append((call, answer))
    for loop, pairs in by_loop.items():
        call_in(loop, _finish, pairs)


def _finish(pairs: Sequence[Pair]) -> None:
    for call, answer in pairs:
        future = call.future
        if future.done():
            continue  # the caller gave up waiting; the call was carried out all the same
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
