"""Notifications: hints, but within one handle they must come."""

import asyncio
from collections.abc import Awaitable

from ...stores._protocol import (
    DocumentUpdate,
    Reply,
    Store,
    Watch,
    document_topic,
    inbox_topic,
    reply_topic,
    tasks_topic,
)
from .._clock import ManualClock
from ._base import INBOX, NAME, TTL_MS, Base, P, applied, claim, document, entry, lease_for, queued, task

PATIENCE_S = 10  # real time, to fail instead of hanging


async def _woken(watch: Watch, action: Awaitable[object]) -> bool:
    """Wait on `watch` while `action` is done; return whether it was woken."""
    waiting = asyncio.ensure_future(watch.wait(None))
    await action
    async with asyncio.timeout(PATIENCE_S):
        return await waiting


class WatchTests(Base):
    """`watch` subscribes to topics."""

    async def test_a_watch_is_woken_by_its_topic(self, store: Store) -> None:
        """`Watch.wait`: wait until a topic was touched since the last return, or since `watch`."""
        watch = store.watch([inbox_topic(P, INBOX), "something else"])
        try:
            assert await _woken(watch, store.create(P, document(), [entry()]))
            assert await _woken(watch, store.send(P, entry("e-2")))
        finally:
            watch.close()

    async def test_a_touch_before_the_wait_is_not_lost(self, store: Store) -> None:
        """`Watch.wait`: since the last return, not since the call."""
        watch = store.watch([inbox_topic(P, INBOX)])
        try:
            await store.create(P, document(), [entry()])
            async with asyncio.timeout(PATIENCE_S):
                assert await watch.wait(None)
        finally:
            watch.close()

    async def test_a_wait_without_a_touch_ends_by_the_clock(self, store: Store, clock: ManualClock) -> None:
        """`Watch.wait`: False after `timeout_s`, which the store's clock judges."""
        watch = store.watch([inbox_topic(P, INBOX)])
        try:
            waiting = asyncio.ensure_future(watch.wait(60))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            clock.advance(60)
            async with asyncio.timeout(PATIENCE_S):
                assert not await waiting
        finally:
            watch.close()

    async def test_a_closed_watch_may_be_closed_again(self, store: Store) -> None:
        """`Watch.close`: end the subscription."""
        watch = store.watch([inbox_topic(P, INBOX)])
        watch.close()
        watch.close()
        await store.create(P, document(), [entry()])

    async def test_a_free_task_wakes_its_queue(self, store: Store) -> None:
        """`tasks_topic`: touched when a task of `queue` becomes free to claim, by a commit or because a holder gave it up."""
        lease = await lease_for(store)
        watch = store.watch([tasks_topic("work")])
        try:
            assert await _woken(watch, applied(store, lease, tasks=[task()]))
            await claim(store)
            assert await _woken(watch, store.unclaim("s-1", ["t-1"]))
            await claim(store)
            assert await _woken(watch, store.end_session("s-1"))
        finally:
            watch.close()

    async def test_a_completed_task_wakes_its_inbox(self, store: Store) -> None:
        """`inbox_topic`: touched when an entry is appended to this inbox."""
        await queued(store, task())
        (claimed,) = await claim(store)
        watch = store.watch([inbox_topic(P, INBOX)])
        try:
            assert await _woken(watch, store.complete("s-1", claimed, entry("e-9")))
        finally:
            watch.close()

    async def test_a_lease_given_up_wakes_its_inbox(self, store: Store) -> None:
        """`inbox_topic`: touched when its lease is given up, alone or with its session."""
        lease = await lease_for(store)
        watch = store.watch([inbox_topic(P, INBOX)])
        try:
            assert await _woken(watch, store.release([lease]))
            await lease_for(store, "s-2")
            assert await _woken(watch, store.end_session("s-2"))
        finally:
            watch.close()

    async def test_an_updated_document_and_a_reply_wake_their_watchers(self, store: Store) -> None:
        """`document_topic`, `reply_topic`: touched when the document is updated, or the reply written."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        updates, replies = store.watch([document_topic("d-01")]), store.watch([reply_topic("y-1")])
        try:
            update = DocumentUpdate("d-01", NAME, state="waiting")
            assert await _woken(updates, applied(store, lease, documents=[update]))
            assert await _woken(replies, applied(store, lease, replies=[Reply("y-1", b"")]))
        finally:
            updates.close()
            replies.close()

    async def test_every_watcher_of_a_topic_is_woken(self, store: Store) -> None:
        """A notification is for all who watch."""
        await store.begin_session("s-1", "group", b"", TTL_MS)
        watches = [store.watch([inbox_topic(P, INBOX)]) for _ in range(3)]
        try:
            await store.create(P, document(), [entry()])
            async with asyncio.timeout(PATIENCE_S):
                assert await asyncio.gather(*(each.wait(None) for each in watches)) == [True] * 3
        finally:
            for each in watches:
                each.close()
