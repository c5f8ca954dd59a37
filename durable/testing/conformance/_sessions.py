"""Sessions and leases: who is alive, and who owns what."""

import asyncio
from dataclasses import replace

from ...stores._protocol import Append, Lease, Renewal, Reply, SessionInfo, Store
from .._clock import ManualClock
from ._base import INBOX, TTL_MS, Base, P, applied, claim, lease_for, queued, task

TTL_S = TTL_MS / 1000


class SessionTests(Base):
    """Leases and claims belong to sessions, and are free once theirs ends or expires."""

    async def test_live_sessions_of_a_group_are_listed_by_id(self, store: Store, clock: ManualClock) -> None:
        """`sessions`: the live sessions of `group`, ordered by id."""
        await store.begin_session("s-2", "a", b"two", TTL_MS)
        await store.begin_session("s-1", "a", b"one", 2 * TTL_MS)
        await store.begin_session("s-3", "b", b"", TTL_MS)
        now_ms = store.now_ms()
        assert await store.sessions("a") == [
            SessionInfo("s-1", "a", b"one", now_ms + 2 * TTL_MS),
            SessionInfo("s-2", "a", b"two", now_ms + TTL_MS),
        ]
        clock.advance(TTL_S)
        assert [each.id for each in await store.sessions("a")] == ["s-1"]

    async def test_beginning_a_session_again_replaces_it(self, store: Store) -> None:
        """`begin_session`: begin or replace the session."""
        await store.begin_session("s-1", "a", b"old", TTL_MS)
        await store.begin_session("s-1", "b", b"new", TTL_MS)
        assert await store.sessions("a") == []
        assert [each.data for each in await store.sessions("b")] == [b"new"]

    async def test_time_is_that_of_the_clock_that_was_handed_in(self, store: Store, clock: ManualClock) -> None:
        """`now_ms`: the store's time, by which due times and expiries are judged."""
        before = store.now_ms()
        clock.advance(12)
        assert store.now_ms() == before + 12_000

    async def test_a_lease_has_one_holder(self, store: Store) -> None:
        """`acquire`: the leases whose holder is gone; those that a live session holds are left out."""
        first = await lease_for(store)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert [each.partition for each in await store.acquire("s-2", INBOX, [P - 1, P, P + 1])] == [P - 1, P + 1]
        assert await store.holders(INBOX) == {P - 1: "s-2", P: "s-1", P + 1: "s-2"}
        assert await store.acquire("s-2", "another inbox", [P]) != []
        await applied(store, first, appends=[Append("history", 0, [b"1"])])

    async def test_a_lease_is_free_once_its_session_expires(self, store: Store, clock: ManualClock) -> None:
        """Leases belong to sessions, and are free once theirs expires: at the moment that the clock says, not before."""
        old = await lease_for(store)
        clock.advance(TTL_S - 0.001)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert await store.acquire("s-2", INBOX, [P]) == []
        clock.advance(0.001)
        assert await store.holders(INBOX) == {}
        (new,) = await store.acquire("s-2", INBOX, [P])
        assert (new.session, new.epoch > old.epoch) == ("s-2", True)

    async def test_a_lease_is_free_once_its_session_ends(self, store: Store) -> None:
        """`end_session`: its leases are free at once."""
        old = await lease_for(store)
        await store.end_session("s-1")
        assert await store.holders(INBOX) == {}
        assert await store.sessions("group") == []
        assert (await lease_for(store, "s-2")).epoch > old.epoch

    async def test_a_released_lease_is_free_and_its_epoch_is_not_forgotten(self, store: Store) -> None:
        """`release`: give up leases; those that are not current any more are passed over."""
        old = await lease_for(store)
        await store.release([old])
        assert await store.holders(INBOX) == {}
        new = await lease_for(store, "s-2")
        assert new.epoch > old.epoch
        await store.release(
            [old, replace(new, session="s-1"), Lease(P + 1, "nothing", "s-1", 1), Lease(9_999, INBOX, "s-1", 1)]
        )
        assert await store.holders(INBOX) == {P: "s-2"}

    async def test_a_session_that_is_not_alive_acquires_nothing(self, store: Store, clock: ManualClock) -> None:
        """`acquire`, `claim`: the session must be alive, else none."""
        await queued(store, task())
        assert await store.acquire("stranger", INBOX, [P + 1]) == []
        assert await claim(store, "stranger") == []
        clock.advance(TTL_S)
        assert await store.acquire("s-1", INBOX, [P + 1]) == []
        assert await claim(store) == []
        assert (await store.inspect.tasks())[0].deliveries == 0

    async def test_a_renewal_prolongs_everything_the_session_holds(self, store: Store, clock: ManualClock) -> None:
        """`renew`: prolong the session by `ttl_ms` from now; nothing is lost."""
        lease = await queued(store, task())
        await claim(store)
        for _ in range(3):
            clock.advance(TTL_S - 0.001)
            assert store.renew("s-1", TTL_MS, [lease], ["t-1"]) == Renewal()
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert await store.acquire("s-2", INBOX, [P]) == []
        assert await claim(store, "s-2") == []

    async def test_a_late_renewal_holds_again_what_nobody_took(self, store: Store, clock: ManualClock) -> None:
        """`Renewal.session_expired`: the session had expired and was made anew; what it held and nobody took, it holds again."""
        lease = await queued(store, task())
        await claim(store)
        clock.advance(TTL_S + 1)
        assert await store.sessions("group") == []
        renewal = await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], ["t-1"])
        assert renewal == Renewal(session_expired=True)
        assert [each.id for each in await store.sessions("group")] == ["s-1"]
        await store.begin_session("s-2", "group", b"", TTL_MS)
        assert await store.acquire("s-2", INBOX, [P]) == []
        assert await claim(store, "s-2") == []
        await applied(store, lease, appends=[Append("history", 0, [b"1"])])

    async def test_a_late_renewal_says_what_others_took(self, store: Store, clock: ManualClock) -> None:
        """`renew`: never takes anything back: a lease or task that another session holds by now is lost."""
        lease = await queued(store, task("t-1"), task("t-2"))
        await claim(store)
        kept = (await store.acquire("s-1", INBOX, [P + 1]))[0]
        clock.advance(TTL_S + 1)
        await lease_for(store, "s-2")
        (taken,) = await claim(store, "s-2", limit=1)
        renewal = store.renew("s-1", TTL_MS, [lease, kept], ["t-1", "t-2", "t-9"])
        assert taken.task.id == "t-1"
        assert renewal == Renewal(leases=(lease,), tasks=("t-1", "t-9"), session_expired=True)
        assert await store.holders(INBOX) == {P: "s-2", P + 1: "s-1"}

    async def test_a_renewal_after_the_end_brings_nothing_back(self, store: Store) -> None:
        """`renew`: a session that was ended, or never begun, has lost everything and is not made anew."""
        lease = await queued(store, task())
        await claim(store)
        await store.end_session("s-1")
        assert store.renew("s-1", TTL_MS, [lease], ["t-1"]) == Renewal((lease,), ("t-1",), session_expired=True)
        assert await store.sessions("group") == []

    async def test_a_renewal_may_come_from_any_thread(self, store: Store) -> None:
        """`renew`: thread-safe and blocking, also while the event loop is busy."""
        lease = await lease_for(store)
        renewals = await asyncio.gather(*(asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], []) for _ in range(8)))
        assert renewals == [Renewal()] * 8
        assert store.renew("s-1", TTL_MS, [lease], []) == Renewal()

    async def test_a_reply_is_taken_once(self, store: Store) -> None:
        """`take_reply`: return the reply and forget it; None if it is not there (yet)."""
        lease = await lease_for(store)
        assert await store.take_reply(P, "y-1") is None
        await applied(store, lease, replies=[Reply("y-1", b"answer"), Reply("y-2", b"late", ttl_ms=1_000)])
        assert await store.take_reply(P + 1, "y-1") is None
        assert await store.take_reply(P, "y-1") == b"answer"
        assert await store.take_reply(P, "y-1") is None
        assert (await store.inspect.counts())["replies"] == 1
