"""`TestEnvironment`: the real engine, worker and client in one event loop, with time that skips."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ParamSpec

from .._clock import Clock, SystemClock
from .._duration import Duration, milliseconds, seconds
from ..author import Activity, Workflow
from ..client import Client
from ..codec import Codec, default_codec
from ..errors import DurableError, InvalidCallError, StuckTestError
from ..interceptors import Interceptor, checked_interceptors
from ..stores import Store, open_store
from ..worker._plans import registered_workflows
from ._clock import VirtualClock
from ._environment_activities import StandIns
from ._environment_report import histories_of, story_of
from ._environment_store import outside
from ._environment_time import TimeKeeper, Waiter
from ._environment_workers import Workers
from ._fakes import UNSET, Call, Fake, make_fake

P = ParamSpec("P")

START = datetime(2024, 1, 1, tzinfo=UTC)  # the same in every run, so that a test may compare times
_PARTITIONS = 2  # few are quick to begin; more than one, so that messages cross
CACHE_DEFAULT: list[int | None] = [None]  # set by the pytest option --durable-replay


class TestEnvironment:
    """Runs workflows as in production, in memory and without waiting: `async with TestEnvironment(workflows=[...]) as env`.

    Time is virtual. It stands still while anything can happen without it, and skips to the next due time when nothing else
    can, so that a workflow that sleeps 100 days ends at once. A real activity holds it up, a fake does not. With `store`
    (a URL such as "sqlite:///test.db") everything is the same, but time is real.

    `workflows` and `activities` are what a `Worker` takes. Plain `def` activities run inline, with `threads` in threads.
    `start_time` is where time begins (default: 2024-01-01 UTC). `cache_runs=0` replays each run at each step, which finds
    code that is not deterministic. Every task queue that is used gets a worker, or only those in `queues`. `patience` is
    the real time that something outside of the environment may take, such as a real activity, before a test that waits
    for it fails. `interceptors` are around what `client` and the workers do.

    A wait that nothing can end raises `StuckTestError`: it says what each run waits for. So does a run that is stuck, and
    a call of an activity that is neither registered nor faked.
    """

    __test__ = False  # for pytest: no test class, whatever its name

    def __init__(
        self,
        *,
        workflows: Iterable[Workflow[..., Any]] = (),
        activities: Iterable[Any] = (),
        codec: Codec | None = None,
        start_time: datetime | None = None,
        store: str | None = None,
        cache_runs: int | None = None,
        threads: bool = False,
        queues: Sequence[str] | None = None,
        patience: Duration = 30,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self._virtual = store is None or store == "memory:"
        if start_time is not None and not self._virtual:
            raise InvalidCallError("start_time: time is real on a real store")
        self._url = "memory:" if store is None else store
        self._codec = default_codec() if codec is None else codec
        self._workflows = registered_workflows(workflows)
        self._virtual_clock = VirtualClock(_ms(START if start_time is None else start_time))
        self._clock: Clock = self._virtual_clock if self._virtual else SystemClock()
        self._stand_ins = StandIns(activities, self._codec, self._clock, threads=threads)
        self._cache_runs = CACHE_DEFAULT[0] if cache_runs is None else cache_runs
        self._queues = queues
        self._interceptors = checked_interceptors(interceptors)
        self._patience_s = seconds(patience, what="patience")
        self._store: Store | None = None
        self._keeper: TimeKeeper | None = None
        self._workers: Workers | None = None
        self._time: asyncio.Task[None] | None = None
        self._suspects: dict[str, tuple[str, float]] = {}
        self._client: Client | None = None
        self.is_open = False
        self.last_words = ""  # what it did, if an error left its block

    async def __aenter__(self) -> TestEnvironment:
        if self._store is not None:
            raise InvalidCallError("a TestEnvironment is entered once: make another one")
        partitions = _PARTITIONS if self._virtual else None
        store = self._store = await open_store(self._url, clock=self._clock, partitions=partitions)
        self._client = Client(outside(store, self), codec=self._codec, interceptors=self._interceptors)
        stand_ins = self._stand_ins
        workers = self._workers = Workers(
            store,
            self._codec,
            self._workflows,
            stand_ins.made.values(),
            cache_runs=self._cache_runs,
            virtual=self._virtual,
            queues=self._queues,
            interceptors=self._interceptors,
        )
        stand_ins.on_new = workers.offer
        if self._virtual:
            self._keeper = stand_ins.keeper = TimeKeeper(self._virtual_clock, self, patience_s=self._patience_s)
            self._time = asyncio.get_running_loop().create_task(self._keeper.run(), name="durable-testing-time")
        try:
            await workers.begin()
        except BaseException:
            await self._close()
            raise
        self.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False
        if error is not None and self._store is not None:
            self.last_words = await histories_of(self._store)
        await self._close()

    async def _close(self) -> None:
        assert self._workers is not None
        assert self._store is not None
        try:
            await self._workers.stop()
        finally:
            if self._time is not None:
                self._time.cancel()
                await asyncio.wait([self._time])
            await self._store.close()

    # --- what a test works with

    @property
    def client(self) -> Client:
        """A client whose waits let time pass."""
        if self._client is None:
            raise InvalidCallError("the TestEnvironment has not begun: use it in `async with`")
        return self._client

    @property
    def now(self) -> datetime:
        """The time, in UTC: what workflows see as `now()`."""
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def fake(
        self,
        activity: Activity[P, Any] | str,
        *,
        returns: Any = UNSET,
        raises: Exception | type[Exception] | Sequence[Exception | type[Exception]] | None = None,
        takes: Duration = 0,
        calls: Callable[P, Any] | None = None,
    ) -> Fake:
        """Let `activity` do this instead of its own work, to the end of the test or of a `with` block. The latest fake counts.

        `returns` is its result; or a function of its arguments; or a list, one result (or exception to raise) for each call
        in turn. Where the activity returns lists, a list is one result, and `in_turn(...)` gives several. `raises` is an
        exception for every call; a list of them is raised one after the other, before `returns` counts. `calls` is a
        function, `def` or `async def`, to be called in its place. `takes` is how long it takes, in virtual time.

        Every attempt is a call. Raises at once for a fake that the activity could not be: `EncodeError` for a result that
        does not fit, `InvalidCallError` for other parameters.
        """
        known = self._stand_ins.resolve(activity)
        fake = make_fake(
            known, self._codec, self._stand_ins.remove, returns=returns, raises=raises, takes=takes, calls=calls
        )
        self._stand_ins.add(fake)
        return fake

    def calls(self, activity: Activity[..., Any] | str | None = None) -> list[Call]:
        """Return the calls of `activity`, or of all, in order of their start: one for each attempt, of fakes and real ones alike."""
        name = None if activity is None else self._stand_ins.resolve(activity).name
        return [call for call in self._stand_ins.calls if name in (None, call.activity)]

    # --- time

    def freeze(self) -> None:
        """Let time stand still from now on, but for `advance` and `set_time`, until `unfreeze`."""
        self._time_keeper("freeze").frozen += 1

    def unfreeze(self) -> None:
        """Undo one `freeze`. Raises `InvalidCallError` if time is not frozen."""
        keeper = self._time_keeper("unfreeze")
        if not keeper.frozen:
            raise InvalidCallError("unfreeze: time is not frozen")
        keeper.thaw()

    @asynccontextmanager
    async def frozen(self) -> AsyncGenerator[None]:
        """Let time stand still inside the block, but for `advance` and `set_time`."""
        self.freeze()
        try:
            yield
        finally:
            self.unfreeze()

    async def advance(self, duration: Duration) -> None:
        """Let `duration` pass, through everything that is due on the way; returns when what follows has happened.

        A real activity that runs may end first, if it can without the test.
        """
        await self._time_keeper("advance").advance(milliseconds(duration))

    async def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        await self._time_keeper("settle").advance(0)

    async def sleep(self, duration: Duration) -> None:
        """Wait for `duration` of the environment's time; in the function of a fake, too."""
        if self._keeper is None:
            await self._clock.sleep(seconds(duration))
            return
        event = asyncio.Event()
        with self._keeper.waiting(waiter := Waiter((), event)):
            await self._clock.wait(event, seconds(duration))
        if waiter.error is not None:
            raise waiter.error

    def set_time(self, now: datetime) -> None:
        """Set the clock, forwards or back, as on a machine: no time passes by it, and what is due by the new time comes next.

        Raises `ValueError` for a time without a time zone.
        """
        self._time_keeper("set_time")
        self._virtual_clock.set(_ms(now))
        self.passed()

    def _time_keeper(self, what: str) -> TimeKeeper:
        if self._keeper is None:
            why = "time is real on a real store" if not self._virtual else "it has not begun: use it in `async with`"
            raise InvalidCallError(f"{what} does not work in this TestEnvironment: {why}")
        return self._keeper

    # --- accidents

    async def crash_worker(self) -> None:
        """Kill the worker, as SIGKILL would, and go on with a new one: all that was in memory is gone.

        Activities that ran are cancelled, and start again as another delivery of the same attempt. The death is noticed at
        once. A task that has lost its worker five times is parked.
        """
        if self._workers is None:
            raise InvalidCallError("crash_worker: the TestEnvironment has not begun")
        await self._workers.crash()

    # --- what the parts ask (see `Host` and `Watcher`)

    @property
    def keeper(self) -> TimeKeeper | None:
        """See `Host`."""
        return self._keeper

    async def serve(self, queue: str) -> None:
        """See `Host`."""
        if self._workers is not None:
            await self._workers.serve(queue)

    async def check(self, waiter: Waiter) -> None:
        """See `Host`."""
        assert self._workers is not None
        await self._workers.serve_more(thorough=False)
        if (trouble := await self.trouble()) is not None:
            waiter.fail(trouble)
            return
        # A run that was stuck before this worker came may go on in a moment: it must be so for a while.
        now = self._clock.monotonic()
        notes = {id_: note for id_, note in await self._notes(waiter) if note}
        before, self._suspects = self._suspects, {**self._suspects}
        for id_, note in notes.items():
            seen, since = before.get(id_, ("", now))
            if seen != note:
                self._suspects[id_] = (note, now)
            elif now - since >= 1.0:
                waiter.fail(_stuck(note))

    async def trouble(self) -> DurableError | None:
        """See `Watcher`."""
        assert self._workers is not None
        return self._stand_ins.problem or await self._workers.trouble()

    async def fail_stuck(self, waiters: Sequence[Waiter]) -> bool:
        """See `Watcher`."""
        failed = False
        for waiter in waiters:
            for _, note in await self._notes(waiter):
                if note:
                    waiter.fail(_stuck(note))
                    failed = True
        return failed

    async def _notes(self, waiter: Waiter) -> list[tuple[str, str]]:
        """Return (id, why it is stuck) of the runs that `waiter` waits for."""
        assert self._store is not None
        ids = [topic.removeprefix("document/") for topic in waiter.topics if topic.startswith("document/")]
        found: list[tuple[str, str]] = []
        for id_ in ids:
            for partition in range(self._store.partitions):
                document = await self._store.document(partition, id=id_)
                if document is not None and document.open:
                    found.append(
                        (id_, f"{document.kind} {document.name!r} is stuck: {document.note}" if document.note else "")
                    )
        return found

    async def serve_more(self, *, thorough: bool) -> bool:
        """See `Watcher`."""
        assert self._workers is not None
        return await self._workers.serve_more(thorough=thorough)

    async def story(self) -> str:
        """Return what each open run waits for, in words: where its code is, its activities, timers and signals."""
        assert self._store is not None
        return await story_of(self._store, self._workflows, self._codec)

    def passed(self) -> None:
        """See `Watcher`."""
        if self._workers is not None:
            self._workers.renew()


def _stuck(note: str) -> StuckTestError:
    return StuckTestError(note)


def _ms(when: datetime) -> int:
    if when.tzinfo is None:
        raise ValueError(f"expected a time with a time zone, got {when!r}; write datetime(2024, 1, 1, tzinfo=UTC)")
    return round(when.timestamp() * 1000)
