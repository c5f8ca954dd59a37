"""What a worker has claimed, it begins only while the claim is its own for certain: a process may have been away in between."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from durable import Client, Worker, activity, activity_info, proxy, workflow
from durable._clock import SystemClock
from durable.stores import ClaimedTask, Commit
from durable.testing._clock import ManualClock
from durable.worker._keeper import Keeper
from tests.worker.cpu import note_delivery
from tests.worker.faulty import FaultyStore
from tests.worker.harness import until
from tests.worker.test_keeper import Holding, settle

TTL_S = 1.0


class SkippingClock(SystemClock):
    """The system's clock, as a process sees it that is stopped now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.away_s = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + int(self.away_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.away_s


class AwayStore(FaultyStore):
    """After the first call that claims something, `then` happens before its caller goes on."""

    def __init__(self, then: Callable[["AwayStore", Sequence[str]], None]) -> None:
        self.skipping = SkippingClock()
        super().__init__(self.skipping)
        self._then = then
        self.happened = False

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        claimed = await super().claim(session, queue, kinds, limit)
        self._claimed([each.task.id for each in claimed])
        return claimed

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        answers = await super().commit(commits)
        self._claimed([task.id for commit in commits for task in commit.tasks if task.claimed_by])
        return answers

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        self.calls["unclaim"] += len(tasks)
        await super().unclaim(session, tasks)

    def _claimed(self, task_ids: Sequence[str]) -> None:
        if task_ids and not self.happened:
            self.happened = True
            self._then(self, task_ids)


def is_away(store: AwayStore, _task_ids: Sequence[str]) -> None:
    """The process stands still for longer than its session lives."""
    store.skipping.away_s += 3 * TTL_S


@pytest.mark.parametrize("mode", ["async", "thread", "process"])
@pytest.mark.parametrize("queue", ["default", "far"], ids=["short-cut", "claimed"])
async def test_what_was_claimed_before_a_long_absence_does_not_begin(mode: str, queue: str, tmp_path: Path) -> None:
    """It is handed back, its delivery does not count, and it runs once it is claimed anew."""
    began: list[tuple[str, int]] = []

    @activity(name="note_delivery")
    async def note_async(_folder: Path) -> None:
        began.append(("async", activity_info().delivery))

    @activity(name="note_delivery")
    def note_in_thread(_folder: Path) -> None:
        began.append(("thread", activity_info().delivery))

    @workflow
    async def run_it() -> None:
        await proxy("note_delivery", queue=queue)(tmp_path)

    chosen: Any = {"async": note_async, "thread": note_in_thread, "process": note_delivery}[mode]
    store = AwayStore(is_away)
    client = Client(store)
    here: Any = {"activities": [chosen], "lease_ttl": TTL_S}
    if queue == "default":
        async with Worker(client, workflows=[run_it], **here):
            await client.execute(run_it)()
    else:
        async with Worker(client, workflows=[run_it], lease_ttl=3600), Worker(client, queue=queue, **here):
            await client.execute(run_it)()
    assert store.calls["unclaim"] == 1
    if mode == "process":
        began = [("process", int(text)) for text in _notes(tmp_path)]
    assert began == [(mode, 1)]


def _notes(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


@pytest.mark.parametrize("mode", ["async", "thread"])
async def test_a_claim_that_is_lost_before_its_code_began_frees_its_slot(mode: str) -> None:
    """Told to stop before it began, it does not begin at all; what comes next runs in its slot."""
    life: list[Any] = []
    began: list[int] = []
    blocked = asyncio.Event()

    def loses_it(_store: AwayStore, task_ids: Sequence[str]) -> None:
        """The next thing that the loop hears, before anything that was begun, is that the claim is lost."""
        asyncio.get_running_loop().call_soon(life[0]._runner.lost, list(task_ids))
        blocked.set()

    @activity(name="work")
    async def work_async(number: int) -> None:
        began.append(number)

    @activity(name="work")
    def work_in_thread(number: int) -> None:
        began.append(number)

    @workflow
    async def run_it(number: int) -> None:
        await proxy("work", queue="far")(number)

    store = AwayStore(loses_it)
    client = Client(store)
    chosen: Any = work_async if mode == "async" else work_in_thread
    worker = Worker(client, activities=[chosen], queue="far", max_concurrent_activities=1)
    async with Worker(client, workflows=[run_it]), worker:
        life.append(worker._life)
        if mode == "thread":  # its one thread is busy until the claim is lost
            life[0]._runner._modes._threads.submit(lambda: _wait_for(blocked))
        first = await client.start(run_it)(1)
        await until(lambda: store.happened)
        assert await client.execute(run_it)(2) is None
        assert began == [2]
        assert (await first.describe()).status == "running"


def _wait_for(event: asyncio.Event) -> None:
    while not event.is_set():
        os.sched_yield()


def _keeper(store: FaultyStore) -> Keeper:
    return Keeper(store, "s", 5_000, Holding(), use_thread=False)


async def test_a_session_is_sure_until_its_renewals_fail_for_its_time_to_live() -> None:
    """After the gap, what was claimed before stays in doubt; what is claimed after it is not."""
    clock = ManualClock()
    store = FaultyStore(clock)
    keeper = _keeper(store)
    assert not keeper.is_sure()
    asked_s = clock.monotonic()
    await store.begin_session("s", "test", b"", 5_000)
    keeper.began(asked_s)
    running = asyncio.ensure_future(keeper.run())
    await _pass(clock, 20)
    assert keeper.is_sure(asked_s)
    await store.begin_session("s", "test", b"", 60_000)  # the store takes it to be alive throughout
    store.refuse["renew"] = 5
    await _pass(clock, 4)
    assert keeper.is_sure(asked_s)
    await _pass(clock, 1)
    assert not keeper.is_sure()
    before_s = clock.monotonic()
    await _pass(clock, 1)
    assert keeper.is_sure()
    assert not keeper.is_sure(before_s)
    assert keeper.is_sure(clock.monotonic())
    keeper.stop()
    await running


async def test_a_session_that_was_ended_is_not_sure_before_it_is_begun_anew() -> None:
    """Whatever the keeper's own clock says."""
    clock = ManualClock()
    store = FaultyStore(clock)
    keeper = _keeper(store)
    await store.begin_session("s", "test", b"", 5_000)
    keeper.began(began_s := clock.monotonic())
    running = asyncio.ensure_future(keeper.run())
    await _pass(clock, 2)
    await store.end_session("s")
    assert keeper.is_sure(began_s)  # it cannot know yet
    await _pass(clock, 3)
    assert not keeper.is_sure()
    await store.begin_session("s", "test", b"", 5_000)
    keeper.began(anew_s := clock.monotonic())
    assert keeper.is_sure(anew_s)
    assert not keeper.is_sure(began_s)
    await _pass(clock, 20)
    assert keeper.is_sure(anew_s)
    keeper.stop()
    await running


async def _pass(clock: ManualClock, times: int) -> None:
    for _ in range(times):
        await settle()
        clock.advance(1)
        await settle()
