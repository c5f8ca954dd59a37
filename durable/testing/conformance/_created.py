"""Documents that come into being with a commit."""

import asyncio
from dataclasses import replace

import pytest

from ...errors import NameTakenError, StaleLeaseError, UnreadMessagesError, WrongSequenceError
from ...stores._protocol import Append, DocumentUpdate, Entry, Store, inbox_topic
from ._base import (
    NAME,
    Base,
    P,
    applied,
    commit,
    commit_of,
    contents,
    document,
    entry,
    inbox_of,
    lease_for,
    task,
)

CLOSES = DocumentUpdate("d-01", NAME, state="continued", closes=True, closed_ms=5)
SECOND = document("d-02", request="r-2", created_ms=7)


class CreatedTests(Base):
    """`Commit.created`."""

    async def test_a_commit_creates_documents_with_their_first_entries(self, store: Store) -> None:
        """`Commit.created`: documents that come into being, each with the first entry of its own inbox."""
        lease = await lease_for(store)
        one, two = document("d-05", "child-1"), document("d-06", "child-2", request="r-6")
        entries = [entry("e-5", "child-1", b"one"), entry("e-6", "child-2", b"\x00")]
        await applied(store, lease, created=[(one, entries[0]), (two, entries[1])])
        assert await store.document(P, id="d-05") == one
        assert await store.document(P, name="child-2") == two
        assert [Entry(each.id, each.name, each.data) for each in await inbox_of(store)] == entries
        assert (await store.send(P, entry("e-7", "child-1"))).id == "d-05"

    async def test_what_is_created_may_belong_to_another_inbox(self, store: Store) -> None:
        """`Commit.created`: the document's inbox need not be the lease's."""
        lease = await lease_for(store)
        await applied(store, lease, created=[(document(inbox="elsewhere"), entry())])
        assert [each.id for each in await inbox_of(store, inbox="elsewhere")] == ["e-1"]
        assert await inbox_of(store) == []
        assert (await store.send(P, entry("e-2"))).inbox == "elsewhere"

    async def test_a_commit_closes_a_document_and_creates_the_next_of_its_name(self, store: Store) -> None:
        """`Commit.created` comes after `documents`: one commit may close the open document of a name and create the next.

        The entry that it creates does not keep it from closing.
        """
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[CLOSES], created=[(SECOND, entry("e-2"))])
        first = await store.document(P, id="d-01")
        assert first == replace(document(), state="continued", open=False, closed_ms=5)
        assert await store.document(P, name=NAME) == SECOND
        assert [each.id for each in await inbox_of(store)] == ["e-2"]

    async def test_a_close_still_waits_for_what_is_unread(self, store: Store) -> None:
        """`Commit.created`: only the entry that the commit creates does not count; another one does, and nothing is written."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        before = await contents(store)
        answer = await commit(store, lease, documents=[CLOSES], created=[(SECOND, entry("e-2"))])
        assert isinstance(answer, UnreadMessagesError) and answer.names == (NAME,)
        assert await contents(store) == before

    async def test_a_commit_cannot_create_what_has_the_name_of_an_open_document(self, store: Store) -> None:
        """`Commit.created`: refused as a whole with `NameTakenError` if an open document has the name by then."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        before = await contents(store)
        renamed = (document("d-03", "free", request="r-3"), entry("e-3", "free"))
        new = [renamed, (SECOND, entry("e-2"))]
        appends = [Append("history", 0, [b"1"])]
        answer = await commit(store, lease, created=new, appends=appends, tasks=[task()], consumed=[read.seq])
        assert isinstance(answer, NameTakenError)
        assert await contents(store) == before
        twice = [renamed, (replace(renamed[0], id="d-04"), entry("e-4", "free"))]
        assert isinstance(await commit(store, lease, created=twice), NameTakenError)
        assert await contents(store) == before

    async def test_a_commit_cannot_create_what_another_update_opens(self, store: Store) -> None:
        """`Commit.created`: "by then" is after its `documents`."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[CLOSES])
        before = await contents(store)
        opens = [DocumentUpdate("d-01", NAME, opens=True)]
        assert isinstance(await commit(store, lease, documents=opens, created=[(SECOND, entry("e-2"))]), NameTakenError)
        assert await contents(store) == before

    async def test_a_commit_cannot_create_an_id_that_is_in_use(self, store: Store) -> None:
        """`Document.id` is unique, also among those that one commit creates."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        before = await contents(store)
        same = (document("d-01", "other", request="r-2"), entry("e-2", "other"))
        twice = [(document("d-09", name, request=name), entry(name, name)) for name in ("a", "b")]
        assert isinstance(await commit(store, lease, created=[same]), NameTakenError)
        assert isinstance(await commit(store, lease, created=twice), NameTakenError)
        assert await contents(store) == before

    async def test_what_a_commit_creates_is_later_than_the_latest_of_its_name(self, store: Store) -> None:
        """`Commit.created`: `created_ms` is moved up as in `create`, so that the latest can be told whatever the clocks say."""
        lease = await lease_for(store)
        await store.create(P, document(created_ms=100), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[CLOSES], created=[(SECOND, entry("e-2"))])
        latest = await store.document(P, name=NAME)
        assert latest == replace(SECOND, created_ms=101)
        assert await store.create(P, document("d-03", request="r-2"), [entry("e-3")]) == latest

    async def test_an_update_of_what_the_same_commit_creates_does_nothing(self, store: Store) -> None:
        """`DocumentUpdate`: one of a document that is not there does nothing; `created` comes after `documents`."""
        lease = await lease_for(store)
        update = DocumentUpdate("d-01", NAME, state="early")
        await applied(store, lease, documents=[update], created=[(document(), entry())])
        assert await store.document(P, id="d-01") == document()

    async def test_a_repeated_commit_creates_nothing(self, store: Store) -> None:
        """`Commit`: a repeat of the last `id` under the same lease applies nothing."""
        lease = await lease_for(store)
        same = commit_of(lease, created=[(document(), entry())])
        assert await store.commit([same]) == [None]
        (read,) = await inbox_of(store)
        before = await contents(store)
        assert await store.commit([same, same]) == [None, None]
        assert await contents(store) == before
        assert [each.seq for each in await inbox_of(store)] == [read.seq]

    async def test_a_refused_commit_creates_nothing(self, store: Store) -> None:
        """`Commit`: applied whole or not at all."""
        lease = await lease_for(store)
        before = await contents(store)
        wrong = await commit(store, lease, appends=[Append("history", 3, [b"1"])], created=[(document(), entry())])
        assert isinstance(wrong, WrongSequenceError)
        stale = await commit(store, replace(lease, epoch=lease.epoch + 1), created=[(document(), entry())])
        assert isinstance(stale, StaleLeaseError)
        assert await contents(store) == before
        with pytest.raises(ValueError, match="open"):
            await commit(store, lease, created=[(replace(document(), open=False), entry())])
        assert await contents(store) == before

    async def test_commits_of_one_call_build_on_one_another(self, store: Store) -> None:
        """`commit`: in order; so a document that one commit creates is updated, and its name is taken, in the next."""
        lease = await lease_for(store)
        (other,) = await store.acquire("s-1", "elsewhere", [P])
        third = replace(SECOND, id="d-03", request="r-3")
        answers = await store.commit(
            [
                commit_of(lease, created=[(document(), entry())]),
                commit_of(other, created=[(SECOND, entry("e-2"))]),
                commit_of(other, documents=[DocumentUpdate("d-01", NAME, state="waiting", attributes={"a": 1})]),
                commit_of(lease, documents=[CLOSES]),
                commit_of(lease, created=[(third, entry("e-3", "somebody"))]),
            ]
        )
        kinds = [type(None), NameTakenError, type(None), UnreadMessagesError, NameTakenError]
        assert [type(answer) for answer in answers] == kinds
        (read,) = await inbox_of(store)
        chain = [
            commit_of(lease, consumed=[read.seq], documents=[CLOSES], created=[(SECOND, entry("e-2", "somebody"))]),
            commit_of(lease, documents=[replace(CLOSES, id="d-02")], created=[(third, entry("e-3"))]),
        ]
        assert await store.commit(chain) == [None, None]
        assert await store.document(P, name=NAME) == replace(third, created_ms=SECOND.created_ms + 1)
        second = await store.document(P, id="d-02")
        assert second == replace(SECOND, state="continued", open=False, closed_ms=5)
        assert [each.id for each in await inbox_of(store)] == ["e-2", "e-3"]

    async def test_what_one_commit_creates_the_next_one_may_not_close_over_a_message(self, store: Store) -> None:
        """`commit`: in order; an entry that waits for the name from before keeps a new document open, and so does its own."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[CLOSES])
        await store.send(P, entry("e-5"), closed_too=True)
        answers = await store.commit(
            [
                commit_of(lease, created=[(SECOND, entry("e-2", "somebody"))]),
                commit_of(lease, documents=[replace(CLOSES, id="d-02")]),
            ]
        )
        assert [type(answer) for answer in answers] == [type(None), UnreadMessagesError]
        found = await store.document(P, id="d-02")
        assert found is not None
        assert found.open

    async def test_an_entry_that_is_unread_already_is_dropped(self, store: Store) -> None:
        """`Entry.id` is unique among the unread entries of a partition: a repeat is dropped, the document comes all the same."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry(data=b"first")])
        new = document("d-02", "order-2", request="r-2")
        await applied(store, lease, created=[(new, entry(name="order-2", data=b"again"))])
        assert [(each.name, each.data) for each in await inbox_of(store)] == [(NAME, b"first")]
        assert await store.document(P, name="order-2") == new
        (read,) = await inbox_of(store)
        more = document("d-03", "order-3", request="r-3")
        await applied(store, lease, consumed=[read.seq], created=[(more, entry(name="order-3"))])
        assert [each.name for each in await inbox_of(store)] == ["order-3"]

    async def test_a_dropped_entry_does_not_come_back(self, store: Store) -> None:
        """`commit`: in order; an entry is dropped if its id is unread then, also if the next commit of the call consumes that one."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry(data=b"first")])
        (read,) = await inbox_of(store)
        new = [document(f"d-0{number}", f"order-{number}", request=f"r-{number}") for number in range(2, 5)]
        answers = await store.commit(
            [
                commit_of(lease, created=[(new[0], entry(name="order-2"))]),
                commit_of(lease, consumed=[read.seq]),
                commit_of(lease, created=[(new[1], entry("e-3", "order-3")), (new[2], entry("e-3", "order-4"))]),
                commit_of(lease, documents=[DocumentUpdate("d-02", "order-2", closes=True)]),
                commit_of(lease, documents=[DocumentUpdate("d-03", "order-3", closes=True)]),
                commit_of(lease, documents=[DocumentUpdate("d-04", "order-4", closes=True)]),
            ]
        )
        kinds = [type(None), type(None), type(None), type(None), UnreadMessagesError, type(None)]
        assert [type(answer) for answer in answers] == kinds
        assert [(each.id, each.name) for each in await inbox_of(store)] == [("e-3", "order-3")]

    async def test_watchers_of_the_inbox_are_told(self, store: Store) -> None:
        """`inbox_topic`: touched when an entry is appended to this inbox, by a commit too."""
        lease = await lease_for(store)
        watch = store.watch([inbox_topic(P, "elsewhere")])
        try:
            waiting = asyncio.ensure_future(watch.wait(None))
            await applied(store, lease, created=[(document(inbox="elsewhere"), entry())])
            async with asyncio.timeout(10):  # real time, to fail instead of hanging
                assert await waiting
        finally:
            watch.close()

    async def test_what_is_created_needs_no_other_partition(self, store: Store) -> None:
        """Nothing needs two partitions at once: the same name and id may be in use in another one."""
        lease = await lease_for(store)
        await store.create(P + 1, document(), [entry()])
        await applied(store, lease, created=[(document(), entry())])
        assert await store.document(P, name=NAME) == document()
        assert [each.id for each in await inbox_of(store)] == ["e-1"]
