"""Tasks: claimed by one session at a time, in order, and parked when they kill whoever takes them."""

from dataclasses import replace

import pytest

from ... import _limits
from ...errors import ClaimLostError
from ...stores._protocol import ClaimedTask, Entry, Renewal, Store
from .._clock import ManualClock
from ._base import NAME, TTL_MS, Base, P, applied, claim, commit_of, contents, entry, inbox_of, lease_for, queued, task

TTL_S = TTL_MS / 1000


async def _park(store: Store, clock: ManualClock) -> None:
    """Let every claim of the queue's tasks expire until they are parked."""
    for number in range(_limits.TASK_DELIVERIES_MAX):
        await store.begin_session(f"doomed-{number}", "group", b"", TTL_MS)
        assert await claim(store, f"doomed-{number}")
        clock.advance(TTL_S)
    await store.begin_session("s-1", "group", b"", TTL_MS)
    assert await claim(store) == []


class TaskTests(Base):
    """Work for whoever claims it."""

    async def test_the_oldest_tasks_are_claimed_first(self, store: Store) -> None:
        """`claim`: up to `limit` free tasks of `queue`, oldest first in each partition, whose kind is in `kinds`."""
        new = [task(f"t-{number}") for number in (3, 1, 2)]
        lease = await queued(store, *new)
        await applied(
            store, lease, tasks=[task("t-0", kind="ship"), task("t-4", queue="other"), task("t-5", kind="mail")]
        )
        assert await claim(store, limit=2) == [ClaimedTask(P, new[0], 1), ClaimedTask(P, new[1], 1)]
        assert [each.task.id for each in await claim(store, kinds=["charge", "ship"])] == ["t-2", "t-0"]
        assert await claim(store) == []
        assert await claim(store, limit=0, kinds=["mail"]) == []

    async def test_a_task_is_claimed_by_one_session_only(self, store: Store) -> None:
        """Tasks are claimed by one session at a time."""
        await queued(store, task())
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert len(await claim(store)) == 1
        assert await claim(store, "s-2") == []
        assert await claim(store) == []

    async def test_tasks_of_all_partitions_are_claimed(self, store: Store) -> None:
        """`claim` looks into every partition, and says where each task is."""
        for partition in range(3):
            await queued(store, task(f"t-{partition}"), partition=partition)
        assert {each.task.id: each.partition for each in await claim(store)} == {"t-0": 0, "t-1": 1, "t-2": 2}

    async def test_a_task_can_be_inserted_as_claimed(self, store: Store, clock: ManualClock) -> None:
        """`Task.claimed_by`: insert the task as already claimed by this session; that counts as a delivery."""
        lease = await lease_for(store)
        await applied(store, lease, tasks=[task(claimed_by="s-1")])
        assert await claim(store) == []
        assert [(each.deliveries, each.claimed_by) for each in await store.inspect.tasks()] == [(1, "s-1")]
        assert store.renew("s-1", TTL_MS, [], ["t-1"]).tasks == ()
        clock.advance(TTL_S)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert await claim(store, "s-2") == [ClaimedTask(P, task(), 2)]

    async def test_a_task_inserted_as_claimed_by_a_session_that_is_gone_is_free(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Claims are free once their session ends or expires; so is one that comes after that, and a renewal takes it back."""
        lease = await queued(store, task("t-1"))
        await claim(store)
        clock.advance(TTL_S)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert [each.task.id for each in await claim(store, "s-2", limit=1)] == ["t-1"]
        late = [task("t-2", claimed_by="s-1"), task("t-3", claimed_by="s-1"), task("t-4", claimed_by="nobody")]
        await applied(store, lease, tasks=late)
        assert [each.task.id for each in await claim(store, "s-2", limit=1)] == ["t-2"]
        assert store.renew("s-1", TTL_MS, [], ["t-2", "t-3"]) == Renewal(tasks=("t-2",), session_expired=True)
        assert [each.task.id for each in await claim(store, "s-2")] == ["t-4"]

    async def test_completing_removes_the_task_and_appends_its_entry(self, store: Store) -> None:
        """`complete`: remove the task and append `entry` to its `inbox`, in one."""
        await queued(store, task())
        (claimed,) = await claim(store)
        await store.complete("s-1", claimed, entry("e-9", data=b"result"))
        assert [(each.id, each.data) for each in await inbox_of(store)] == [("e-9", b"result")]
        assert await store.inspect.tasks() == []

    async def test_completing_without_the_claim_is_refused(self, store: Store, clock: ManualClock) -> None:
        """`complete`: raises `ClaimLostError` unless `session` holds the claim."""
        await queued(store, task())
        (claimed,) = await claim(store)
        before = await contents(store)
        with pytest.raises(ClaimLostError):
            await store.complete("s-2", claimed, entry("e-9"))
        assert await contents(store) == before
        clock.advance(TTL_S)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        (theirs,) = await claim(store, "s-2")
        with pytest.raises(ClaimLostError):
            await store.complete("s-1", claimed, entry("e-9"))
        assert await inbox_of(store) == []
        await store.complete("s-2", theirs, entry("e-9"))
        with pytest.raises(ClaimLostError):
            await store.complete("s-2", theirs, entry("e-8"))
        assert [each.id for each in await inbox_of(store)] == ["e-9"]

    async def test_a_claim_is_kept_until_someone_takes_it(self, store: Store, clock: ManualClock) -> None:
        """`complete`: an expired claim that nobody took is still good: the work was done, and only once."""
        await queued(store, task("t-1"), task("t-2"))
        first, _second = await claim(store)
        clock.advance(TTL_S)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert (
            await claim(store, "s-2", kinds=["other"]) == []
        )  # whoever looks may notice the expiry, and takes nothing
        await store.complete("s-1", first, entry("e-9"))
        assert [each.id for each in await inbox_of(store)] == ["e-9"]
        assert [each.task.id for each in await claim(store, "s-2")] == ["t-2"]

    async def test_the_commit_of_an_owner_can_end_a_task(self, store: Store) -> None:
        """Tasks end by `complete` or by a commit, whoever has claimed them."""
        lease = await queued(store, task())
        (claimed,) = await claim(store)
        await applied(store, lease, tasks_removed=["t-1"])
        assert store.renew("s-1", TTL_MS, [], ["t-1"]).tasks == ("t-1",)
        with pytest.raises(ClaimLostError):
            await store.complete("s-1", claimed, entry("e-9"))

    async def test_an_unclaimed_task_is_free_and_the_delivery_does_not_count(self, store: Store) -> None:
        """`unclaim`: the tasks are free at once, and this delivery does not count. Claims of others are passed over."""
        await queued(store, task("t-1"), task("t-2"))
        await store.begin_session("s-2", "group", b"", TTL_MS)
        await claim(store, limit=1)
        await claim(store, "s-2")
        await store.unclaim("s-1", ["t-1", "t-2", "t-9"])
        assert [(each.task.id, each.deliveries) for each in await claim(store)] == [("t-1", 1)]
        assert store.renew("s-2", TTL_MS, [], ["t-2"]).tasks == ()

    async def test_ended_and_expired_sessions_give_their_claims_back(self, store: Store, clock: ManualClock) -> None:
        """Claims are free once their session ends or expires; those deliveries count."""
        await queued(store, task())
        await claim(store)
        await store.end_session("s-1")
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert [each.deliveries for each in await claim(store, "s-2")] == [2]
        clock.advance(TTL_S)
        await store.begin_session("s-3", "group", b"", TTL_MS)
        assert [each.deliveries for each in await claim(store, "s-3")] == [3]

    async def test_a_task_that_was_freed_keeps_its_place(self, store: Store) -> None:
        """`claim`: oldest first, also when a task comes back."""
        await queued(store, task("t-1"), task("t-2"), task("t-3"))
        await claim(store, limit=2)
        await store.unclaim("s-1", ["t-2", "t-1"])
        assert [each.task.id for each in await claim(store)] == ["t-1", "t-2", "t-3"]

    async def test_progress_is_there_for_the_next_holder(self, store: Store) -> None:
        """`note_progress`: keep `details` with a claimed task for its next holder; False if the claim is lost."""
        await queued(store, task())
        (claimed,) = await claim(store)
        assert claimed.details is None
        assert await store.note_progress("s-1", "t-1", b"50%")
        assert not await store.note_progress("s-2", "t-1", b"mine")
        assert not await store.note_progress("s-1", "t-9", b"?")
        await store.end_session("s-1")
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert [each.details for each in await claim(store, "s-2")] == [b"50%"]

    async def test_a_task_that_kills_its_workers_is_parked(self, store: Store, clock: ManualClock) -> None:
        """`claim`: a task whose claims so far reached `TASK_DELIVERIES_MAX` is parked instead, and not returned."""
        await queued(store, task())
        await _park(store, clock)
        (parked,) = await store.inspect.tasks(parked=True)
        assert (parked.task, parked.deliveries, parked.claimed_by) == (task(), _limits.TASK_DELIVERIES_MAX, None)
        assert parked.parked
        assert await store.inspect.tasks(parked=False) == []
        assert store.renew(f"doomed-{_limits.TASK_DELIVERIES_MAX - 1}", TTL_MS, [], ["t-1"]).tasks == ("t-1",)

    async def test_a_parked_task_does_not_take_the_place_of_another(self, store: Store, clock: ManualClock) -> None:
        """`claim`: parked tasks are not counted towards `limit`."""
        lease = await queued(store, task("t-1"))
        for number in range(_limits.TASK_DELIVERIES_MAX):
            await store.begin_session(f"doomed-{number}", "group", b"", TTL_MS)
            await claim(store, f"doomed-{number}")
            clock.advance(TTL_S)
        await store.begin_session("s-1", "group", b"", TTL_MS)
        await applied(store, lease, tasks=[task("t-2")])
        assert [each.task.id for each in await claim(store, limit=1)] == ["t-2"]

    async def test_a_parked_task_can_be_released(self, store: Store, clock: ManualClock) -> None:
        """`release_parked`: put parked tasks back into their queue with no deliveries counted; return how many."""
        await queued(store, task())
        assert await store.inspect.release_parked(["t-1"]) == 0
        await _park(store, clock)
        assert await store.inspect.release_parked(["t-1", "t-9"]) == 1
        assert await claim(store) == [ClaimedTask(P, task(), 1)]

    async def test_a_parked_task_can_be_discarded(self, store: Store, clock: ManualClock) -> None:
        """`discard_parked`: remove parked tasks, each with its entry appended to its inbox in one; return how many."""
        lease = await queued(store, task())
        await _park(store, clock)
        await applied(store, lease, tasks=[task("t-2")])
        entries = [Entry(f"e-{number}", NAME, b"gave up") for number in (1, 2, 9)]
        assert await store.inspect.discard_parked(["t-1", "t-2", "t-9"], entries) == 1
        assert [each.id for each in await inbox_of(store)] == ["e-1"]
        assert [each.task.id for each in await store.inspect.tasks()] == ["t-2"]

    async def test_a_commit_ends_a_parked_task_too(self, store: Store, clock: ManualClock) -> None:
        """`Commit.tasks_removed`: whatever state the task is in."""
        lease = await queued(store, task())
        await _park(store, clock)
        await applied(store, lease, tasks_removed=["t-1"])
        assert await store.inspect.tasks() == []

    async def test_a_task_of_the_same_id_is_replaced(self, store: Store) -> None:
        """`Task.id` is unique: setting it again makes it anew, at the end of its queue and unclaimed."""
        lease = await queued(store, task("t-1"), task("t-2"))
        await claim(store, limit=1)
        await applied(store, lease, tasks=[replace(task("t-1"), data=b"anew")])
        assert [(each.task.id, each.task.data, each.deliveries) for each in await claim(store)] == [
            ("t-2", b"task t-2", 1),
            ("t-1", b"anew", 1),
        ]

    # --- cancelling a task without taking it back

    async def test_a_cancelled_task_is_named_by_the_renewal_of_its_holder(self, store: Store) -> None:
        """`Commit.tasks_cancelled`, `Renewal.cancelled`: those of the renewed tasks that were so marked; each renewal says so again."""
        lease = await queued(store, task("t-1"), task("t-2"), task("t-3"))
        await claim(store, limit=2)
        assert store.renew("s-1", TTL_MS, [lease], ["t-1", "t-2"]) == Renewal()
        await applied(store, lease, tasks_cancelled=["t-2", "t-3", "t-9"])
        for _ in range(2):
            assert store.renew("s-1", TTL_MS, [lease], ["t-1", "t-2", "t-3"]) == Renewal(
                tasks=("t-3",), cancelled=("t-2",)
            )
        assert store.renew("s-1", TTL_MS, [], ["t-1"]).cancelled == ()
        assert store.renew("nobody", TTL_MS, [], ["t-2"]).cancelled == ()

    async def test_a_cancelled_task_stays_with_its_holder(self, store: Store) -> None:
        """`Commit.tasks_cancelled`: nothing is taken back; the holder may complete the task, leave details or hand it back."""
        lease = await queued(store, task("t-1"), task("t-2"))
        first, second = await claim(store)
        assert not first.cancelled and not second.cancelled
        await applied(store, lease, tasks_cancelled=["t-1", "t-2"])
        assert await store.note_progress("s-1", "t-1", b"50%")
        await store.complete("s-1", first, entry("e-9"))
        assert [each.id for each in await inbox_of(store)] == ["e-9"]
        await store.unclaim("s-1", ["t-2"])
        assert [(each.task.id, each.cancelled) for each in await claim(store)] == [("t-2", True)]

    async def test_a_task_that_is_claimed_later_is_claimed_as_cancelled(self, store: Store, clock: ManualClock) -> None:
        """`ClaimedTask.cancelled`: it was marked before; it stays so when its holder is gone."""
        lease = await queued(store, task("t-1"), task("t-2"))
        await applied(store, lease, tasks_cancelled=["t-1"])
        assert await claim(store) == [
            ClaimedTask(P, task("t-1"), 1, cancelled=True),
            ClaimedTask(P, task("t-2"), 1),
        ]
        clock.advance(TTL_S)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert [(each.task.id, each.cancelled) for each in await claim(store, "s-2")] == [("t-1", True), ("t-2", False)]
        assert store.renew("s-1", TTL_MS, [], ["t-1"]) == Renewal(tasks=("t-1",), session_expired=True)

    async def test_a_task_that_is_set_again_is_not_cancelled(self, store: Store) -> None:
        """`Commit.tasks_cancelled`: a task that is set again is a new one, without the mark; it is applied after `tasks`."""
        lease = await queued(store, task("t-1"), task("t-2"))
        await applied(store, lease, tasks_cancelled=["t-1", "t-2"])
        await applied(store, lease, tasks=[task("t-1")])
        both = [task("t-3", claimed_by="s-1"), task("t-4")]
        await applied(store, lease, tasks=both, tasks_cancelled=["t-3", "t-4", "t-4"])
        assert store.renew("s-1", TTL_MS, [], ["t-3"]).cancelled == ("t-3",)
        claimed = await claim(store)
        assert {each.task.id: each.cancelled for each in claimed} == {"t-1": False, "t-2": True, "t-4": True}

    async def test_commits_of_one_call_cancel_in_their_order(self, store: Store) -> None:
        """`commit`: each on its own, in order: a mark reaches a task of the commit before, and not one of the commit after."""
        lease = await lease_for(store)
        answers = await store.commit(
            [
                commit_of(lease, tasks=[task("t-1"), task("t-2"), task("t-3")]),
                commit_of(lease, tasks_cancelled=["t-1", "t-2", "t-3", "t-4"]),
                commit_of(lease, tasks_removed=["t-3"]),
                commit_of(lease, tasks=[task("t-2"), task("t-3"), task("t-4")]),
            ]
        )
        assert answers == [None] * 4
        claimed = await claim(store)
        assert {each.task.id: each.cancelled for each in claimed} == {
            "t-1": True,
            "t-2": False,
            "t-3": False,
            "t-4": False,
        }
