"""Interceptors: what they are around, on both sides; headers that travel; errors; replay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Client,
    Interceptor,
    Query,
    RetryPolicy,
    Signal,
    Update,
    Worker,
    activity,
    activity_info,
    errors,
    external,
    info,
    local,
    proxy,
    sleep,
    start_child,
    wait_condition,
    workflow,
)
from durable.interceptors import (
    CallActivityInput,
    CancelInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    QueryInput,
    RunActivityInput,
    RunWorkflowInput,
    SignalExternalInput,
    SignalInput,
    StartChildInput,
    StartInput,
    TerminateInput,
    UpdateInput,
)
from durable.testing import ActivityEnvironment, TestEnvironment, replay

STORES = ["memory:", "sqlite"]
note = Signal("note", str)
notes = Query("notes", list)
shared: ContextVar[str] = ContextVar("shared", default="")


@activity
async def tell() -> dict[str, str]:
    return dict(activity_info().headers)


@activity
def tell_in_thread(x: int) -> list[Any]:
    return [x, shared.get(), threading.current_thread().name.startswith("durable-activity"), activity_info().attempt]


@activity(cpu_bound=True)
def tell_in_process(x: int) -> list[Any]:
    if x < 0:
        raise ValueError(f"negative: {x}")
    return [x, dict(activity_info().headers)]


@workflow
async def telling() -> dict[str, Any]:
    here = await tell()
    nearby = await local(tell)()
    return {"start": dict(info().headers), "task": here, "local": nearby}


@workflow
async def noting(count: int) -> list[str]:
    seen: list[str] = []

    @note.handler
    async def on_note(text: str) -> None:
        await sleep(1)
        seen.append(text)

    @notes.handler
    def on_notes(mark: str) -> list[str]:
        return [mark, *seen]

    while len(seen) < count:
        await sleep(0.5)
    return seen


@workflow
async def sending(target: str) -> str:
    await external(target).signal(note, "from afar")
    return "sent"


class Named(Interceptor):
    """Says what it sees, and hands a header on."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        self.log.append(f"{self.name} start {input.workflow} {input.workflow_id}")
        return await next(replace(input, headers={**input.headers, self.name: "start"}))

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        if not input.run.replaying:
            self.log.append(f"{self.name} run {dict(input.headers)}")
        result = await next(input)
        if not input.run.replaying:
            self.log.append(f"{self.name} ran")
        return result

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        return next(replace(input, headers={**input.headers, self.name: input.run.headers.get(self.name, "none")}))

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        self.log.append(f"{self.name} activity {input.activity} of {input.workflow} {dict(input.headers)}")
        return await next(input)


def url_of(store: str, tmp_path: Path) -> str | None:
    return None if store == "memory:" else f"sqlite:///{tmp_path}/test.db"


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_headers_travel_from_the_start_to_the_activities(
    store: str, cache_runs: int | None, tmp_path: Path
) -> None:
    """What an interceptor gives the start reaches the run; what it gives a call, the activity, over a task or nearby."""
    log: list[str] = []
    around = [Named("outer", log), Named("inner", log)]
    async with TestEnvironment(
        workflows=[telling],
        activities=[tell],
        interceptors=around,
        store=url_of(store, tmp_path),
        cache_runs=cache_runs,
    ) as env:
        handle = await env.client.start(telling, id="t")()
        both = {"outer": "start", "inner": "start"}
        assert await handle.result() == {"start": both, "task": both, "local": both}
        history = await handle.history()
    assert log == [
        "outer start telling t",
        "inner start telling t",
        f"outer run {both}",
        f"inner run {both}",
        f"outer activity tell of telling {both}",
        f"inner activity tell of telling {both}",
        f"outer activity tell of telling {both}",
        f"inner activity tell of telling {both}",
        "inner ran",
        "outer ran",
    ]
    assert replay(telling, history, interceptors=around).ok
    assert len(log) == 10  # the replay said nothing
    assert replay(telling, history).ok


