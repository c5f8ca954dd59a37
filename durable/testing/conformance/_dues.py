"""Dues, and what goes out to other partitions."""

from dataclasses import replace

from ...stores._protocol import Due, Outgoing, Store
from ._base import Base, P, applied, lease_for


class DueTests(Base):
    """Their owner reads and removes them."""

    async def test_dues_are_read_earliest_first(self, store: Store) -> None:
        """`read_dues`: up to `limit` dues with due_ms <= `until_ms`, earliest first (ties by key)."""
        lease = await lease_for(store)
        dues = [Due("b", 20, b"2"), Due("a", 20, b"1"), Due("c", 10, b"0"), Due("d", 31, b"3"), Due("B", 20, b"upper")]
        await applied(store, lease, dues=dues)
        assert [each.key for each in await store.read_dues(lease, until_ms=30, limit=10)] == ["c", "B", "a", "b"]
        assert await store.read_dues(lease, until_ms=30, limit=2) == [Due("c", 10, b"0"), Due("B", 20, b"upper")]
        assert await store.read_dues(lease, until_ms=9, limit=2) == []
        assert len(await store.read_dues(lease, until_ms=31, limit=10)) == 5

    async def test_setting_a_due_again_moves_it(self, store: Store) -> None:
        """`Due.key` is unique in its inbox; setting it again moves it."""
        lease = await lease_for(store)
        await applied(store, lease, dues=[Due("a", 10, b"old"), Due("b", 20, b"")])
        await applied(store, lease, dues=[Due("a", 30, b"older"), Due("a", 40, b"new")])
        assert await store.read_dues(lease, until_ms=100, limit=10) == [Due("b", 20, b""), Due("a", 40, b"new")]
        await applied(store, lease, dues_removed=["a"])
        assert await store.read_dues(lease, until_ms=100, limit=10) == [Due("b", 20, b"")]

    async def test_each_inbox_has_its_own_dues(self, store: Store) -> None:
        """A due belongs to the inbox and partition of the lease that set it."""
        lease = await lease_for(store)
        (other,) = await store.acquire("s-1", "other", [P])
        (elsewhere,) = await store.acquire("s-1", lease.inbox, [P + 1])
        await applied(store, lease, dues=[Due("k", 1, b"here")])
        await applied(store, other, dues=[Due("k", 2, b"other")])
        await applied(store, elsewhere, dues_removed=["k"])
        assert await store.read_dues(lease, until_ms=9, limit=9) == [Due("k", 1, b"here")]
        assert await store.read_dues(other, until_ms=9, limit=9) == [Due("k", 2, b"other")]
        assert await store.read_dues(elsewhere, until_ms=9, limit=9) == []

    async def test_outgoing_entries_are_kept_in_order_until_relayed(self, store: Store) -> None:
        """`read_outgoing`: up to `limit` outgoing entries of the lease's inbox that are not relayed yet, oldest first."""
        lease = await lease_for(store)
        first = [Outgoing("o-3", 0, b"3"), Outgoing("o-1", 2, b"1")]
        await applied(store, lease, outgoing=first)
        await applied(store, lease, outgoing=[Outgoing("o-2", 0, b"2")])
        assert await store.read_outgoing(lease, limit=10) == [*first, Outgoing("o-2", 0, b"2")]
        assert await store.read_outgoing(lease, limit=1) == first[:1]
        await applied(store, lease, relayed=["o-3"])
        assert [each.id for each in await store.read_outgoing(lease, limit=10)] == ["o-1", "o-2"]
        assert await store.read_outgoing(replace(lease, inbox="other"), limit=10) == []

    async def test_an_outgoing_entry_set_again_goes_to_the_end(self, store: Store) -> None:
        """`Outgoing.id` is unique in its inbox."""
        lease = await lease_for(store)
        await applied(store, lease, outgoing=[Outgoing("o-1", 0, b"1"), Outgoing("o-2", 0, b"2")])
        await applied(store, lease, outgoing=[Outgoing("o-1", 3, b"new")])
        assert await store.read_outgoing(lease, limit=10) == [Outgoing("o-2", 0, b"2"), Outgoing("o-1", 3, b"new")]
