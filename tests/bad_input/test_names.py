"""Row 3: names that nobody knows, names that two have, and functions that cannot be what they are to be."""

import asyncio
import functools
from typing import Any

import pytest

from durable import Query, Signal, Update, Worker, activity, local, proxy, workflow
from durable.author import collect_activities
from durable.errors import (
    DefinitionError,
    InvalidCallError,
    InvalidIdError,
    RequestFailedError,
    RequestTimeoutError,
    UpdateRejectedError,
)
from tests.engine.env import engines


@activity
async def work(n: int) -> int:
    return n


@workflow
async def flow(n: int) -> int:
    return await work(n)


def plain(n: int) -> int:
    """A plain function."""
    return n


def generates() -> Any:
    """A generator."""
    yield 1


async def agenerates() -> Any:
    """An asynchronous generator."""
    yield 1


class NoFunction:
    """Callable, but no function."""

    def __call__(self) -> None: ...


@pytest.mark.parametrize("decorator", [workflow, activity])
@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (lambda: 1, "write a def"),
        (generates, "generator"),
        (agenerates, "generator"),
        (functools.partial(plain, 1), "partial"),
        (NoFunction(), "needs a function"),
        (NoFunction, "needs a function"),
        (len, "needs a function"),
        (5, "5"),
        ("name", "'name'"),
    ],
)
def test_what_has_no_name_or_cannot_return_is_refused(decorator: Any, thing: Any, says: str) -> None:
    """Naming it, and saying what to do."""
    with pytest.raises(DefinitionError, match=says):
        decorator(thing)


def test_a_sync_workflow_is_refused() -> None:
    """It names the function, where it is, and what to write."""
    with pytest.raises(DefinitionError, match=r"async def: plain \(.*test_names.py:\d+\); write `async def plain"):
        workflow(plain)  # type: ignore[arg-type]


def test_an_async_cpu_bound_activity_is_refused() -> None:
    """There is no loop for it in its process."""

    async def both() -> None: ...

    with pytest.raises(DefinitionError, match="plain def"):
        activity(cpu_bound=True)(both)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"name": ""}, InvalidIdError, "activity name must not be empty"),
        ({"name": "x" * 1001}, InvalidIdError, "1001"),
        ({"name": "a\nb"}, InvalidIdError, "control characters"),
        ({"queue": ""}, InvalidIdError, "task queue name"),
        ({"timeout": -1}, ValueError, "timeout: expected between"),
        ({"timeout": "soon"}, ValueError, "timeout: cannot read 'soon'"),
        ({"total_timeout": "3 fortnights"}, ValueError, "unknown unit 'fortnights'"),
        ({"retry": 3}, TypeError, "retry: expected a RetryPolicy, got 3"),
        ({"raises": ValueError}, TypeError, "write raises=\\[ValueError\\]"),
        ({"raises": ["ValueError"]}, TypeError, "raises: expected exception classes"),
        ({"raises": [KeyboardInterrupt]}, TypeError, "raises: expected exception classes"),
    ],
)
def test_options_of_an_activity_are_checked_where_they_are_written(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    """For the decorator and for `proxy` alike."""
    with pytest.raises(error, match=says):
        activity(**options)(plain)
    if "name" not in options:
        with pytest.raises(error, match=says):
            proxy(work, **options)


@pytest.mark.parametrize(
    ("options", "says"), [({"name": ""}, "workflow name"), ({"name": 5}, "got 5"), ({"timeout": -1}, "timeout")]
)
def test_options_of_a_workflow_are_checked_where_they_are_written(options: dict[str, Any], says: str) -> None:
    """Before anything runs."""

    async def good() -> None: ...

    with pytest.raises(ValueError, match=says):
        workflow(**options)(good)


@pytest.mark.parametrize("kind", [Signal, Query])
def test_names_of_messages_are_checked(kind: Any) -> None:
    """Empty, too long, no text."""
    for name, says in (("", "must not be empty"), ("x" * 1001, "1001"), (5, "got 5")):
        with pytest.raises(InvalidIdError, match=says):
            kind(name)


def test_two_of_one_name_are_refused_at_registration() -> None:
    """Naming both."""

    @activity(name="work")
    async def another(n: int) -> int:
        return n

    @workflow(name="flow")
    async def another_flow(n: int) -> int:
        return n

    class Connected:
        store: Any = None
        codec: Any = None
        interceptors: Any = ()

    for options in ({"workflows": [flow, another_flow]}, {"workflows": [flow], "activities": [work, another]}):
        with pytest.raises(DefinitionError) as caught:
            Worker(Connected(), **options)
        assert "test_names.py" in str(caught.value)
        assert ("'flow'" in str(caught.value)) or ("'work'" in str(caught.value))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (plain, "decorate it with @activity"),
        (NoFunction, "not the class"),
        (NoFunction(), "no activities"),
        (5, "no activities"),
    ],
)
def test_what_is_no_activity_is_refused_at_registration(source: Any, says: str) -> None:
    """And told what to do."""
    with pytest.raises(DefinitionError, match=says):
        collect_activities(source)