async def test_a_worker_may_have_other_interceptors_than_its_client(tmp_path: Path) -> None:
    """By default it has those of its client; given its own, or none, it has these."""
    log: list[str] = []
    async with (
        Client.connect(f"sqlite:///{tmp_path}/w.db", interceptors=[Named("client", log)]) as client,
        Worker(client, workflows=[telling], activities=[tell], interceptors=[Named("worker", log)]),
    ):
        result = await client.execute(telling, id="a")()
    assert result == {"start": {"client": "start"}, "task": {"worker": "none"}, "local": {"worker": "none"}}
    assert {line.split()[0] for line in log if "start" not in line.split()[1]} == {"worker"}


class Changing(Interceptor):
    """Changes arguments, values and answers."""

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        return await next(replace(input, args=(input.args[0] + 1,)) if input.workflow == "adding" else input)

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        if input.run.workflow != "adding":
            return await next(input)
        return await next(replace(input, args=(input.args[0] + 10,))) + 100_000

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        async def doubled() -> Any:
            return 2 * await next(replace(input, args=(input.args[0] + 100,)))

        return doubled()

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        return await next(replace(input, args=(input.args[0] + 1000,))) + 10_000


@activity
async def identity(x: int) -> int:
    return x


@workflow
async def adding(x: int) -> int:
    return await identity(x)


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_arguments_and_results_can_be_changed(cache_runs: int | None) -> None:
    """Each side sees what the one outside of it made of them, on replay too."""
    async with TestEnvironment(
        workflows=[adding], activities=[identity], interceptors=[Changing()], cache_runs=cache_runs
    ) as env:
        handle = await env.client.start(adding, id="x")(0)
        assert await handle.result() == 2 * (0 + 1 + 10 + 100 + 1000 + 10_000) + 100_000
        history = await handle.history()
    assert replay(adding, history, interceptors=[Changing()]).ok


class Messages(Interceptor):
    """Is around all messages."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        self.log.append(f"signal {input.signal} {input.value} to {input.workflow_id}")
        await next(replace(input, value=input.value.upper(), headers={"from": "client"}))

    async def query(self, input: QueryInput, next: Callable[[QueryInput], Awaitable[Any]]) -> Any:
        return [*await next(replace(input, args=("asked",), headers={"who": "me"})), "client"]

    async def cancel(self, input: CancelInput, next: Callable[[CancelInput], Awaitable[None]]) -> None:
        self.log.append(f"cancel {input.workflow_id}: {input.reason}")
        await next(replace(input, reason="changed"))

    async def terminate(self, input: TerminateInput, next: Callable[[TerminateInput], Awaitable[None]]) -> None:
        self.log.append(f"terminate {input.workflow_id}: {input.reason}")
        await next(input)

    def signal_external(
        self, input: SignalExternalInput, next: Callable[[SignalExternalInput], Awaitable[None]]
    ) -> Awaitable[None]:
        return next(replace(input, value=input.value + "!", headers={"from": input.run.workflow_id}))


@pytest.mark.parametrize("store", STORES)
async def test_messages_of_the_client_are_intercepted(store: str, tmp_path: Path) -> None:
    """Signals, queries, cancellations and terminations go through the client's interceptors."""
    around = Messages()
    async with TestEnvironment(
        workflows=[noting, sending], interceptors=[around], store=url_of(store, tmp_path)
    ) as env:
        handle = await env.client.start(noting, id="n")(2)
        await handle.signal(note, "hello")
        await env.client.execute(sending, id="s")("n")
        assert await handle.result() == ["HELLO", "from afar!"]
        headers = [
            r.event.headers for r in await handle.history() if hasattr(r.event, "request") and hasattr(r.event, "name")
        ]
        assert headers == [{"from": "client"}, {"from": "s"}]
        assert await handle.query(notes) == ["asked", "HELLO", "from afar!", "client"]
        other = await env.client.start(noting, id="o")(2)
        await other.cancel("why")
        with pytest.raises(errors.RunCancelledError, match="changed"):
            await other.result()
        third = await env.client.start(noting, id="p")(2)
        await third.terminate("enough")
    assert around.log == ["signal note hello to n", "cancel o: why", "terminate p: enough"]


