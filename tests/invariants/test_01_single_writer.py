"""Invariant 1: only the commit of a partition's owner writes its histories, timers and run records.

Breaks that were tried, each of which fails a test here: the memory store's check of the epoch left out; its check of the
stream's position left out; `Completion._forget` keeping the execution of a refused commit for the next step.
"""

import asyncio

import pytest

from durable._log import RecordBody, StartRun, message_entry, new_run_document
from durable.author import Signal, activity, workflow
from durable.errors import StaleLeaseError, WrongSequenceError
from durable.history import to_raw
from durable.stores import Append, Commit, DocumentUpdate, Due, Reply, Task
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore
from tests.engine.harness import payload

go = Signal("go", int)


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def adds() -> int:
    total = 0
    while total < 6:
        total = await add(total, await go.receive())
    return total


async def written(env: Engines) -> dict[str, int]:
    """Return how much of everything there is."""
    return await env.store.inspect.counts()


def everything(env: Engines, lease: object, *, expected: int) -> Commit:
    """Return a commit that would write something of each kind."""
    return Commit(
        lease,  # type: ignore[arg-type]
        "commit-1",
        appends=[Append("run-x", expected, [b"{}"])],
        documents=[DocumentUpdate("run-x", "wf-x", note="changed")],
        tasks=[Task("t", "default", "add", "default", "wf-x", b"{}")],
        dues=[Due("d", env.clock.now_ms() + 1000, b"{}")],
        replies=[Reply("r", b"{}")],
    )


async def with_run(env: Engines) -> tuple[int, object]:
    """Make a run record by hand and take its partition's lease."""
    document = new_run_document(
        workflow_id="wf-x", run_id="run-x", workflow="adds", inbox="default", request="r",
        now_ms=env.clock.now_ms(), body=RecordBody(),
    )  # fmt: skip
    start = StartRun(run_id="run-x", workflow="adds", queue="default", args=to_raw(payload([[], {}])), request="r")
    await env.store.create(0, document, [message_entry("r", "wf-x", start)])
    await env.store.begin_session("one", "engine/default", b"{}", 10**9)
    (lease,) = await env.store.acquire("one", "default", [0])
    return 0, lease


async def test_a_commit_under_a_stale_epoch_writes_nothing() -> None:
    """Another owner came; nothing of the earlier one's commit is applied."""
    async with engines(partitions=1) as env:
        partition, lease = await with_run(env)
        await env.store.end_session("one")
        await env.store.begin_session("two", "engine/default", b"{}", 10**9)
        await env.store.acquire("two", "default", [0])
        before = await written(env)
        (answer,) = await env.store.commit([everything(env, lease, expected=0)])
        assert isinstance(answer, StaleLeaseError)
        assert await written(env) == before
        document = await env.store.document(partition, id="run-x")
        assert document is not None
        assert document.note == ""


async def test_a_commit_at_the_wrong_position_writes_nothing() -> None:
    """The history is not where the commit expects it."""
    async with engines(partitions=1) as env:
        partition, lease = await with_run(env)
        before = await written(env)
        (answer,) = await env.store.commit([everything(env, lease, expected=3)])
        assert isinstance(answer, WrongSequenceError)
        assert await written(env) == before
        document = await env.store.document(partition, id="run-x")
        assert document is not None
        assert document.note == ""


@pytest.mark.parametrize("seen", [False, True])
async def test_an_owner_that_comes_back_late_changes_nothing(seen: bool) -> None:
    """Its commit hangs while another takes over and goes on; when it gets through, it is refused and dropped."""
    async with engines(partitions=1) as env:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        held: list[int] = []

        def plan(name: str, number: int) -> object:
            if name == "commit" and len(held) == 1:
                return gate
            if name == "commit":
                held.append(number)
            return ""

        late = FaultyStore(env.store, plan)
        first = await env.begin([adds], [add], store=late)  # type: ignore[arg-type]
        handle = await env.client.start(adds, id="a")()
        await env.settle()
        await handle.signal(go, 1)
        await env.settle()  # the step that reads the signal is decided, but its commit is held back
        assert await env.tags("a") == ["RunStarted"]
        await env.store.end_session(first)
        second = await env.begin([adds], [add])
        await env.settle()
        taken_over = await env.tags("a")
        assert taken_over[:3] == ["RunStarted", "SignalReceived", "ActivityScheduled"]
        if seen:
            env.engine(first).lost(list(env.engine(first).leases()))
        gate.set_result(None)
        await env.settle()
        assert await env.tags("a") == taken_over
        assert not env.engine(first).leases()
        await handle.signal(go, 2)
        await handle.signal(go, 3)
        assert await env.drive(handle.result()) == 6
        assert (await env.tags("a")).count("ActivityCompleted") == 3
        assert env.hands(second).calls


async def test_a_refused_commit_is_derived_anew_from_the_log() -> None:
    """The position is not what the engine believed: it forgets the execution, reads the history and decides again."""
    async with engines(partitions=1) as env:
        refusals = [0]

        class Refusing(FaultyStore):
            def __getattr__(self, name: str) -> object:
                real = getattr(self._store, name)
                if name != "commit":
                    return real

                async def commit(commits: list[Commit]) -> list[Exception | None]:
                    if refusals[0] < 3 and any(c.appends for c in commits):
                        refusals[0] += 1
                        return [WrongSequenceError("made up") for _ in commits]
                    answers: list[Exception | None] = await real(commits)
                    return answers

                return commit

        await env.begin([adds], [add], store=Refusing(env.store, lambda *_: ""))  # type: ignore[arg-type]
        handle = await env.client.start(adds, id="a")()
        for n in (1, 2, 3):
            await handle.signal(go, n)
        assert await env.drive(handle.result()) == 6
        tags = await env.tags("a")
        assert refusals == [3]
        assert tags.count("SignalReceived") == tags.count("ActivityCompleted") == 3
