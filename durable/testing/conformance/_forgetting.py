"""Closed documents: in which order they are read, and that nothing is left of those that are forgotten."""

from collections.abc import Sequence

from ...errors import RunNotFoundError, StaleLeaseError, WrongSequenceError
from ...stores._protocol import Append, Condition, DocumentFilter, DocumentUpdate, Entry, Lease, Store, document_topic
from .._clock import ManualClock
from ._base import NAME, Base, P, applied, commit, commit_of, document, entry, inbox_of, lease_for


async def _closed(store: Store, lease: Lease, *ends: tuple[str, str, int | None], records: int = 2) -> None:
    """Create documents (id, name, closed_ms), each with a stream of its id, and close them."""
    for id_, name, closed_ms in ends:
        await store.create(P, document(id_, name, request=id_), [])
        close = DocumentUpdate(id_, name, closes=True, closed_ms=closed_ms, attributes={"colour": "red"})
        appends = [Append(id_, 0, [b"%d" % number for number in range(records)])]
        await applied(store, lease, documents=[close], appends=appends)


def _ids(found: Sequence[object]) -> list[str]:
    return [each.id for each in found]  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


class ForgettingTests(Base):
    """`Store.read_closed` and `Commit.forgotten`."""

    async def test_closed_documents_are_read_in_the_order_of_their_ends(self, store: Store) -> None:
        """`read_closed`: the one closed first first, ties by id; only those before `before_ms`, in the one partition."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-3", "c", 30), ("d-1", "a", 50), ("d-4", "d", 30), ("d-2", "b", 40))
        await store.create(P, document("d-9", "open", request="open"), [])
        assert _ids(await store.read_closed(P, before_ms=50)) == ["d-3", "d-4", "d-2"]
        assert _ids(await store.read_closed(P, before_ms=51)) == ["d-3", "d-4", "d-2", "d-1"]
        assert await store.read_closed(P, before_ms=30) == []
        assert await store.read_closed(P - 1, before_ms=100) == []
        (first, *_) = await store.read_closed(P, before_ms=100)
        assert first == await store.document(P, id="d-3")

    async def test_a_page_of_closed_documents_leads_to_the_next(self, store: Store) -> None:
        """`read_closed`: up to `limit`, and only those after the (closed_ms, id) of `after`."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10), ("d-2", "b", 10), ("d-3", "c", 20))
        found, after = list[str](), (0, "")
        while page := await store.read_closed(P, before_ms=100, after=after, limit=1):
            (last,) = page
            assert last.closed_ms is not None
            found.append(last.id)
            after = last.closed_ms, last.id
        assert found == ["d-1", "d-2", "d-3"]

    async def test_what_is_open_again_or_has_no_time_of_its_end_is_not_among_the_closed(self, store: Store) -> None:
        """`read_closed`: closed documents that have a `closed_ms`; each stands where its last close put it."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10), ("d-2", "b", 20), ("d-3", "c", None))
        await applied(store, lease, documents=[DocumentUpdate("d-1", "a", opens=True)])
        assert _ids(await store.read_closed(P, before_ms=100)) == ["d-2"]
        await applied(store, lease, documents=[DocumentUpdate("d-1", "a", closes=True, closed_ms=30)])
        assert _ids(await store.read_closed(P, before_ms=100)) == ["d-2", "d-1"]

    async def test_nothing_is_left_of_what_is_forgotten(self, store: Store) -> None:
        """`Commit.forgotten`: a closed document goes with its attributes and its stream; whoever watches it is told."""
        before = await store.inspect.counts()
        lease = await lease_for(store)
        counted = await store.inspect.counts()
        await _closed(store, lease, ("d-1", "a", 10), ("d-2", "b", 20))
        watch = store.watch([document_topic("d-1")])
        await applied(store, lease, forgotten=[("d-1", 10)])
        assert await watch.wait(5.0)
        watch.close()
        assert await store.document(P, id="d-1") is None
        assert await store.document(P, name="a") is None
        assert await store.read(P, "d-1") == []
        assert await store.read_last(P, "d-1") is None
        red = DocumentFilter(attributes=[Condition("colour", "=", "red")])
        assert [each.id for _, each in await store.inspect.documents(red, limit=9)] == ["d-2"]
        assert _ids(await store.read_closed(P, before_ms=100)) == ["d-2"]
        assert await store.read(P, "d-2") == [b"0", b"1"]
        await applied(store, lease, forgotten=[("d-2", 20)])
        assert await store.inspect.counts() == counted
        assert counted["documents"] == before["documents"] == 0

    async def test_an_open_document_is_never_forgotten(self, store: Store) -> None:
        """`Commit.forgotten`: one that is open by then is passed over, and so is one that is not there; the rest is applied."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10), ("d-2", "b", 20))
        await store.create(P, document("d-3", "c", request="c"), [])
        opens = [DocumentUpdate("d-1", "a", opens=True)]
        await applied(
            store, lease, documents=opens, forgotten=[("d-1", 10), ("d-3", 0), ("nothing", 1), ("d-2", 20), ("d-2", 20)]
        )
        assert [each.id for _, each in await store.inspect.documents(DocumentFilter(), limit=9)] == ["d-3", "d-1"]
        assert await store.read(P, "d-1") == [b"0", b"1"]

    async def test_what_was_closed_again_since_is_not_forgotten(self, store: Store) -> None:
        """`Commit.forgotten`: one that was closed at another time than named is passed over: it has records that nobody has seen."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10), ("d-2", "b", None))
        await applied(store, lease, documents=[DocumentUpdate("d-1", "a", opens=True)])
        await applied(store, lease, documents=[DocumentUpdate("d-1", "a", closes=True, closed_ms=12)])
        await applied(store, lease, forgotten=[("d-1", 10), ("d-2", 0)])
        assert len(await store.inspect.documents(DocumentFilter(), limit=9)) == 2
        await applied(store, lease, forgotten=[("d-1", 12)])
        assert len(await store.inspect.documents(DocumentFilter(), limit=9)) == 1

    async def test_forgetting_comes_last(self, store: Store) -> None:
        """`Commit.forgotten` is applied last of all: what the same commit closes and appends is forgotten with it."""
        lease = await lease_for(store)
        await store.create(P, document(), [])
        close = DocumentUpdate("d-01", NAME, closes=True, closed_ms=5)
        successor = (document("d-02", request="r-2"), entry("e-2"))
        await applied(
            store,
            lease,
            documents=[close],
            appends=[Append("d-01", 0, [b"1"])],
            created=[successor],
            forgotten=[("d-01", 5)],
        )
        assert await store.document(P, id="d-01") is None
        assert await store.read(P, "d-01") == []
        latest = await store.document(P, name=NAME)
        assert latest is not None and latest.id == "d-02"

    async def test_a_refused_commit_forgets_nothing(self, store: Store) -> None:
        """`Commit.forgotten` is part of the commit: fenced by the lease, and by the positions of its appends."""
        old = await lease_for(store)
        await _closed(store, old, ("d-1", "a", 10))
        (lease,) = await store.acquire("s-1", old.inbox, [P])
        assert isinstance(await commit(store, old, forgotten=[("d-1", 10)]), StaleLeaseError)
        wrong = await commit(store, lease, appends=[Append("other", 7, [b"x"])], forgotten=[("d-1", 10)])
        assert isinstance(wrong, WrongSequenceError)
        assert await store.document(P, id="d-1") is not None
        assert await store.read(P, "d-1") == [b"0", b"1"]

    async def test_a_repeat_forgets_nothing_more(self, store: Store) -> None:
        """A repeat of the last commit answers as the first time and applies nothing: what was made since stays."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10))
        sent = commit_of(lease, forgotten=[("d-1", 10)])
        assert await store.commit([sent]) == [None]
        (other,) = await store.acquire("s-1", "elsewhere", [P])
        await store.create(P, document("d-1", "a", request="again"), [])
        await applied(store, other, documents=[DocumentUpdate("d-1", "a", closes=True, closed_ms=20)])
        assert await store.commit([sent]) == [None]
        assert await store.document(P, id="d-1") is not None

    async def test_a_document_of_another_inbox_is_forgotten_as_well(self, store: Store) -> None:
        """`Commit.forgotten`: of any inbox of the partition. One of another partition is not touched."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10))
        (elsewhere,) = await store.acquire("s-1", "elsewhere", [P])
        (far,) = await store.acquire("s-1", lease.inbox, [P - 1])
        await applied(store, far, forgotten=[("d-1", 10)])
        assert await store.document(P, id="d-1") is not None
        await applied(store, elsewhere, forgotten=[("d-1", 10)])
        assert await store.document(P, id="d-1") is None

    async def test_later_commits_of_one_call_see_what_an_earlier_one_forgot(self, store: Store) -> None:
        """Each commit of a call is applied on its own, one after the other: name, stream and id are free for the next one."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10))
        update = DocumentUpdate("d-1", "a", note="gone")
        commits = [
            commit_of(lease, appends=[Append("d-1", 2, [b"2"])], created=[(document("d-5", "x"), entry("e-5", "x"))]),
            commit_of(lease, forgotten=[("d-1", 10)]),
            commit_of(lease, appends=[Append("d-1", 3, [b"3"])]),
            commit_of(lease, documents=[update, DocumentUpdate("d-5", "x", closes=True)]),
            commit_of(lease, appends=[Append("d-1", 0, [b"new"])], created=[(document("d-1", "a"), entry("e", "a"))]),
        ]
        answers = await store.commit(commits)
        assert [type(each) for each in answers[:3]] == [type(None), type(None), WrongSequenceError]
        assert answers[3] is not None and answers[4] is None  # the entry of d-5 is unread
        assert await store.read(P, "d-1") == [b"new"]
        again = await store.document(P, name="a")
        assert again is not None and again.open and again.note == ""
        assert [each.id for each in await inbox_of(store)] == ["e-5", "e"]

    async def test_what_is_forgotten_takes_no_entries(self, store: Store) -> None:
        """`send` finds no document, and a repeat of the request that made it makes a new one."""
        lease = await lease_for(store)
        await _closed(store, lease, ("d-1", "a", 10))
        await applied(store, lease, forgotten=[("d-1", 10)])
        try:
            await store.send(P, Entry("e-9", "a", b""), closed_too=True)
        except RunNotFoundError:
            pass
        else:
            raise AssertionError("an entry was taken for what is forgotten")
        made = await store.create(P, document("d-2", "a", request="d-1"), [], latest="")
        assert made.id == "d-2"

    async def test_entries_say_when_they_came(self, store: Store, clock: ManualClock) -> None:
        """`InboxEntry.at_ms` is the store's time of the append, or 0 in a store that does not know it."""
        await store.create(P, document(), [entry("e-1")])
        first_ms = clock.now_ms()
        clock.advance(7)
        await store.send(P, entry("e-2"))
        times = [each.at_ms for each in await inbox_of(store)]
        assert times in ([first_ms, first_ms + 7_000], [0, 0])
