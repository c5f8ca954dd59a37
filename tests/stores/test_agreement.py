"""Any program of operations gets the same answers from every store; the memory store is the oracle.

SQLite and Redis run with two handles on one file or namespace, used in turn as two processes would, and closed and opened now and then.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from durable.errors import DurableError
from durable.stores import Store, open_store
from durable.stores._protocol import (
    Append,
    AttributeValue,
    ClaimedTask,
    Commit,
    Condition,
    Document,
    DocumentFilter,
    DocumentUpdate,
    Due,
    Entry,
    Lease,
    Outgoing,
    Reply,
    Task,
)
from durable.testing._clock import ManualClock
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer

T = TypeVar("T")
PARTITIONS = 2
INBOXES = ["in-a", "in-b"]
partitions = st.integers(0, PARTITIONS - 1)
inboxes = st.sampled_from(INBOXES)
names = st.sampled_from(["n-1", "n-2"])
document_ids = st.sampled_from([f"d-{number}" for number in range(5)])
requests = st.sampled_from(["r-1", "r-2", "r-3"])
entries = st.builds(Entry, st.sampled_from([f"e-{number}" for number in range(6)]), names, st.binary(max_size=3))
sessions = st.sampled_from(["s-1", "s-2", "s-3"])
task_ids = st.sampled_from([f"t-{partition}-{number}" for partition in range(PARTITIONS) for number in range(4)])
queues = st.sampled_from(["work", "mail"])
kinds = st.sampled_from(["x", "y"])
streams = st.sampled_from(["h-1", "h-2", "d-0"])
keys = st.sampled_from(["k-1", "k-2", "k-3"])
ttls = st.sampled_from([1_000, 5_000])
attribute_names = st.sampled_from(["a", "b"])
attribute_values = st.sampled_from([0, 1, 1.0, 1.5, True, False, "", "x", "xy", (), ("x",), ("x", "", "x")])
attributes = st.dictionaries(attribute_names, attribute_values, max_size=2)
conditions = (
    st.builds(Condition, attribute_names, st.sampled_from(["=", "!="]), attribute_values)
    | st.builds(
        Condition, attribute_names, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([0, 1, 1.5, "", "x"])
    )
    | st.builds(Condition, attribute_names, st.sampled_from(["prefix", "has"]), st.sampled_from(["", "x", "xy"]))
    | st.builds(Condition, attribute_names, st.just("exists"))
)
updates = st.builds(
    DocumentUpdate,
    id=document_ids,
    name=names,
    state=st.none() | st.sampled_from(["running", "done"]),
    note=st.none() | st.sampled_from(["", "stuck"]),
    body=st.none() | st.binary(max_size=2),
    opens=st.booleans(),
    closes=st.booleans(),
    closed_ms=st.none() | st.integers(0, 9),
    attributes=st.none() | st.dictionaries(attribute_names, st.none() | attribute_values, max_size=2),
)
created = st.builds(
    lambda id_, name, inbox, request, entry, attributes: (
        Document(id_, name, inbox, request, "kind", "running", 1, b"", attributes=attributes),
        entry,
    ),
    document_ids,
    names,
    inboxes,
    requests,
    entries,
    attributes,
)
tasks = st.builds(
    Task,
    id=task_ids,
    queue=queues,
    kind=kinds,
    inbox=inboxes,
    name=names,
    data=st.binary(max_size=2),
    claimed_by=st.none() | sessions,
)
dues = st.builds(Due, keys, st.integers(0, 5), st.binary(max_size=2))
outgoing = st.builds(Outgoing, keys, partitions, st.binary(max_size=2))
replies = st.builds(Reply, keys, st.binary(max_size=2), st.sampled_from([500, 60_000]))


def few(elements: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(elements, max_size=3)


parts = st.fixed_dictionaries(
    {},
    optional={
        "documents": few(updates),
        "created": st.lists(created, max_size=2),
        "tasks": few(tasks),
        "tasks_removed": few(task_ids),
        "tasks_cancelled": few(task_ids),
        "dues": few(dues),
        "dues_removed": few(keys),
        "outgoing": few(outgoing),
        "relayed": few(keys),
        "replies": few(replies),
        "forgotten": few(st.tuples(document_ids, st.integers(0, 9))),
    },
)


def in_partition(partition: int, task_id: str) -> str:
    """Return the id as one of that partition: an id is of one task, and a task is in one partition."""
    return f"t-{partition}-{task_id[-1]}"


class StoresAgree(RuleBasedStateMachine):
    """Each rule does the same to both stores and compares the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.url = self.new_url()
        self.leases: list[Lease] = []
        self.claims: list[tuple[str, ClaimedTask]] = []
        self.commits = 0
        self.last: list[Commit] = []

    def new_url(self) -> str:
        self.folder = tempfile.mkdtemp(prefix="durable-agree-")
        return f"sqlite:///{self.folder}/store.db?synchronous=normal"

    def forget(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def open(self) -> None:
        async def opened() -> tuple[Store, list[Store]]:
            files = [await open_store(self.url, clock=self.clock, partitions=PARTITIONS) for _ in range(2)]
            return await open_store("memory:", clock=self.clock, partitions=PARTITIONS), files

        self.memory, self.files = self.runner.run(opened())
        # Something to start from, so that most programs get as far as commits.
        for session, inbox in zip(("s-1", "s-2"), INBOXES, strict=True):
            self.begin_session(False, session, 5_000)
            self.acquire(True, session, inbox, [0, 1])
        for partition, inbox in enumerate(INBOXES):
            self.create(False, partition, "d-0", "n-1", inbox, "r-1", [Entry("e-0", "n-1", b"")], None, {})

    def teardown(self) -> None:
        async def closed() -> None:
            for store in self.files:
                await store.close()

        if hasattr(self, "files"):
            self.runner.run(closed())
        self.runner.close()
        self.forget()

    def same(self, call: Callable[[Store], Coroutine[object, object, T]], file: bool = False) -> T | None:
        """Return what both stores answer, or None if both raise the same error."""
        expected, got = (self.runner.run(self.outcome(call, store)) for store in (self.memory, self.files[file]))
        assert got == expected
        return None if isinstance(expected, type) else expected

    @staticmethod
    async def outcome(call: Callable[[Store], Coroutine[object, object, T]], store: Store) -> T | type[Exception]:
        try:
            return await call(store)
        except (DurableError, ValueError) as error:
            return type(error)

    # --- time, and two processes

    @rule(seconds=st.sampled_from([0.5, 1, 5]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(file=st.booleans())
    def restart(self, file: bool) -> None:
        async def reopened() -> Store:
            await self.files[file].close()
            return await open_store(self.url, clock=self.clock)

        self.files[file] = self.runner.run(reopened())

    # --- anyone

    @rule(
        file=st.booleans(),
        partition=partitions,
        id=document_ids,
        name=names,
        inbox=inboxes,
        request=requests,
        entries=few(entries),
        latest=st.none() | st.just("") | document_ids,
        attributes=attributes,
    )
    def create(
        self,
        file: bool,
        partition: int,
        id: str,
        name: str,
        inbox: str,
        request: str,
        entries: list[Entry],
        latest: str | None,
        attributes: dict[str, AttributeValue],
    ) -> None:
        document = Document(id, name, inbox, request, "kind", "running", 1, b"", attributes=attributes)
        first = [replace(entry, name=name) for entry in entries]
        self.same(lambda store: store.create(partition, document, first, latest=latest), file)

    @rule(
        file=st.booleans(), partition=partitions, entry=entries, id=st.none() | document_ids, closed_too=st.booleans()
    )
    def send(self, file: bool, partition: int, entry: Entry, id: str | None, closed_too: bool) -> None:
        self.same(lambda store: store.send(partition, entry, id=id, closed_too=closed_too), file)

    @rule(
        file=st.booleans(),
        partition=partitions,
        before_ms=st.integers(0, 10),
        after=st.tuples(st.integers(0, 9), st.just("") | document_ids),
        limit=st.integers(1, 3),
    )
    def read_closed(self, file: bool, partition: int, before_ms: int, after: tuple[int, str], limit: int) -> None:
        self.same(lambda store: store.read_closed(partition, before_ms=before_ms, after=after, limit=limit), file)

    @rule(file=st.booleans(), partition=partitions, id=keys)
    def take_reply(self, file: bool, partition: int, id: str) -> None:
        self.same(lambda store: store.take_reply(partition, id), file)

    # --- sessions

    @rule(file=st.booleans(), session=sessions, ttl_ms=ttls)
    def begin_session(self, file: bool, session: str, ttl_ms: int) -> None:
        self.same(lambda store: store.begin_session(session, "group", b"", ttl_ms), file)

    @rule(file=st.booleans(), session=sessions)
    def end_session(self, file: bool, session: str) -> None:
        self.same(lambda store: store.end_session(session), file)

    @rule(file=st.booleans(), session=sessions, ttl_ms=ttls, ids=few(task_ids))
    def renew(self, file: bool, session: str, ttl_ms: int, ids: list[str]) -> None:
        async def renewed(store: Store) -> object:
            return store.renew(session, ttl_ms, self.leases[-3:], ids)

        self.same(renewed, file)

    @rule(file=st.booleans(), session=sessions, inbox=inboxes, wanted=st.lists(partitions, max_size=3))
    def acquire(self, file: bool, session: str, inbox: str, wanted: list[int]) -> None:
        self.leases += self.same(lambda store: store.acquire(session, inbox, wanted), file) or []

    @rule(file=st.booleans(), back=st.integers(1, 4))
    def release(self, file: bool, back: int) -> None:
        leases = self.leases[-back:][:1]
        self.same(lambda store: store.release(leases), file)

    # --- tasks

    @rule(file=st.booleans(), session=sessions, queue=queues, wanted=st.sets(kinds), limit=st.integers(0, 3))
    def claim(self, file: bool, session: str, queue: str, wanted: set[str], limit: int) -> None:
        limit = self.limit(limit)

        async def claimed_by(store: Store) -> list[ClaimedTask]:
            return self.in_order(await store.claim(session, queue, sorted(wanted), limit))

        claimed = self.same(claimed_by, file) or []
        self.claims += [(session, each) for each in claimed]

    def limit(self, limit: int) -> int:
        return limit

    def in_order(self, found: list[T]) -> list[T]:
        return found

    @rule(file=st.booleans(), back=st.integers(1, 4), entry=entries, mine=st.booleans())
    def complete(self, file: bool, back: int, entry: Entry, mine: bool) -> None:
        for session, claimed in self.claims[-back:][:1]:
            holder = session if mine else "s-1"
            self.same(lambda store: store.complete(holder, claimed, entry), file)  # noqa: B023

    @rule(file=st.booleans(), session=sessions, ids=few(task_ids))
    def unclaim(self, file: bool, session: str, ids: list[str]) -> None:
        self.same(lambda store: store.unclaim(session, ids), file)

    @rule(file=st.booleans(), session=sessions, id=task_ids, details=st.binary(max_size=2))
    def note_progress(self, file: bool, session: str, id: str, details: bytes) -> None:
        self.same(lambda store: store.note_progress(session, id, details), file)

    @rule(file=st.booleans(), ids=st.lists(task_ids, unique=True, max_size=3), discard=st.booleans())
    def parked(self, file: bool, ids: list[str], discard: bool) -> None:
        if discard:
            self.same(
                lambda store: store.inspect.discard_parked(ids, [Entry(f"x-{id_}", "n-1", b"") for id_ in ids]), file
            )
        else:
            self.same(lambda store: store.inspect.release_parked(ids), file)

    # --- owners

    @rule(
        file=st.booleans(),
        back=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        parts=st.lists(parts, min_size=3, max_size=3),
        appends=st.lists(
            few(st.tuples(streams, st.sampled_from([0, 0, 0, 1]), st.integers(0, 2))), min_size=3, max_size=3
        ),
        read=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    )
    def commit(
        self,
        file: bool,
        back: list[int],
        parts: list[dict[str, list[object]]],
        appends: list[list[tuple[str, int, int]]],
        read: list[int],
    ) -> None:
        """Send up to three commits in one call; positions are right, or off by a little; entries are consumed from the front."""
        plan: list[tuple[Commit, int]] = []
        for number, distance in enumerate(back):
            if len(self.leases) < distance:
                continue
            lease = self.leases[-distance]
            self.commits += 1
            records: list[Append] = []
            for stream, off, count in appends[number]:
                last = self.runner.run(self.memory.read_last(lease.partition, stream))
                expected = (last[0] if last else 0) + off
                records.append(Append(stream, expected, [b"%d" % self.commits] * count))
            commit = Commit(lease, f"c-{self.commits}", appends=records, **parts[number])  # type: ignore[arg-type]
            here = partial(in_partition, lease.partition)
            commit.tasks = [replace(task, id=here(task.id)) for task in commit.tasks]
            commit.tasks_removed = list(map(here, commit.tasks_removed))
            commit.tasks_cancelled = list(map(here, commit.tasks_cancelled))
            plan.append((commit, read[number]))

        async def committed(store: Store) -> list[type]:
            pages = await store.read_inboxes([(each.lease, 0) for each, _ in plan], 10)
            ready = [
                replace(each, consumed=[one.seq for one in page[:count]])
                for (each, count), page in zip(plan, pages, strict=True)
            ]
            return [type(answer) for answer in await store.commit(ready)]

        self.same(committed, file)
        self.last = [replace(each) for each, _ in plan]

    @rule(file=st.booleans())
    def commit_again(self, file: bool) -> None:
        async def committed(store: Store) -> list[type]:
            return [type(answer) for answer in await store.commit(self.last)]

        self.same(committed, file)

    # --- what can be seen

    @rule(
        file=st.booleans(),
        conditions=few(conditions),
        limit=st.integers(1, 5),
        before=st.none() | document_ids,
        name=st.none() | names,
        inboxes=few(inboxes),
        by=st.sampled_from(["state", "kind", "inbox"]),
    )
    def search(
        self,
        file: bool,
        conditions: list[Condition],
        limit: int,
        before: str | None,
        name: str | None,
        inboxes: list[str],
        by: Literal["state", "kind", "inbox"],
    ) -> None:
        wanted = DocumentFilter(attributes=conditions, before_id=before, name=name, inboxes=inboxes)
        self.same(lambda store: store.inspect.documents(wanted, limit=limit), file)
        self.same(lambda store: store.inspect.count_documents(wanted, by=by), file)

    @invariant()
    def hold_the_same(self) -> None:
        if hasattr(self, "files"):
            self.same(self.everything, bool(self.commits % 2))

    async def everything(self, store: Store) -> list[object]:
        readers = [Lease(partition, inbox, "", 0) for partition in range(PARTITIONS) for inbox in INBOXES]
        reads: list[Coroutine[object, object, object]] = [
            store.read_dues(reader, until_ms=3, limit=2) for reader in readers
        ]
        reads += [store.read_outgoing(reader, limit=10) for reader in readers]
        for partition in range(PARTITIONS):
            for stream in ("h-1", "h-2"):
                reads += [store.read(partition, stream, after=1), store.read_last(partition, stream)]
            reads += [store.document(partition, name=name) for name in ("n-1", "n-2")]
        reads += [store.holders(inbox) for inbox in INBOXES]
        reads += [store.sessions("group"), store.inspect.counts(), store.inspect.documents(DocumentFilter(), limit=20)]
        pages, tasks, *seen = await asyncio.gather(  # at once: a server is asked for all of it in one round trip
            store.read_inboxes([(each, 0) for each in readers], 100), store.inspect.tasks(), *reads
        )
        return [*seen, self.in_order(tasks), [[(entry.id, entry.name, entry.data) for entry in page] for page in pages]]


class RedisAgrees(StoresAgree):
    """Redis: tasks of several partitions have no order among them, since nothing knows two partitions at once."""

    server: RedisServer | RedisCluster
    numbers = itertools.count(1)

    def new_url(self) -> str:
        return f"{self.server.url}?namespace=agree-{next(self.numbers)}"

    def forget(self) -> None:
        self.server.flush()

    def limit(self, limit: int) -> int:
        tasks = self.runner.run(self.memory.inspect.tasks(parked=False))
        return limit if len({info.partition for info in tasks}) < 2 else min(limit, 1) * 100

    def in_order(self, found: list[T]) -> list[T]:
        return sorted(found, key=lambda each: each.partition)  # type: ignore[attr-defined]


StoresAgree.TestCase.settings = settings(stateful_step_count=30, deadline=None)
TestSqliteAgrees = StoresAgree.TestCase


class ClusterAgrees(RedisAgrees):
    """A cluster: the two partitions are on different primaries."""

    def new_url(self) -> str:
        return f"{self.server.url}?namespace=agree-c2"


# A server answers more slowly than memory: a third of the programs. `nox -s redis` runs all of them, on each server.
EXAMPLES = settings().max_examples if os.environ.get("DURABLE_TEST_STORE") else settings().max_examples // 3
RedisAgrees.TestCase.settings = settings(stateful_step_count=30, deadline=None, max_examples=EXAMPLES)


@pytest.mark.usefixtures("redis_agrees")
class TestRedisAgrees(RedisAgrees.TestCase):  # type: ignore[name-defined,misc]
    """See `RedisAgrees`."""


@pytest.fixture(scope="module")
def redis_agrees(redis_process: RedisServer) -> None:
    RedisAgrees.server = redis_process


ClusterAgrees.TestCase.settings = settings(stateful_step_count=30, deadline=None, max_examples=max(EXAMPLES // 2, 15))


@pytest.mark.usefixtures("cluster_agrees")
class TestClusterAgrees(ClusterAgrees.TestCase):  # type: ignore[name-defined,misc]
    """See `ClusterAgrees`."""


@pytest.fixture(scope="module")
def cluster_agrees(redis_nodes: RedisCluster) -> None:
    redis_nodes.flush()
    ClusterAgrees.server = redis_nodes
