"""The world of a simulation: its processes, what befalls them, and what is true at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ..._runtime.entropy import RunRandom, run_random
from ...client import Client
from ...errors import RunClosedError, StoreError
from ...stores import Commit, Entry, Lease
from ...stores.memory import MemoryStore, State
from ...worker import Worker
from ._chaos import CALM, Chaos, drawn
from ._checks import Checker
from ._clock import SimulatedClock
from ._coverage import Report, Trace
from ._final import check_end
from ._loop import DeadlockError, HotLoopError, Process, SimulationLoop, current_process
from ._outside import Noting, reach
from ._past import Moment, fall_back, held_by
from ._scenario import Plan, Reachable, Recoverable, Scenario
from ._slots import Slot, draw_slots
from ._store import FaultyStore
from ._witness import Witness

CALM_S_MAX = 900.0  # virtual: once nothing goes wrong any more, everything must have ended within
CLIENTS = 3
EVER_MS = 10**15


class World:
    """One simulation. Implements `StoreWorld`; `run` is its whole life."""

    def __init__(self, seed: int, scenario: Scenario, chaos: Chaos, sink: Callable[[str], None] | None) -> None:
        self._chance = chance = self._new_chance("world", seed)
        self._seed, self.scenario = seed, scenario
        self.report = Report(seed)
        self.loop = SimulationLoop(self._new_chance("order", seed) if chance.random() < 0.7 else None)
        self.loop.on_burnt = self._burnt
        self.trace = Trace(self.loop.time, sink)
        self._back_chance = self._new_chance("back", seed)
        self.chaos = drawn(chaos, chance, self._back_chance)
        self._chaos_s = 20 + 80 * chance.random() if chaos != CALM else 0.0
        self.state = State(1 + int(4 * chance.random()))
        self._clock = SimulatedClock(self.loop, self._new_chance("store", seed))
        self.store = MemoryStore(self.state, self._clock, "memory:simulation")
        goes_back = self._chaos_s > 0 and self.chaos.step_every_s > 0
        self.checker = Checker(self.state, self.broken, early_ms=EVER_MS if goes_back else 0)
        self.problems: list[tuple[str, str]] = []
        self.effects: dict[str, int] = {}
        self._outside = (
            scenario.outside(self.has_effect, goes_back=self.chaos.back_every_s > 0)
            if isinstance(scenario, Reachable)
            else Noting(self.has_effect)
        )
        self._over: asyncio.Future[None] = self.loop.create_future()
        self._slots: list[Slot] = []
        self._users: list[Process] = []
        self._clients: list[Client] = []
        self._playing: list[asyncio.Task[None]] = []
        self._processes = 0
        self._stopping = False
        self.calm_ms = 0
        self.is_calm = chaos == CALM
        self.witness = Witness(self.broken) if self._new_chance("witness", seed).random() < 0.4 else None

    @staticmethod
    def _new_chance(what: str, seed: int) -> RunRandom:
        return run_random(f"simulation/{seed}/{what}")

    # --- what processes tell (see `StoreWorld`)

    def note(self, process: Process, what: str, data: bytes = b"") -> None:
        """See `StoreWorld`."""
        self.trace.add(process.name, what, data)

    def count(self, what: str) -> None:
        """See `StoreWorld`."""
        self.report.counts[what] += 1

    def expects(self, error: str) -> bool:
        """Return whether an error that was logged is what must be told: that the store fell back, or a task is parked."""
        if self.report.counts["went_back"] and error.startswith("the store fell back"):
            self.count("losses_noticed")
            return True
        return " is parked, and its run waits for you" in error

    def broken(self, invariant: str, text: str) -> None:
        """Something is not as it must be: the simulation ends with it."""
        self.problems.append((invariant, text))
        if not self._over.done():
            self._over.set_result(None)

    def before_commit(self, commits: Sequence[Commit]) -> None:
        """See `StoreWorld`."""
        self.checker.before_commit(commits)

    def after_commit(self, process: Process, commits: Sequence[Commit], answers: Sequence[Exception | None]) -> None:
        """See `StoreWorld`."""
        for commit, answer in zip(commits, answers, strict=True):
            if answer is None:
                self.count("commits")
            else:
                self.count(f"refused: {type(answer).__name__}")
                self.note(process, f"commit {commit.id.rpartition('/')[2]} refused: {type(answer).__name__}")
        self.checker.after_commit(commits, answers)
        slot = next((slot for slot in self._slots if slot.process is process), None)
        for commit, answer in zip(commits, answers, strict=True):
            for append in commit.appends if answer is None else ():
                run = self.checker.runs[append.stream]
                if slot is not None and run.pinned and (run.workflow, run.version) not in slot.offers:
                    self.broken("pinned versions", f"{process.name} stepped {run.run_id}, of version {run.version}")

    def acquired(self, leases: Sequence[Lease]) -> None:
        """See `StoreWorld`."""
        self.checker.acquired(leases)

    def arrives(self, entry: Entry) -> None:
        """See `StoreWorld`."""
        self.checker.arrives(entry)

    def run_later(self, delay_s: float, work: Callable[[], Awaitable[object]]) -> None:
        """See `StoreWorld`."""

        async def later() -> None:
            await asyncio.sleep(delay_s)
            await work()

        self.loop.spawn(self.loop.world, later())

    def crash(self, process: Process, why: str) -> None:
        """See `StoreWorld`."""
        slot = next((slot for slot in self._slots if slot.process is process), None)
        if slot is None or not process.alive:
            return  # clients live on: what they are told is what is checked
        self.count("crashes")
        self.note(process, f"dies {why}")
        self.loop.kill(process)
        self._replace(slot)

    def _burnt(self, process: Process) -> None:
        self.crash(process, "between two callbacks")

    # --- workers

    def _replace(self, slot: Slot) -> None:
        slot.process = None
        if not self._stopping:
            delay_s = 8 * self._chance.random() ** 3
            self.run_later(delay_s, lambda: self._begin_worker(slot))

    async def _begin_worker(self, slot: Slot) -> None:
        slot.lives += 1
        slot.told = asyncio.Event()
        slot.process = process = self.loop.new_process(f"worker-{slot.number}.{slot.lives}")
        self.count("workers")
        self.note(process, "begins")
        self.loop.spawn(process, self._work(slot, process))

    async def _work(self, slot: Slot, process: Process) -> None:
        reach(self._outside)
        client = self._client(process)
        scenario = self.scenario
        worker = Worker(
            client,
            workflows=slot.workflows,
            activities=scenario.activities,
            renew_in_thread=False,
            **slot.options,
        )
        told = slot.told
        try:
            async with worker:
                await told.wait()
        except StoreError as error:
            self.note(process, f"ends by {type(error).__name__}")
        except Exception as error:
            self.broken("a worker failed", f"{process.name}: {type(error).__name__}: {error}")
        self.note(process, "has stopped")
        self.loop.call_soon(self._gone, slot, process)

    def _gone(self, slot: Slot, process: Process) -> None:
        if process.alive:
            self.loop.kill(process)
            self._replace(slot)

    def _client(self, process: Process) -> Client:
        self._processes += 1
        chance = self._new_chance(process.name, self._seed)
        skew = round((2 * chance.random() - 1) * self.chaos.skew_ms_max)
        clock = SimulatedClock(self.loop, chance, skew)
        store = FaultyStore(self.store, process, clock, chance, self)
        return Client(store, interceptors=[] if self.witness is None else [self.witness])

    async def has_effect(self, key: str, n: int) -> None:
        """An activity has its effect, and takes some time for it."""
        self.effects[key] = self.effects.get(key, 0) + 1
        process = current_process()
        assert process is not None
        self.note(process, f"effect {n}", key.encode())
        draw = self._chance.random()
        await asyncio.sleep(0 if draw < 0.5 else 4 * (draw - 0.5) ** 2)

    # --- what befalls them

    async def _befall(self, every_s: float, happens: Callable[[], None]) -> None:
        if not every_s:
            return
        while True:
            await asyncio.sleep(2 * every_s * self._chance.random())
            happens()

    def _victim(self) -> Slot | None:
        living = [slot for slot in self._slots if slot.process is not None]
        return self._chance.choice(living) if living else None

    def _crash_one(self) -> None:
        if (slot := self._victim()) is not None and slot.process is not None:
            slot.process.fuse = 1 + int(200 * self._chance.random())

    def _freeze_one(self) -> None:
        if (slot := self._victim()) is not None and slot.process is not None:
            seconds = self.chaos.freeze_s_max * self._chance.random()
            self.count("freezes")
            self.note(slot.process, f"stands still for {seconds:.3f} s")
            slot.process.frozen_until = self.loop.time() + seconds

    def _stop_one(self) -> None:
        if (slot := self._victim()) is not None and slot.process is not None:
            self.count("stops")
            self.note(slot.process, "is told to stop")
            slot.told.set()

    def _step_clock(self) -> None:
        step_ms = round((2 * self._chance.random() - 1) * self.chaos.step_ms_max)
        self.count("clock_steps")
        self.note(self.loop.world, f"the store's clock moves by {step_ms} ms")
        self._clock.offset_ms += step_ms

    async def _fall_back_now_and_then(self) -> None:
        scenario, chance = self.scenario, self._back_chance
        if not self.chaos.back_every_s or not isinstance(scenario, Recoverable):
            return
        while True:
            await asyncio.sleep(2 * self.chaos.back_every_s * chance.random())
            moment = Moment(self.loop.time(), held_by(self.state), self.checker.known(), scenario.remember())
            await asyncio.sleep(self.chaos.back_s_max * chance.random() ** 2)
            self.count("went_back")
            self.note(self.loop.world, f"the store falls back by {self.loop.time() - moment.at_s:.3f} s")
            fall_back(self.state, self.checker, moment)
            self._play(scenario.went_back(moment.scenario))

    # --- its life

    def run(self) -> None:
        """Live it to the end. What was broken is in `problems`."""
        handler = _Errors(self)
        logger = logging.getLogger("durable")
        level, propagate = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.DEBUG if self.trace.listens else logging.ERROR)
        try:
            self.loop.run_until_complete(self.loop.spawn(self.loop.world, self._live()))
        except (HotLoopError, DeadlockError) as error:
            self.broken("liveness", str(error))
        finally:
            handler.deaf = True
            self.loop.dispose()
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)
        self.report.trace, self.report.virtual_s = self.trace.digest, self.loop.time()
        self.report.turns = self.loop.turns

    async def _live(self) -> None:
        self._slots = draw_slots(self._chance, self._new_chance("offers", self._seed), self.scenario)
        for slot in self._slots:
            self.run_later(5 * self._chance.random(), lambda slot=slot: self._begin_worker(slot))  # type: ignore[misc]
        self._users = [self.loop.new_process(f"client-{number}") for number in range(CLIENTS)]
        self._clients = [self._client(process) for process in self._users]
        self._play(self.scenario.plan(self._new_chance("scenario", self._seed)))
        everything = asyncio.ensure_future(self._until_over())
        await asyncio.wait([everything, self._over], return_when=asyncio.FIRST_COMPLETED)
        everything.cancel()
        await asyncio.gather(everything, return_exceptions=True)
        if not self.problems:
            await check_end(self)

    def _play(self, plans: Sequence[Plan]) -> None:
        """Let callers do what `plans` say, and nothing else any more."""
        for task in self._playing:
            task.cancel()
        self._playing = [
            self.loop.spawn(self._users[number % CLIENTS], self._played(plan(self._clients)))
            for number, plan in enumerate(plans)
        ]

    async def _played(self, play: Awaitable[None]) -> None:
        try:
            await play
        except Exception as error:
            self.broken("a client's call", f"{type(error).__name__}: {error}")

    async def _until_over(self) -> None:
        chaos = self.chaos
        befalling = [
            asyncio.ensure_future(self._befall(every_s, happens))
            for every_s, happens in (
                (chaos.crash_every_s, self._crash_one),
                (chaos.freeze_every_s, self._freeze_one),
                (chaos.stop_every_s, self._stop_one),
                (chaos.step_every_s, self._step_clock),
            )
        ]
        befalling.append(asyncio.ensure_future(self._fall_back_now_and_then()))
        try:
            await self._until_played(self.loop.time() + self._chaos_s)
        finally:
            for task in befalling:
                task.cancel()
            self.chaos = CALM
        self.note(self.loop.world, "nothing goes wrong any more")
        self.calm_ms = self._clock.now_ms()
        ends = self.loop.time() + CALM_S_MAX
        while not (played := await self._until_played(self.loop.time() + 5)) and self.loop.time() < ends:
            await self._release_parked()
            await self._end_what_waits_for_nobody()
        if not played:
            self.broken("liveness", f"{sum(not task.done() for task in self._playing)} clients wait for ever")
        await self._until_settled()

    async def _until_played(self, ends_s: float) -> bool:
        """Wait until all callers have done their part; False if that is not so by `ends_s`."""
        while True:
            playing = self._playing
            everyone = asyncio.gather(*playing, return_exceptions=True)
            await asyncio.wait([everyone], timeout=ends_s - self.loop.time())
            if self._playing is playing:
                return everyone.done()

    async def _release_parked(self) -> None:
        parked = [info.task.id for info in await self.store.inspect.tasks(parked=True)]
        if parked:
            self.report.counts["parked"] += await self.store.inspect.release_parked(parked)

    async def _end_what_waits_for_nobody(self) -> None:
        """A run whose child is in a part of the store that fell back, after it was told of its start, waits for ever."""
        runs = self.checker.runs
        for run in list(runs.values()) if self.report.counts["went_back"] else ():
            if not run.closed and any(child and child not in runs for child in run.children.values()):
                try:
                    await self._clients[0].handle(run.workflow_id, run.run_id).terminate()
                except (RunClosedError, StoreError):
                    continue

    async def counts(self) -> dict[str, int]:
        """Return what the store holds."""
        return await self.store.inspect.counts()

    async def _until_settled(self) -> None:
        for _ in range(60):
            counts = await self.counts()
            if not any(counts[what] for what in ("inbox", "tasks", "dues", "outgoing")):
                return
            await asyncio.sleep(2)


class _Errors(logging.Handler):
    """What the package logs as an error is one, whatever befalls it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.deaf = False

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if self.deaf:
            return
        process = current_process()
        self._world.trace.comment(process.name if process else "?", f"[{record.levelname}] {record.getMessage()}")
        if self._world.expects(record.getMessage()):
            return
        if record.levelno >= logging.ERROR:
            self._world.broken("no error is logged", record.getMessage())
