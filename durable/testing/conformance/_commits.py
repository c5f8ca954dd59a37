"""Commits: atomic, fenced, at their expected positions, and safe to repeat."""

import asyncio
from dataclasses import replace

from ...errors import NameTakenError, StaleLeaseError, UnreadMessagesError, WrongSequenceError
from ...stores._protocol import Append, Commit, DocumentUpdate, Due, Outgoing, Reply, Store
from .._clock import ManualClock
from ._base import (
    INBOX,
    NAME,
    TTL_MS,
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


def _everything(lease: object, expected: int = 0, **more: object) -> dict[str, object]:
    """Return parts of a commit that touch every kind of thing."""
    return {
        "appends": [Append("history", expected, [b"1", b"2"])],
        "documents": [DocumentUpdate("d-01", NAME, state="waiting", note="stuck", body=b"new")],
        "tasks": [task("t-9"), task("t-8", claimed_by="s-1")],
        "dues": [Due("timer", 1, b"")],
        "outgoing": [Outgoing("o-1", 2, b"")],
        "replies": [Reply("y-1", b"answer")],
        **more,
    }


class CommitTests(Base):
    """The one way to write for the owner of a lease."""

    async def test_a_commit_applies_all_its_parts(self, store: Store) -> None:
        """`Commit`: all that one step of an owner writes to its partition, applied whole."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        parts = _everything(lease, consumed=[read.seq])
        assert await store.commit([Commit(lease, "c-1", **parts)]) == [None]  # type: ignore[arg-type]
        found = await store.document(P, id="d-01")
        assert found == replace(document(), state="waiting", note="stuck", body=b"new")
        assert await store.inspect.counts() == {
            "inbox": 0, "tasks": 2, "dues": 1, "outgoing": 1, "documents": 1, "sessions": 1, "leases": 1, "records": 2, "replies": 1,
        }  # fmt: skip
        assert await store.take_reply(P, "y-1") == b"answer"

    async def test_a_commit_under_a_lost_lease_writes_nothing(self, store: Store, clock: ManualClock) -> None:
        """`Commit`: refused with `StaleLeaseError` unless `lease` is the current one of its inbox."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        clock.advance(TTL_MS / 1000 + 1)
        await lease_for(store, "s-2")
        before = await contents(store)
        (answer,) = await store.commit([Commit(lease, "c-1", **_everything(lease))])  # type: ignore[arg-type]
        assert isinstance(answer, StaleLeaseError)
        assert await contents(store) == before

    async def test_a_lease_acquired_anew_fences_out_its_own_past(self, store: Store) -> None:
        """`Lease.epoch` grows with each acquisition and fences out all before, also those of the same session."""
        old = await lease_for(store)
        (new,) = await store.acquire("s-1", INBOX, [P])
        assert new.epoch > old.epoch
        before = await contents(store)
        assert isinstance(await commit(store, old, appends=[Append("history", 0, [b"1"])]), StaleLeaseError)
        assert await contents(store) == before
        await applied(store, new, appends=[Append("history", 0, [b"1"])])

    async def test_a_lease_that_was_given_up_or_never_held_is_stale(self, store: Store) -> None:
        """`Commit`: a released lease, one of an ended session, another's, or one of another inbox is not current."""
        lease = await lease_for(store)
        await store.begin_session("s-2", "group", b"", TTL_MS)
        (ended,) = await store.acquire("s-2", "other", [P])
        await store.end_session("s-2")
        wrong = [
            ended,
            replace(lease, session="s-2"),
            replace(lease, inbox="nobody's"),
            replace(lease, partition=P + 1),
            replace(lease, epoch=lease.epoch + 1),
            replace(lease, partition=store.partitions),
        ]
        before = await contents(store)
        answers = await store.commit([commit_of(each, appends=[Append("history", 0, [b"1"])]) for each in wrong])
        assert [type(answer) for answer in answers] == [StaleLeaseError] * len(wrong)
        await store.release([lease])
        assert isinstance(await commit(store, lease, appends=[Append("history", 0, [b"1"])]), StaleLeaseError)
        assert await contents(store) == replace(before, counts={**before.counts, "leases": 0})

    async def test_a_commit_at_a_wrong_position_writes_nothing(self, store: Store) -> None:
        """`Commit`: refused with `WrongSequenceError` unless every stream is where its append expects it."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await applied(store, lease, appends=[Append("history", 0, [b"1", b"2"]), Append("other", 0, [b"a"])])
        before = await contents(store)
        for expected in (0, 1, 3):
            right = Append("other", 1, [b"b"])
            parts = _everything(lease, expected, appends=[right, Append("history", expected, [b"x"])])
            (answer,) = await store.commit([Commit(lease, f"c-{expected}", **parts)])  # type: ignore[arg-type]
            assert isinstance(answer, WrongSequenceError)
            assert await contents(store) == before
            assert await store.read(P, "other") == [b"a"]

    async def test_each_commit_of_a_call_stands_on_its_own(self, store: Store) -> None:
        """`commit`: apply each commit on its own, in order; a refused one does not hold up the others."""
        lease = await lease_for(store)
        other = (await store.acquire("s-1", INBOX, [P + 1]))[0]
        answers = await store.commit(
            [
                commit_of(lease, appends=[Append("history", 0, [b"1"])]),
                commit_of(lease, appends=[Append("history", 0, [b"x"])], tasks=[task()]),
                commit_of(lease, appends=[Append("history", 1, [b"2"]), Append("history", 2, [b"3"])]),
                commit_of(other, appends=[Append("history", 0, [b"elsewhere"])]),
            ]
        )
        assert [type(answer) for answer in answers] == [type(None), WrongSequenceError, type(None), type(None)]
        assert await store.read(P, "history") == [b"1", b"2", b"3"]
        assert await store.read(P + 1, "history") == [b"elsewhere"]
        assert (await store.inspect.counts())["tasks"] == 0

    async def test_repeating_the_last_commit_applies_nothing(self, store: Store) -> None:
        """`Commit`: a repeat of the last `id` under the same lease answers as the first time and applies nothing."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        same = Commit(lease, "c-1", **_everything(lease))  # type: ignore[arg-type]
        assert await store.commit([same]) == [None]
        before = await contents(store)
        assert await store.commit([same, same]) == [None, None]
        assert await contents(store) == before

    async def test_a_commit_may_be_repeated_within_a_call(self, store: Store) -> None:
        """`Commit`: a repeat counts as one in whatever transaction it comes."""
        lease = await lease_for(store)
        same = commit_of(lease, appends=[Append("history", 0, [b"1"])])
        assert await store.commit([same, same]) == [None, None]
        assert await store.read(P, "history") == [b"1"]

    async def test_a_refused_commit_is_refused_again_or_applied_when_it_fits(self, store: Store) -> None:
        """`Commit`: a refused commit is not remembered as done."""
        lease = await lease_for(store)
        early = commit_of(lease, appends=[Append("history", 1, [b"2"])])
        for _ in range(2):
            assert isinstance((await store.commit([early]))[0], WrongSequenceError)
        await applied(store, lease, appends=[Append("history", 0, [b"1"])])
        assert await store.commit([early]) == [None]
        assert await store.read(P, "history") == [b"1", b"2"]

    async def test_an_id_under_another_epoch_is_another_commit(self, store: Store) -> None:
        """`Commit`: a repeat is one under the same lease."""
        first = await lease_for(store)
        await applied(store, first, id="c-1", appends=[Append("history", 0, [b"1"])])
        (second,) = await store.acquire("s-1", INBOX, [P])
        await applied(store, second, id="c-1", appends=[Append("history", 1, [b"2"])])
        assert await store.read(P, "history") == [b"1", b"2"]

    async def test_only_what_is_consumed_leaves_the_inbox(self, store: Store) -> None:
        """`Commit.consumed`: seqs of entries of the lease's own inbox; removing what is not there is no error."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await store.create(P + 1, document("d-02"), [entry()])
        await store.send(P, entry("e-2"))
        first, _second = await inbox_of(store)
        (foreign,) = await inbox_of(store, partition=P + 1)
        await applied(store, lease, consumed=[first.seq, first.seq, 999_999])
        assert [each.id for each in await inbox_of(store)] == ["e-2"]
        theirs = (await store.acquire("s-1", "not theirs", [P + 1]))[0]
        await applied(store, theirs, consumed=[foreign.seq])
        assert [each.id for each in await inbox_of(store, partition=P + 1)] == ["e-1"]

    async def test_removing_what_is_not_there_is_no_error(self, store: Store) -> None:
        """`Commit`: removals are idempotent."""
        lease = await lease_for(store)
        await applied(store, lease, tasks_removed=["t-9"], dues_removed=["k-9"], relayed=["o-9"])
        await applied(store, lease, documents=[DocumentUpdate("d-99", "nobody", state="gone")])
        assert await store.document(P, id="d-99") is None

    async def test_a_key_may_be_removed_and_set_in_one_commit(self, store: Store) -> None:
        """`Commit`: removals come first, then everything else."""
        lease = await lease_for(store)
        await applied(store, lease, tasks=[task()], dues=[Due("k", 1, b"old")], outgoing=[Outgoing("o", 2, b"old")])
        await applied(
            store,
            lease,
            tasks=[replace(task(), data=b"new")],
            tasks_removed=["t-1"],
            dues=[Due("k", 2, b"new")],
            dues_removed=["k"],
            outgoing=[Outgoing("o", 3, b"new")],
            relayed=["o"],
        )
        now = await contents(store)
        assert now.dues == [Due("k", 2, b"new")]
        assert now.outgoing == [Outgoing("o", 3, b"new")]
        assert [each.task.data for each in await store.inspect.tasks()] == [b"new"]

    async def test_commits_sent_at_once_are_each_applied_once(self, store: Store) -> None:
        """`commit`: several may share a transaction of the store; each still has its own answer."""
        lease = await lease_for(store)
        commits = [
            commit_of(lease, appends=[Append(f"h-{number % 5}", 0, [str(number).encode()])]) for number in range(40)
        ]
        answers = [(await each)[0] for each in [asyncio.ensure_future(store.commit([one])) for one in commits]]
        assert [answer is None for answer in answers] == [number < 5 for number in range(40)]
        for number in range(5):
            assert await store.read(P, f"h-{number}") == [str(number).encode()]

    # --- documents in a commit

    async def test_an_update_leaves_other_fields_as_they_are(self, store: Store) -> None:
        """`DocumentUpdate`: None leaves a field as it is."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, note="why")])
        await applied(
            store,
            lease,
            documents=[DocumentUpdate("d-01", NAME, state="waiting"), DocumentUpdate("d-01", NAME, body=b"2")],
        )
        assert await store.document(P, id="d-01") == replace(document(), note="why", state="waiting", body=b"2")
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, note="")])
        assert await store.document(P, id="d-01") == replace(document(), state="waiting", body=b"2")

    async def test_a_close_waits_for_unread_entries(self, store: Store) -> None:
        """`DocumentUpdate`: an update that closes is refused while the inbox holds an entry that the commit does not consume."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await store.send(P, entry("e-2"))
        await store.create(P, document("d-02", "order-2", request="r-2"), [entry("e-3", "order-2")])
        first, second, _other = await inbox_of(store)
        before = await contents(store)
        closes = [DocumentUpdate("d-01", NAME, state="completed", closes=True, closed_ms=7)]
        answer = await commit(
            store, lease, consumed=[first.seq], documents=closes, appends=[Append("history", 0, [b"end"])]
        )
        assert isinstance(answer, UnreadMessagesError) and answer.names == (NAME,)
        assert await contents(store) == before
        await applied(store, lease, consumed=[first.seq, second.seq], documents=closes)
        assert await store.document(P, id="d-01") == replace(document(), state="completed", open=False, closed_ms=7)

    async def test_a_close_sees_what_the_commit_before_it_consumed(self, store: Store) -> None:
        """`commit`: commits of one call are applied in order, also as far as a close is concerned."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        closes = commit_of(lease, documents=[DocumentUpdate("d-01", NAME, closes=True)])
        answers = await store.commit([closes, commit_of(lease, consumed=[read.seq]), replace(closes, id="c-next")])
        assert [type(answer) for answer in answers] == [UnreadMessagesError, type(None), type(None)]

    async def test_a_document_can_be_opened_again(self, store: Store) -> None:
        """`DocumentUpdate`: one that opens clears `closed_ms`; it is refused with `NameTakenError` while another has the name."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(
            store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True, closed_ms=9)]
        )
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, opens=True)])
        assert await store.document(P, id="d-01") == document()
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, closes=True)])
        await store.create(P, document("d-02", request="r-2"), [entry("e-2")])
        before = await contents(store)
        answer = await commit(store, lease, documents=[DocumentUpdate("d-01", NAME, opens=True)], tasks=[task()])
        assert isinstance(answer, NameTakenError)
        assert await contents(store) == before

    async def test_a_name_can_pass_from_one_document_to_another_in_one_commit(self, store: Store) -> None:
        """`DocumentUpdate`s of one commit are applied in order: one may give up the name that the next one takes."""
        lease = await lease_for(store)
        for number in ("d-02", "d-01"):
            await store.create(P, document(number, request=number), [entry(number)])
            (read,) = await inbox_of(store)
            await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate(number, NAME, closes=True)])
        await applied(store, lease, documents=[DocumentUpdate("d-02", NAME, opens=True)])
        passes = [DocumentUpdate("d-02", NAME, closes=True), DocumentUpdate("d-01", NAME, opens=True)]
        await applied(store, lease, documents=passes)
        assert (await store.send(P, entry("e-9"))).id == "d-01"
        back = [DocumentUpdate("d-02", NAME, opens=True), DocumentUpdate("d-01", NAME, closes=True)]
        assert isinstance(await commit(store, lease, documents=back), NameTakenError)

    async def test_updates_reach_only_documents_of_the_partition(self, store: Store) -> None:
        """Nothing needs two partitions at once: a commit writes to its own."""
        lease = await lease_for(store)
        await store.create(P + 1, document(), [entry()])
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, state="changed", closes=True)])
        assert await store.document(P + 1, id="d-01") == document()