class Context(Interceptor):
    """Sets a context variable around an activity."""

    def __init__(self, *, change: bool = False) -> None:
        self.change = change
        self.seen: list[Any] = []

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        return next(replace(input, headers={"h": "1"}))

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        shared.set("set by the interceptor")
        try:
            result = await next(replace(input, args=(7,)) if self.change else input)
        except Exception as error:
            self.seen.append(error)
            raise
        self.seen.append(result)
        return result


@workflow
async def everywhere(x: int) -> list[Any]:
    return [await tell_in_thread(x), await proxy(tell_in_process, retry=None)(x)]


async def test_activities_in_threads_and_processes_are_intercepted(tmp_path: Path) -> None:
    """The interceptor is on the loop; its context is seen in the thread, and its arguments go to the process."""
    around = Context()
    async with (
        Client.connect(f"sqlite:///{tmp_path}/p.db", interceptors=[around]) as client,
        Worker(client, workflows=[everywhere], activities=[tell_in_thread, tell_in_process]),
    ):
        expected = [[3, "set by the interceptor", True, 1], [3, {"h": "1"}]]
        assert await client.execute(everywhere, id="e")(3) == expected
        assert around.seen == expected
        around.change = True
        assert await client.execute(everywhere, id="e")(3) == [[7, "set by the interceptor", True, 1], [7, {"h": "1"}]]


@workflow
async def failing_in_process() -> str:
    try:
        await proxy(tell_in_process, retry=RetryPolicy(max_attempts=1))(-1)
    except errors.ActivityError as error:
        return f"{type(error.__cause__).__name__}: {error.__cause__}"
    return "no error"


async def test_a_failure_in_a_process_is_recorded_as_the_process_told_it(tmp_path: Path) -> None:
    """The interceptor sees an exception; what is recorded has the traceback of the process."""
    around = Context()
    async with (
        Client.connect(f"sqlite:///{tmp_path}/p.db", interceptors=[around]) as client,
        Worker(client, workflows=[failing_in_process], activities=[tell_in_process]),
    ):
        handle = await client.start(failing_in_process, id="e")()
        assert await handle.result() == "ValueError: negative: -1"
        assert isinstance(around.seen[0], ValueError)
        failure = [r.record for r in await handle.history() if b"negative: -1" in r.record]
        assert b"tell_in_process" in failure[0]


class Refusing(Interceptor):
    """Raises wherever it is told to."""

    def __init__(self, *where: str) -> None:
        self.where = set(where)

    def check(self, where: str) -> None:
        if where in self.where:
            raise PermissionError(f"not {where}")

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        self.check("start")
        return await next(input)

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        self.check("run")
        return await next(input)

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        self.check("call")
        return next(input)

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        if input.attempt == 1:
            self.check("activity")
        return await next(input)


async def test_an_error_on_the_clients_side_is_the_callers() -> None:
    """Nothing is written."""
    async with TestEnvironment(workflows=[telling], interceptors=[Refusing("start")]) as env:
        with pytest.raises(PermissionError, match="not start"):
            await env.client.start(telling, id="t")()
        with pytest.raises(errors.RunNotFoundError):
            await env.client.handle("t").describe()


@pytest.mark.parametrize("where", ["run", "call"])
async def test_an_error_on_the_workflows_side_is_raised_in_the_workflow(where: str) -> None:
    """It fails the run, as any exception of its code."""
    around = Refusing(where)
    async with TestEnvironment(workflows=[telling], activities=[tell], interceptors=[around]) as env:
        handle = await env.client.start(telling, id="t")()
        with pytest.raises(errors.RunFailedError) as caught:
            await handle.result()
        assert isinstance(caught.value.__cause__, PermissionError)
        around.where.clear()
        await handle.retry()
        assert (await handle.result())["task"] == {}


async def test_an_error_around_an_activity_is_its_failure() -> None:
    """It is retried by the policy."""
    async with TestEnvironment(workflows=[adding], activities=[identity], interceptors=[Refusing("activity")]) as env:
        handle = await env.client.start(adding, id="t")(5)
        assert await handle.result() == 5
        assert any(b"not activity" in r.record for r in await handle.history())