@pytest.mark.parametrize(("target", "says"), [(plain, "decorate it with @activity"), (5, "no activities")])
def test_what_is_no_activity_has_no_proxy(target: Any, says: str) -> None:
    """Nor can it be run locally."""
    with pytest.raises(DefinitionError, match=says):
        proxy(target)
    with pytest.raises(DefinitionError, match="expected an activity"):
        local(target)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": -1}, "timeout: .*-1"),
        ({"total_timeout": "soon"}, "'soon'"),
        ({"retry": 3}, "expected a RetryPolicy, got 3"),
        ({"raises": ["Declined"]}, "'Declined'"),
        ({"queue": "q"}, "queue"),
    ],
)
def test_options_of_a_local_activity_are_checked(options: Any, says: str) -> None:
    """At the call of `local`; it has no queue, so that is none of them."""
    with pytest.raises((ValueError, TypeError), match=says):
        local(work, **options)


def test_a_workflow_is_not_run_locally() -> None:
    """It has a proxy, as a child; a local activity has no run of its own."""
    with pytest.raises(DefinitionError, match="expected an activity"):
        local(flow)  # type: ignore[call-overload]


async def test_a_workflow_that_no_worker_knows_waits_and_is_reported() -> None:
    """Its run is open, and says which workflows are known here."""
    async with engines() as env:
        await env.begin([flow], [work])
        await env.client.start("float", id="f")(1)
        await env.settle()
        note = await env.stuck("f")
        assert note is not None
        assert "'float'" in note
        assert "they know: flow" in note


async def test_a_task_for_an_activity_that_no_worker_knows_waits() -> None:
    """It is there when a worker that knows it comes."""

    @workflow
    async def asks() -> Any:
        return await proxy("rare")(5)

    @activity
    async def rare(n: int) -> int:
        return n + 1

    async with engines() as env:
        await env.begin([asks], [work])
        handle = await env.client.start(asks, id="a")()
        await env.advance(60)
        (task,) = await env.store.inspect.tasks()
        assert (task.task.kind, task.claimed_by, task.parked) == ("rare", None, None)
        await env.begin([asks], [rare])
        assert await env.drive(handle.result()) == 6


async def test_unknown_names_of_messages_are_answered_with_the_known_ones() -> None:
    """A query at once; an update once its time is up, or the run has ended. A signal is nobody's mistake until the run ends: it is kept."""
    asked, nudge = Query("asked", int), Signal("nudge", int)
    add, remove = Update("add", int, int), Update("remove", int, int)

    @workflow
    async def takes() -> int:
        @asked.handler
        def tell() -> int:
            return 1

        @add.handler
        def on_add(n: int) -> int:
            return n

        @remove.handler
        def on_remove(n: int) -> int:
            return -n

        return await nudge.receive()

    async with engines() as env:
        await env.begin([takes])
        handle = await env.client.start(takes, id="t")()
        with pytest.raises(RequestFailedError, match="workflow 'takes' has no query 'aksed'; it has: asked"):
            await env.drive(handle.query("aksed"))
        with pytest.raises(RequestTimeoutError, match="no handler for it yet; it has: add, remove"):
            await env.drive(handle.update("ad", 1, timeout=3))
        await handle.signal("nugde", 1)
        await env.settle()
        assert await env.status("t") == "running"
        pending = asyncio.ensure_future(handle.update("adds", 1, timeout="1 hour"))
        await env.settle()
        await handle.signal(nudge, 5)
        assert await env.drive(handle.result()) == 5
        with pytest.raises(UpdateRejectedError, match="never had a handler for update 'adds'; it had: add, remove"):
            await env.drive(pending)
        assert "SignalReceived" in await env.tags("t")


async def test_workflow_functions_outside_of_a_workflow_say_so() -> None:
    """They need a run."""
    from durable import info, patched, side_effect, wait_condition

    for call in (info, lambda: patched("x"), lambda: side_effect(plain)):  # type: ignore[arg-type, return-value]
        with pytest.raises(InvalidCallError, match="only in workflow code"):
            call()  # type: ignore[operator]
    for coroutine in (Signal("s").receive(), wait_condition(lambda: True)):
        with pytest.raises(InvalidCallError, match="only in workflow code"):
            await coroutine


async def test_an_activity_and_a_workflow_are_plain_functions_outside() -> None:
    """So that both can be unit-tested without anything."""
    assert await work(4) == 4
    assert await flow(4) == 4
