"""A store that fell back to an earlier state: who had seen the later one is told, and writes nothing."""

from dataclasses import replace

from ...errors import StaleLeaseError, StoreWentBackError
from ...stores._protocol import Append, Store
from ._base import INBOX, Base, P, applied, commit, commit_of, contents, document, entry, inbox_of, lease_for, task


class GoingBackTests(Base):
    """A commit says what it is based on. A store need not know that it lost something: that it does not have it is enough."""

    async def test_a_commit_follows_the_last_one(self, store: Store) -> None:
        """`Commit.follows`: refused with `StoreWentBackError` if that is not the last commit applied under the lease."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        first = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])])
        second = commit_of(lease, follows=first.id, tasks=[task()])
        assert await store.commit([first, second]) == [None, None]
        before = await contents(store)
        for lost in ("", first.id, "c-lost"):
            answer = await commit(
                store, lease, follows=lost, appends=[Append("history", 1, [b"2"])], tasks=[task("t-2")]
            )
            assert isinstance(answer, StoreWentBackError)
        assert await contents(store) == before
        await applied(store, lease, follows=second.id, appends=[Append("history", 1, [b"2"])])

    async def test_a_repeat_of_the_last_commit_follows_what_it_followed(self, store: Store) -> None:
        """`Commit`: a repeat of the last `id` answers as the first time, although others would not fit there any more."""
        lease = await lease_for(store)
        first = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])])
        assert await store.commit([first, first]) == [None, None]
        assert await store.commit([first]) == [None]
        assert await store.read(P, "history") == [b"1"]

    async def test_a_refused_commit_is_followed_by_none(self, store: Store) -> None:
        """`Commit.follows`: only commits that were applied count."""
        lease = await lease_for(store)
        (refused,) = await store.commit([commit_of(lease, follows="", appends=[Append("history", 3, [b"4"])])])
        assert refused is not None
        await applied(store, lease, follows="", appends=[Append("history", 0, [b"1"])])

    async def test_the_first_commit_of_a_lease_follows_none(self, store: Store) -> None:
        """`Commit.follows`: "" if this is the first; a lease acquired anew begins anew."""
        lease = await lease_for(store)
        old = commit_of(lease, follows="")
        assert await store.commit([old]) == [None]
        (lease,) = await store.acquire(lease.session, INBOX, [P])
        assert isinstance(await commit(store, lease, follows=old.id), StoreWentBackError)
        await applied(store, lease, follows="")

    async def test_a_stale_lease_is_told_first(self, store: Store) -> None:
        """`Commit`: what another session has done meanwhile is no loss."""
        lease = await lease_for(store)
        await store.acquire(lease.session, INBOX, [P])
        assert isinstance(await commit(store, lease, follows="c-lost", newest=(9, "e-9")), StaleLeaseError)

    async def test_what_is_consumed_must_be_there(self, store: Store) -> None:
        """`Commit.newest`: refused with `StoreWentBackError` unless the inbox holds that entry, by number and id."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry("e-1"), entry("e-2")])
        first, second = await inbox_of(store)
        before = await contents(store)
        for newest in ((second.seq, "e-1"), (second.seq + 1, "e-2"), (first.seq, "e-9")):
            answer = await commit(store, lease, consumed=[newest[0]], newest=newest, tasks=[task()])
            assert isinstance(answer, StoreWentBackError)
        assert await contents(store) == before
        parts = commit_of(lease, consumed=[first.seq, second.seq], newest=(second.seq, "e-2"))
        assert await store.commit([parts]) == [None]
        assert await inbox_of(store) == []
        assert await store.commit([parts]) == [None]  # a repeat: it was there when that counted
        assert isinstance(
            await commit(store, lease, consumed=[second.seq], newest=(second.seq, "e-2")), StoreWentBackError
        )

    async def test_the_last_commit_of_a_lease_can_be_asked_for(self, store: Store) -> None:
        """`last_commits`: the id of the last commit applied under the lease, "" if there was none; None if it is not current."""
        lease = await lease_for(store)
        (other,) = await store.acquire(lease.session, INBOX, [P + 1])
        assert await store.last_commits([lease, other]) == ["", ""]
        one = commit_of(lease)
        assert await store.commit([one, commit_of(lease, appends=[Append("history", 7, [b"x"])])]) != [None, None]
        assert await store.last_commits([other, lease]) == ["", one.id]
        wrong = [
            replace(lease, session="s-2"),
            replace(lease, epoch=lease.epoch + 1),
            replace(lease, partition=P + 2),
            replace(lease, inbox="another"),
        ]
        assert await store.last_commits(wrong) == [None] * len(wrong)
        await store.release([lease])
        assert await store.last_commits([lease, other]) == [None, ""]
        assert await store.last_commits([]) == []
