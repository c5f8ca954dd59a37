"""One play of a scenario, in virtual time: real workers and clients as simulated processes, one of which is struck at a write.

A killed process is gone as by SIGKILL: nothing of it runs any more, not even a `finally`, and its leases and claims run out
by themselves. The store is opened anew after it, and another worker with the same code takes its place.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from durable import Client, Interceptor, Worker, activity_info
from durable.author import Activity, Workflow
from durable.client import RunDescription
from durable.history import RecordedEvent
from durable.stores import Store
from durable.testing import assert_replays
from durable.testing.simulation._loop import Process
from tests.killed.stores import AnsweredLoop, Counted, Doomed, Place, is_server

WRITES = ("commit", "create", "send", "complete")  # what a worker can be killed at
LEASE_S = 2
SUCCESSOR_S = 1.8  # when the next worker begins: the rest of the lease it waits
PATIENCE_S = 300.0  # virtual
LOOK_EVERY_S = 0.4
Look = Callable[[], Coroutine[Any, Any, object]]
OUTCOMES = ("ActivityCompleted", "ActivityFailed", "LocalActivityCompleted", "LocalActivityFailed")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens when nothing goes wrong, and must come out the same whatever does.

    `drive` is what the callers do; it returns `gives`. `events` says how often the events that matter come in all histories
    together; all but those that may come or not (`varies`) are compared with those of a play in which nobody dies. `codes` is
    the code that the finished run of a workflow id follows, where that is not what was served last.
    """

    name: str
    workflows: Sequence[Workflow[..., Any]]
    activities: Sequence[Activity[..., Any]] = ()
    drive: Callable[[World], Awaitable[object]]
    gives: object
    events: Mapping[str, int]
    varies: Collection[str] = ()
    codes: Mapping[str, Workflow[..., Any]] = field(default_factory=dict[str, Workflow[..., Any]])
    interceptors: Sequence[Interceptor] = ()


@dataclass(frozen=True)
class Fault:
    """What befalls the worker that makes the write number `nth` of all: one of `FATES`."""

    nth: int
    fate: str


@dataclass(eq=False)
class Played:
    """What came of it. `runs` counts what the runs look like: workflow, status, and how often which event."""

    gave: object
    writes: int
    runs: Counter[tuple[object, ...]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)


_WORLD: ContextVar[World] = ContextVar("world")


async def effect() -> None:
    """To be awaited by each activity: note its effect, and take the time in which others of the same worker are written."""
    info = activity_info()
    _WORLD.get().happened(info.idempotency_key, info.attempt, info.token)
    await asyncio.sleep(0.05)


