"""What people look at."""

from dataclasses import replace

from ...stores._protocol import Append, DocumentFilter, DocumentUpdate, Due, Outgoing, Reply, Store, TaskInfo
from .._clock import ManualClock
from ._base import TTL_MS, Base, P, applied, claim, document, entry, inbox_of, lease_for, queued, task


async def _some_documents(store: Store) -> None:
    for number in range(1, 7):
        new = document(
            f"d-0{number}",
            f"order-{number}",
            request=f"r-{number}",
            kind="order" if number % 2 else "refund",
            created_ms=number * 10,
        )
        await store.create(number % 3, new, [entry(f"e-{number}", new.name)])


async def _ids(store: Store, filter: DocumentFilter, limit: int = 100) -> list[str]:  # noqa: A002
    return [each.id for _, each in await store.inspect.documents(filter, limit=limit)]


class InspectTests(Base):
    """The `Inspect` protocol."""

    async def test_documents_are_listed_newest_first_with_their_partitions(self, store: Store) -> None:
        """`documents`: up to `limit` matching documents with their partitions, newest first; `before_id` pages backwards."""
        await _some_documents(store)
        found = await store.inspect.documents(DocumentFilter(), limit=3)
        assert [(partition, each.id) for partition, each in found] == [(0, "d-06"), (2, "d-05"), (1, "d-04")]
        assert await _ids(store, DocumentFilter(before_id="d-04")) == ["d-03", "d-02", "d-01"]
        assert found[0][1] == await store.document(0, id="d-06")

    async def test_documents_are_filtered_by_each_field(self, store: Store) -> None:
        """`DocumentFilter`: None or empty: anything. A time "after" is included, one "before" is not."""
        await _some_documents(store)
        lease = await lease_for(store)
        await applied(store, lease, documents=[DocumentUpdate("d-04", "order-4", note="stuck", state="waiting")])
        assert await _ids(store, DocumentFilter(name="order-2")) == ["d-02"]
        assert await _ids(store, DocumentFilter(name_prefix="order-")) == [
            "d-06",
            "d-05",
            "d-04",
            "d-03",
            "d-02",
            "d-01",
        ]
        assert await _ids(store, DocumentFilter(name_prefix="ORDER")) == []
        assert await _ids(store, DocumentFilter(kinds=["refund", "nothing"])) == ["d-06", "d-04", "d-02"]
        assert await _ids(store, DocumentFilter(states=["waiting"])) == ["d-04"]
        assert await _ids(store, DocumentFilter(noted=True)) == ["d-04"]
        assert await _ids(store, DocumentFilter(noted=False, kinds=["refund"])) == ["d-06", "d-02"]
        assert await _ids(store, DocumentFilter(created_after_ms=30, created_before_ms=50)) == ["d-04", "d-03"]
        assert await _ids(store, DocumentFilter(name_prefix="", states=["running"]), limit=1) == ["d-06"]

    async def test_documents_are_counted_by_state(self, store: Store) -> None:
        """`count_documents`: how many documents match, by state."""
        await _some_documents(store)
        lease = await lease_for(store)
        await applied(store, lease, documents=[DocumentUpdate("d-04", "order-4", state="waiting")])
        assert await store.inspect.count_documents(DocumentFilter()) == {"running": 5, "waiting": 1}
        assert await store.inspect.count_documents(DocumentFilter(name="order-4")) == {"waiting": 1}
        assert await store.inspect.count_documents(DocumentFilter(name="nobody")) == {}

    async def test_tasks_are_listed_oldest_first(self, store: Store) -> None:
        """`tasks`: up to `limit` tasks, oldest first, filtered by queue, name and whether they are parked."""
        await queued(store, task("t-2"), task("t-1", queue="other"), task("t-3", name="order-2"))
        await claim(store, limit=1)
        first = TaskInfo(P, task("t-2"), 1, "s-1", None)
        assert await store.inspect.tasks(limit=2) == [first, TaskInfo(P, task("t-1", queue="other"), 0, None, None)]
        assert [each.task.id for each in await store.inspect.tasks(queue="work")] == ["t-2", "t-3"]
        assert [each.task.id for each in await store.inspect.tasks(name="order-2")] == ["t-3"]
        assert await store.inspect.tasks(parked=True) == []
        assert len(await store.inspect.tasks(parked=False)) == 3

    async def test_counts_count_each_kind_of_thing(self, store: Store, clock: ManualClock) -> None:
        """`counts`: how many entries each kind of thing has; sessions, leases and replies only while they live."""
        nothing = dict.fromkeys(
            ("inbox", "tasks", "dues", "outgoing", "documents", "sessions", "leases", "records", "replies"), 0
        )
        assert await store.inspect.counts() == nothing
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await store.begin_session("s-2", "group", b"", 2 * TTL_MS)
        await applied(
            store,
            lease,
            appends=[Append("history", 0, [b"1", b"2", b"3"])],
            tasks=[task("t-1"), task("t-2")],
            dues=[Due(key, 1, b"") for key in "abcd"],
            outgoing=[Outgoing("o", 0, b"")],
            replies=[Reply("y", b"", ttl_ms=1_000)],
        )
        full = {
            "inbox": 1,
            "tasks": 2,
            "dues": 4,
            "outgoing": 1,
            "documents": 1,
            "sessions": 2,
            "leases": 1,
            "records": 3,
            "replies": 1,
        }
        assert await store.inspect.counts() == full
        clock.advance(TTL_MS / 1000)
        assert await store.inspect.counts() == {**full, "sessions": 1, "leases": 0, "replies": 0}

    async def test_what_is_closed_is_still_listed(self, store: Store) -> None:
        """`documents` and `document` find closed documents too."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(
            store,
            lease,
            consumed=[read.seq],
            documents=[DocumentUpdate("d-01", document().name, state="done", closes=True)],
        )
        assert await store.inspect.documents(DocumentFilter(), limit=9) == [
            (P, replace(document(), state="done", open=False))
        ]