class Bad(Interceptor):
    """Gives headers that are none."""

    def __init__(self, headers: Any) -> None:
        self.headers = headers

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        return await next(replace(input, headers=self.headers))


@pytest.mark.parametrize(
    ("headers", "error", "says"),
    [
        ({"a": 1}, TypeError, "'a': 1"),
        ({1: "a"}, TypeError, "1: 'a'"),
        (["a"], TypeError, "expected a mapping"),
        ({"a": "x" * 20_000}, ValueError, "20001 characters"),
    ],
)
async def test_headers_that_are_none_are_refused(headers: Any, error: type[Exception], says: str) -> None:
    """Naming the value."""
    async with TestEnvironment(workflows=[telling], interceptors=[Bad(headers)]) as env:
        with pytest.raises(error, match=says):
            await env.client.start(telling, id="t")()


@pytest.mark.parametrize("wrong", [Named, object(), "name"])
async def test_what_is_no_interceptor_is_refused(wrong: Any) -> None:
    """At once, saying what is expected."""
    with pytest.raises(TypeError, match="expected instances of"):
        Client.connect("memory:", interceptors=[wrong])


async def test_an_activity_under_test_is_given_headers() -> None:
    """In an `ActivityEnvironment`."""
    assert await ActivityEnvironment(headers={"a": "b"}).run(tell) == {"a": "b"}


class Observing(Interceptor):
    """Does I/O where it may."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        if not input.run.replaying:
            with input.run.unguarded():
                self.path.write_text(
                    f"{input.run.workflow} {input.run.workflow_id} {input.run.now_ms == input.run.started_ms}"
                )
        return await next(input)


async def test_an_observer_may_lift_the_guard(tmp_path: Path) -> None:
    """Within a block, in a live step."""
    path = tmp_path / "seen.txt"
    async with TestEnvironment(workflows=[adding], activities=[identity], interceptors=[Observing(path)]) as env:
        await env.client.execute(adding, id="a")(1)
    assert path.read_text() == "adding a True"


fill = Update("fill", int, int)


@workflow
async def vessel() -> dict[str, Any]:
    seen: list[Any] = []

    @Signal.dynamic
    async def on_any(name: str, value: Any) -> None:
        seen.append([name, value])

    @note.handler
    async def on_note(text: str) -> None:
        await sleep(1)
        seen.append(text)

    @fill.handler
    async def on_fill(amount: int) -> int:
        seen.append(amount)
        return await identity(amount)

    @notes.handler
    def on_notes() -> list[Any]:
        return [*seen]

    await wait_condition(lambda: len(seen) >= 3)
    return {"seen": seen, "headers": dict(info().headers)}


@workflow
async def captain() -> Any:
    handle = await start_child(vessel, id="vessel")()
    await handle.signal(note, "from the captain")
    return await handle.result()


class Inside(Interceptor):
    """Is around what the workflow's side handles and sends, and changes each."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def update(self, input: UpdateInput, next: Callable[[UpdateInput], Awaitable[Any]]) -> Any:
        self.log.append(f"update {input.update} {input.update_id} {input.value}")
        return await next(replace(input, value=input.value + 1, headers={"u": "1"}))

    async def query(self, input: QueryInput, next: Callable[[QueryInput], Awaitable[Any]]) -> Any:
        return await next(replace(input, headers={"q": "1"}))

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        await next(replace(input, headers={"s": "1"}))

    async def handle_signal(
        self, input: HandleSignalInput, next: Callable[[HandleSignalInput], Awaitable[None]]
    ) -> None:
        if not input.run.replaying:
            self.log.append(f"handle {input.signal} {input.value} {dict(input.headers)}")
        await next(replace(input, value=f"<{input.value}>"))

    async def handle_update(self, input: HandleUpdateInput, next: Callable[[HandleUpdateInput], Awaitable[Any]]) -> Any:
        result = await next(replace(input, value=input.value * 10))
        if not input.run.replaying:
            self.log.append(f"handled {input.update} {input.update_id} {dict(input.headers)}: {result}")
        return result + 1000

    def handle_query(self, input: HandleQueryInput, next: Callable[[HandleQueryInput], Any]) -> Any:
        return [dict(input.headers), *next(input)]

    def start_child(self, input: StartChildInput, next: Callable[[StartChildInput], Any]) -> Any:
        return next(replace(input, headers={"child": f"{input.workflow} {input.workflow_id} {input.queue}"}))

    def signal_external(
        self, input: SignalExternalInput, next: Callable[[SignalExternalInput], Awaitable[None]]
    ) -> Awaitable[None]:
        return next(replace(input, headers={"from": input.run.workflow_id}))