@dataclass(eq=False)
class Slot:
    """A place for a worker; `workflows` is the code that the next one has."""

    name: str
    workflows: Sequence[Workflow[..., Any]]
    lives: int = 0
    told: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """See the module. `client` is for the scenario's callers, whose process is not killed."""

    def __init__(
        self, loop: AnsweredLoop, scenario: Scenario, place: Place, cache_runs: int | None, fault: Fault | None
    ) -> None:
        self._loop, self._scenario, self._place, self._fault = loop, scenario, place, fault
        self._cache_runs = cache_runs
        self._around = scenario.interceptors
        self._slots: dict[str, Slot] = {}
        self._codes: dict[tuple[str, str | None], Workflow[..., Any]] = {}
        self._effects: Counter[tuple[str, int]] = Counter()
        self._recorded: frozenset[str] = frozenset()  # idempotency keys of what had an outcome when a worker was killed
        self._successions: list[asyncio.Task[None]] = []
        self._over: asyncio.Future[None] = loop.create_future()
        self.writes = 0
        self.client: Client
        self.tokens: list[str] = []  # of the attempts that were begun
        self._user = loop.new_process("user")

    # --- for the scenarios

    async def until(self, look: Look) -> object:
        """Return what `look` gives once that is true."""
        ends = self._loop.time() + PATIENCE_S
        while True:
            if found := await look():
                return found
            assert self._loop.time() < ends, f"{look.__qualname__} gave {found} for {PATIENCE_S} s"
            await asyncio.sleep(LOOK_EVERY_S)

    async def events(self, workflow_id: str, run_id: str | None = None) -> list[RecordedEvent]:
        """Return the history of the latest run of an id, which may be none."""
        try:
            return await self.client.handle(workflow_id, run_id).history()
        except LookupError:
            return []

    async def until_event(self, workflow_id: str, kind: str, number: int = 1) -> None:
        """Wait until the latest run of an id has so many events of a kind."""

        async def has() -> bool:
            return sum(type(each.event).__name__ == kind for each in await self.events(workflow_id)) >= number

        await self.until(has)

    async def until_status(self, workflow_id: str, status: str) -> None:
        """Wait until the latest run of an id has this status."""

        async def has() -> bool:
            return any(run.workflow_id == workflow_id for run in await self.client.list(status=cast(Any, status)))

        await self.until(has)

    async def serve(self, *workflows: Workflow[..., Any], slot: str = "worker") -> None:
        """Have a worker with this code, from now on; one that is in its place is stopped in good order first."""
        self._codes.update({(code.name, code.version or None): code for code in workflows})
        if (there := self._slots.get(slot)) is None:
            there = self._slots[slot] = Slot(slot, workflows)
            self._begin(there)
        else:
            there.workflows, there.began = workflows, asyncio.Event()
            there.told.set()
        await there.began.wait()

    # --- workers

    def happened(self, key: str, attempt: int, token: str) -> None:
        """An activity has its effect."""
        if key in self._recorded:
            self._broken(AssertionError(f"activity {key} runs again, though its outcome is recorded"))
        self._effects[key, attempt] += 1
        self.tokens.append(token)

    def _client(self, store: Counted) -> Client:
        self._loop.counters.append(store)
        return Client(cast(Store, store), interceptors=self._around)

    def _begin(self, slot: Slot) -> None:
        slot.lives += 1
        slot.told = asyncio.Event()
        process = self._loop.new_process(f"{slot.name}.{slot.lives}")
        self._loop.spawn(process, self._work(slot, process))

    async def _work(self, slot: Slot, process: Process) -> None:
        _WORLD.set(self)
        store = Doomed(process, await self._place.handle(), self._fate, lambda: self._die(slot, process))
        worker = Worker(
            self._client(store),
            workflows=slot.workflows,
            activities=self._scenario.activities,
            cache_runs=self._cache_runs,
            lease_ttl=LEASE_S,
            renew_in_thread=False,
        )
        told = slot.told
        try:
            async with worker:
                slot.began.set()
                await told.wait()
        except Exception as error:
            self._broken(error)
        self._loop.call_soon(self._begin, slot)

    def _fate(self, name: str) -> str:
        if name not in WRITES:
            return ""
        self.writes += 1
        return self._fault.fate if self._fault is not None and self.writes == self._fault.nth else ""

    async def _die(self, slot: Slot, process: Process) -> None:
        self._loop.kill(process)
        self._successions.append(self._loop.spawn(self._loop.world, self._succeed(slot)))
        await self._loop.create_future()

    async def _succeed(self, slot: Slot) -> None:
        try:
            await self._place.open_anew()
            self._recorded = await self._recorded_now()
            await asyncio.sleep(SUCCESSOR_S)
        except Exception as error:
            self._broken(error)
        self._begin(slot)

    async def _recorded_now(self) -> frozenset[str]:
        """Return the idempotency keys of the activities that have an outcome."""
        found = set[str]()
        for run in await self.client.list():
            for each in await self.events(run.workflow_id, run.run_id):
                if type(each.event).__name__ in OUTCOMES:
                    found.add(f"{run.run_id}/{cast(Any, each.event).id}")
        return frozenset(found)

    def _broken(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    # --- its life

    async def live(self) -> Played:
        """Play it, and see what came of it."""
        try:
            user = self._loop.spawn(self._user, self._play())
            await asyncio.wait([user, self._over], return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()
            return await user
        finally:
            await asyncio.gather(*self._successions)
            for process in self._loop.processes:
                if process is not self._loop.world:
                    self._loop.kill(process)
            await self._place.close()

    async def _play(self) -> Played:
        scenario = self._scenario
        self.client = self._client(Counted(self._user, await self._place.handle()))
        async with asyncio.timeout(10 * PATIENCE_S):
            await self.serve(*scenario.workflows)
            played = Played(await scenario.drive(self), self.writes)
            await self.until(self._settled)
        scheduled, completed = set[str](), set[str]()
        for run in await self.client.list():
            await self._look_at(run, played, scheduled, completed)
        ran = {key for key, _ in self._effects}
        assert ran <= scheduled, f"activities that nobody asked for: {ran - scheduled}"
        assert completed <= ran, f"results of activities that never ran: {completed - ran}"
        assert all(number <= 2 for number in self._effects.values()), self._effects
        played.writes = self.writes
        return played

    async def _settled(self) -> bool:
        counts = await self.client.store.inspect.counts()
        return not any(counts[what] for what in ("inbox", "tasks", "dues", "outgoing"))

    async def _look_at(self, run: RunDescription, played: Played, scheduled: set[str], completed: set[str]) -> None:
        assert run.status != "running", run
        assert run.stuck is None, run
        history = await self.client.handle(run.workflow_id, run.run_id).history()
        assert [each.seq for each in history] == list(range(1, len(history) + 1))
        kinds = [type(each.event).__name__ for each in history]
        events = Counter(kinds)
        played.events += events
        fixed = tuple(sorted(item for item in events.items() if item[0] not in self._scenario.varies))
        played.runs[run.workflow, run.status, fixed] += 1
        for kind, each in zip(kinds, history, strict=True):
            if kind in ("ActivityScheduled", "LocalActivityScheduled"):
                scheduled.add(f"{run.run_id}/{each.event.id}")
            if kind in ("ActivityCompleted", "LocalActivityCompleted") and run.forked_from is None:
                completed.add(f"{run.run_id}/{each.event.id}")
        code = self._scenario.codes.get(run.workflow_id) or self._codes[run.workflow, run.version]
        assert_replays(code, history, interceptors=self._around)


def play(scenario: Scenario, url: str, cache_runs: int | None, fault: Fault | None) -> Played:
    """Play a scenario on a store that holds nothing yet."""
    gc.freeze()  # the loop looks for the runs of killed processes among all objects: let these be those of this play
    try:
        return _played(scenario, url, cache_runs, fault)
    finally:
        if is_server(url):
            gc.collect()  # connections that nobody closed say so: now, not in the test after this one
        gc.unfreeze()


def _played(scenario: Scenario, url: str, cache_runs: int | None, fault: Fault | None) -> Played:
    loop = AnsweredLoop()
    try:
        world = World(loop, scenario, Place(loop, url), cache_runs, fault)
        return loop.run_until_complete(loop.spawn(loop.world, world.live()))
    finally:
        loop.dispose()
