"""Engines on a store under a clock that the test moves: they can be killed, cut off and replaced within one process."""

import asyncio
import inspect
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from durable import Client, _limits
from durable._engine import Engine
from durable._log import ActivityEnded, ActivityTask, ended_entry, read_task
from durable.author import Activity, Workflow
from durable.author._activity_context import CompleteLater
from durable.codec import default_codec, failure_of
from durable.errors import ClaimLostError, StoreError
from durable.history import WIRE, Event, from_raw, tag_of, to_raw
from durable.stores import ClaimedTask, Store, open_store
from durable.testing._clock import ManualClock
from tests.scenario_store import CountedStore, scenario_url

SPINS = 60  # turns of the event loop in which everything that can happen without the clock has happened
SPINS_AFTER_CALLS = 20  # and so many after the last call of a store that is elsewhere has ended
TTL_MS = 10**9  # sessions end when a test says so


class Hands:
    """Runs activities for an engine, in its loop. `calls` has (activity, idempotency key, attempt) for each call."""

    def __init__(self, activities: Sequence[Activity[..., Any]], *, short_cut: bool = True) -> None:
        self.activities = {item.name: item for item in activities}
        self.short_cut = short_cut
        self.calls: list[tuple[str, str, int]] = []
        self.reserved = 0
        self.accept: Callable[[ClaimedTask, ActivityEnded, float], bool] = lambda _claimed, _ended, _asked_s: False
        self.complete: Callable[[ClaimedTask, ActivityEnded], Any] | None = None
        self.running: set[asyncio.Task[None]] = set()
        self.by_task: dict[str, asyncio.Task[None]] = {}
        self.begun: set[str] = set()
        self.told: set[str] = set()  # tasks whose cancellation was asked for

    def reserve(self, queue: str, activity: str) -> bool:
        """See `LocalTasks`."""
        if not self.short_cut or activity not in self.activities:
            return False
        self.reserved += 1
        return True

    def doubt(self) -> None:
        """See `LocalTasks`. There is nothing that it would not know of."""

    def unreserve(self) -> None:
        """See `LocalTasks`."""
        self.reserved -= 1

    def run(self, claimed: ClaimedTask, task: ActivityTask, _asked_s: float) -> None:
        """See `LocalTasks`."""
        self.reserved -= 1
        self.begin(claimed, task)

    def begin(self, claimed: ClaimedTask, task: ActivityTask) -> None:
        """Run a task and report its outcome."""
        self.begun.discard(claimed.task.id)  # of an earlier time: a run that is reopened may set the same task again
        self.told.discard(claimed.task.id)
        work = asyncio.get_running_loop().create_task(self._work(claimed, task))
        self.running.add(work)
        self.by_task[claimed.task.id] = work
        work.add_done_callback(self.running.discard)

    def lost(self, task_ids: Sequence[str]) -> None:
        """See `LocalTasks`. What runs here goes on: a zombie's report is refused, and that is what tests are about."""

    def cancel(self, task_ids: Sequence[str]) -> None:
        """See `LocalTasks`."""
        for task_id in task_ids:
            if task_id in self.by_task and task_id not in self.told:
                self.told.add(task_id)
                if task_id in self.begun:  # else it is about to see that it is told
                    self.by_task[task_id].cancel()

    async def run_local(self, task: ActivityTask) -> ActivityEnded:
        """See `LocalTasks`."""
        item, codec = self.activities[task.activity], default_codec()
        self.calls.append((task.activity, task.idempotency_key, task.attempt))
        ids: Mapping[str, Any] = {"run_id": task.run_id, "id": task.id, "attempt": task.attempt}
        try:
            args, kwargs = item.signature.decode_call(codec, from_raw(task.args), what=task.activity)
            result = item.fn(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        except Exception as error:
            failure = failure_of(error, codec, known=item.options.raises).as_wire()
            return ActivityEnded(failure=failure, **ids)
        if isinstance(result, CompleteLater):
            return ActivityEnded(how="deferred", **ids)
        return ActivityEnded(result=to_raw(item.signature.encode_result(codec, result)), **ids)

    async def _work(self, claimed: ClaimedTask, task: ActivityTask) -> None:
        ids: Mapping[str, Any] = {"run_id": task.run_id, "id": task.id, "attempt": task.attempt}
        self.begun.add(claimed.task.id)
        is_told = claimed.cancelled or claimed.task.id in self.told
        try:
            ended = ActivityEnded(how="cancelled", **ids) if is_told else await self.run_local(task)
        except asyncio.CancelledError:
            if claimed.task.id not in self.told:
                raise
            ended = ActivityEnded(how="cancelled", **ids)
        if not self.accept(claimed, ended, math.inf) and self.complete is not None:
            await self.complete(claimed, ended)


class Engines:
    """A store, a client, and the engines that run on it."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        # In memory everything that can happen happens in turns of the loop; elsewhere calls take as long as they take.
        self.counted = None if store.url.startswith("memory:") else CountedStore(store)
        self.store, self.clock = cast(Store, self.counted or store), clock
        self.client = Client(self.store)
        self.live: dict[str, tuple[Engine, list[asyncio.Task[Any]], Hands]] = {}
        self.spins = SPINS
        self._names = 0

    # --- engines

    async def begin(
        self,
        workflows: Sequence[Workflow[..., Any]],
        activities: Sequence[Activity[..., Any]] = (),
        *,
        store: Store | None = None,
        hands: Hands | None = None,
        cache_runs: int | None = None,
        ttl_ms: int = TTL_MS,
        queue: str = "default",
        short_cut: bool = True,
        codec: Any = None,
    ) -> str:
        """Begin an engine and return its session."""
        self._names += 1
        session = f"session-{self._names}"
        used = store or self.store
        hands = hands or Hands(activities, short_cut=short_cut)
        await self.store.begin_session(session, f"engine/{queue}", b"{}", ttl_ms)
        engine = Engine(
            used,
            session=session,
            queue=queue,
            workflows={item.name: item for item in workflows},
            codec=codec or default_codec(),
            local=hands,
            cache_runs=_limits.CACHE_RUNS_MAX if cache_runs is None else cache_runs,
        )
        hands.accept = engine.accept
        hands.complete = lambda claimed, ended: self._complete(session, claimed, ended)
        tasks = [
            asyncio.create_task(engine.run()),
            asyncio.create_task(self._claim_forever(session, hands, queue, ttl_ms)),
        ]
        self.live[session] = (engine, tasks, hands)
        await self.settle()
        return session

    def engine(self, session: str) -> Engine:
        """Return the engine of a session."""
        return self.live[session][0]

    def hands(self, session: str) -> Hands:
        """Return what runs the activities of a session."""
        return self.live[session][2]

    async def kill(self, session: str, *, notice: bool = True) -> None:
        """End an engine as SIGKILL would. With `notice` the store learns of it at once, as if the time to live had passed."""
        _, tasks, hands = self.live.pop(session)
        hands.accept, hands.complete = (
            (lambda _claimed, _ended, _asked_s: True),
            None,
        )  # what it still does reaches nobody
        for task in [*tasks, *hands.running]:
            task.cancel()
        await asyncio.gather(*tasks, *hands.running, return_exceptions=True)
        if notice:
            await self.store.end_session(session)

    async def stop(self, session: str) -> None:
        """Stop an engine in good order."""
        engine, tasks, _ = self.live.pop(session)
        await self.drive(engine.stop())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.store.end_session(session)

    async def _claim_forever(self, session: str, hands: Hands, queue: str, ttl_ms: int) -> None:
        while True:
            for claimed in await self.store.claim(session, queue, list(hands.activities), 100):
                hands.begin(claimed, read_task(claimed.task))
            hands.cancel(self.store.renew(session, ttl_ms, [], list(hands.by_task)).cancelled)
            await self.clock.sleep(0.5)

    async def _complete(self, session: str, claimed: ClaimedTask, ended: ActivityEnded) -> None:
        try:
            await self.store.complete(session, claimed, ended_entry(claimed.task.name, ended))
        except ClaimLostError:
            return

    # --- time

    async def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        if self.counted is None:
            for _ in range(self.spins):
                await asyncio.sleep(0)
            return
        left = SPINS_AFTER_CALLS
        while left:
            begun = self.counted.begun
            await asyncio.sleep(0)
            await self.counted.wait_until_idle()
            left = left - 1 if self.counted.begun == begun else SPINS_AFTER_CALLS

    async def advance(self, duration: float | str) -> None:
        """Let time pass, and what follows happen."""
        self.clock.advance(duration)
        await self.settle()

    async def until(self, condition: Callable[[], Any], *, step_s: float = 0.5, steps: int = 1_800) -> Any:
        """Let time pass until `condition()`, a function or coroutine function, is true; return what it gave."""
        for _ in range(steps):
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            for session, (_, tasks, _) in self.live.items():
                if tasks[0].done() and not tasks[0].cancelled():
                    tasks[0].result()
                    raise AssertionError(f"the engine {session} has ended")
            await self.advance(step_s)
        raise AssertionError(f"not true after {steps} steps of {step_s} s")

    async def drive(self, work: Any, *, step_s: float = 0.5) -> Any:
        """Return what the coroutine `work` returns, letting time pass while it waits."""
        task = asyncio.ensure_future(work)
        await self.settle()
        try:
            await self.until(task.done, step_s=step_s)
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        return await task

    # --- what is written

    async def history(self, workflow_id: str) -> list[Event]:
        """Return the events of the latest run of an id."""
        recorded = await self.client.handle(workflow_id).history()
        return [WIRE.decode(item.record) for item in recorded]

    async def tags(self, workflow_id: str) -> list[str]:
        """Return the types of these events."""
        return [tag_of(event) for event in await self.history(workflow_id)]

    async def status(self, workflow_id: str) -> str:
        """Return the status of the latest run of an id."""
        return (await self.client.handle(workflow_id).describe()).status

    async def stuck(self, workflow_id: str) -> str | None:
        """Return why the latest run of an id cannot go on."""
        return (await self.client.handle(workflow_id).describe()).stuck

    async def close(self) -> None:
        """Kill what lives."""
        for session in list(self.live):
            try:
                await self.kill(session)
            except StoreError:
                continue


@asynccontextmanager
async def engines(url: str | None = None, *, partitions: int = 2) -> AsyncIterator[Engines]:
    """Open a store under a manual clock: that of scenarios, unless told which."""
    clock = ManualClock()
    async with open_store(url or scenario_url(), clock=clock, partitions=partitions) as store:
        env = Engines(store, clock)
        try:
            yield env
        finally:
            await env.close()
