"""More workflows whose histories are kept, as in `features`: children, continue-as-new, and activities that end in special ways."""

import asyncio
from collections.abc import Callable
from typing import Any

from durable._log import ActivityEnded, ChildEnded, OutgoingEnded
from durable.author import Attribute, Signal, activity, continue_as_new, proxy, sleep, start_child, workflow
from durable.codec import default_codec, failure_of
from durable.errors import ChildWorkflowError, RunAlreadyOpenError, RunCancelledError
from durable.history import to_raw
from tests.engine.harness import SteppedRun, payload

word = Signal("word", str)
owner = Attribute("owner", str)


class Refused(Exception):
    """What a child raises and declares."""


@workflow(name="kid", raises=[Refused])
async def kid(n: int) -> str:
    return str(n)


@workflow
async def children() -> list[str]:
    """One that is signalled and returns, one whose id is taken, one that fails, one that is cancelled, one that is left open."""
    options: dict[str, Any] = {"attributes": {owner: "ada"}, "memo": {"note": "x"}, "execution_timeout": 3_600}
    first = await start_child(kid, id="first", queue="far", run_timeout=60, parent_close="abandon", **options)(1)
    await first.signal(word, "hello")
    told = [await first]
    try:
        await proxy(kid, id="taken")(2)
    except RunAlreadyOpenError:
        told.append("taken")
    try:
        await kid(3)
    except ChildWorkflowError as error:
        told.append(type(error.__cause__).__name__)
    fourth = asyncio.create_task(proxy(kid, id="fourth")(4))  # type: ignore[arg-type]
    await asyncio.sleep(1)
    fourth.cancel()
    try:
        await fourth
    except asyncio.CancelledError:
        told.append("cancelled")
    left = await start_child("kid", id="left", version="2", parent_close="cancel")(5)
    await left.cancel("not needed")
    return told


def _failed(number: int, child_run: str, status: str, error: BaseException) -> ChildEnded:
    failure = failure_of(error, default_codec()).as_wire()
    return ChildEnded(run_id="run-1", id=number, child_run=child_run, status=status, failure=failure)


def _children() -> SteppedRun:
    run = SteppedRun(children).start()
    run.send(OutgoingEnded(run_id="run-1", id=1, started="kid-1"))
    run.delivered(2)
    run.send(ChildEnded(run_id="run-1", id=1, child_run="kid-1", status="completed", result=to_raw(payload("1"))))
    taken = failure_of(RunAlreadyOpenError("it is taken"), default_codec()).as_wire()
    run.send(OutgoingEnded(run_id="run-1", id=3, failure=taken))
    run.send(_failed(4, "kid-4", "failed", Refused("no")))
    run.send(OutgoingEnded(run_id="run-1", id=5, started="kid-5"))
    run.fire_next()
    run.send(_failed(5, "kid-5", "cancelled", RunCancelledError("asked to")))
    run.send(OutgoingEnded(run_id="run-1", id=7, started="kid-7"))
    return run


@workflow
async def continued(n: int) -> None:
    """A signal that it has not read goes along."""
    assert await word.receive() == "read"
    await sleep(10)
    continue_as_new(n + 1)


def _continued() -> SteppedRun:
    run = SteppedRun(continued, 1).start()
    run.signal(word, "read")
    run.signal(word, "unread")
    run.fire_next()
    return run


@activity(timeout=60, heartbeat_timeout=20)
async def approve(n: int) -> str:
    return str(n)


@workflow
async def deferred() -> str:
    return await approve(1)


def _deferred() -> SteppedRun:
    """Its first attempt is completed by nobody in time; the second one by the holder of its token."""
    run = SteppedRun(deferred).start()
    run.send(ActivityEnded(run_id="run-1", id=1, attempt=1, how="deferred", started_ms=run.now_ms))
    run.fire_next()
    run.fire_next_retry(1)
    run.send(ActivityEnded(run_id="run-1", id=1, attempt=2, how="deferred", started_ms=run.now_ms))
    run.send(ActivityEnded(run_id="run-1", id=1, attempt=2, result=to_raw(payload("yes")), by_token=True))
    return run


@activity(cancellation="wait")
async def waited(n: int) -> int:
    return n


@activity(cancellation="abandon")
async def abandoned(n: int) -> int:
    return n


@activity
async def tried(n: int) -> int:
    return n


@workflow
async def given_up() -> list[Any]:
    """Each kind of cancellation; of the two that are waited for one stops, and the other one has a result all the same."""
    calls = (tried(1), abandoned(2), waited(3), waited(4))
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    return ["cancelled" if isinstance(end, asyncio.CancelledError) else end for end in ends]


def _given_up() -> SteppedRun:
    run = SteppedRun(given_up).start()
    run.fire_next()
    run.send(ActivityEnded(run_id="run-1", id=3, attempt=1, how="cancelled"))
    run.complete(4, 4)
    return run


CALLS: dict[str, tuple[Any, Callable[[], SteppedRun]]] = {
    "children": (children, _children),
    "continued": (continued, _continued),
    "deferred": (deferred, _deferred),
    "given_up": (given_up, _given_up),
}