@pytest.mark.parametrize(("store", "cache_runs"), [("memory:", None), ("memory:", 0), ("sqlite", None), ("sqlite", 0)])
async def test_handlers_and_children_are_intercepted(store: str, cache_runs: int | None, tmp_path: Path) -> None:
    """With the headers that came with each, once live and silently on replay."""
    around = Inside()
    async with TestEnvironment(
        workflows=[vessel, captain],
        activities=[identity],
        interceptors=[around],
        store=url_of(store, tmp_path),
        cache_runs=cache_runs,
    ) as env:
        handle = await env.client.start(captain, id="captain")()
        async with env.frozen() if store == "memory:" else nullcontext():
            await started(env.client, "vessel")
            ship = env.client.handle("vessel", workflow=vessel)
            assert await ship.update(fill, 2, update_id="u1") == 30 + 1000
            await ship.signal("other", "x")
            assert (await ship.query(notes))[0] == {"q": "1"}
        result = await handle.result()
        assert sorted(map(str, result["seen"])) == ["30", "<from the captain>", "['other', '<x>']"]
        assert result["headers"] == {"child": "vessel vessel default"}
        assert sorted(around.log) == [
            "handle note from the captain {'from': 'captain'}",
            "handle other x {'s': '1'}",
            "handled fill u1 {'u': '1'}: 30",
            "update fill u1 2",
        ]
        history = await ship.history()
    assert replay(vessel, history, interceptors=[around]).ok
    assert len(around.log) == 4


async def started(client: Client, workflow_id: str) -> None:
    """Wait until there is a run of this id: the store tells when a document is made."""
    async with asyncio.timeout(30):
        while True:
            with suppress(errors.RunNotFoundError):
                await client.handle(workflow_id).describe()
                return
            await asyncio.sleep(0)


async def test_update_with_start_is_intercepted() -> None:
    """Both the start and the update."""
    around, log = Inside(), list[str]()
    async with TestEnvironment(
        workflows=[vessel], activities=[identity], interceptors=[around, Named("n", log)]
    ) as env:
        update = await env.client.start_with_update(vessel, fill, 4, id="v", update_id="u")()
        assert await update.result() == 50 + 1000
        assert around.log[0] == "update fill u 4"
        assert log[0] == "n start vessel v"


class Spoiling(Interceptor):
    """Raises in handlers."""

    async def handle_signal(
        self, input: HandleSignalInput, next: Callable[[HandleSignalInput], Awaitable[None]]
    ) -> None:
        raise PermissionError("no signals")

    async def handle_update(self, input: HandleUpdateInput, next: Callable[[HandleUpdateInput], Awaitable[Any]]) -> Any:
        raise PermissionError("no updates")

    def handle_query(self, input: HandleQueryInput, next: Callable[[HandleQueryInput], Any]) -> Any:
        raise PermissionError("no queries")


async def test_an_error_around_a_handler_is_as_one_of_the_handler() -> None:
    """A query's and an update's is told to their callers, a signal's fails the run."""
    async with TestEnvironment(workflows=[vessel], activities=[identity], interceptors=[Spoiling()]) as env:
        handle = await env.client.start(vessel, id="v")()
        with pytest.raises(errors.RequestFailedError, match="no updates"):
            await handle.update(fill, 1)
        with pytest.raises(errors.RequestFailedError, match="no queries"):
            await handle.query(notes)
        await handle.signal(note, "x")
        with pytest.raises(errors.RunFailedError, match="no signals"):
            await handle.result()
