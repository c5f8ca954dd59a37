"""Workflow ids: what a start does if a run of its id is open, or was there before, whoever else starts it meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from durable import Client
from durable.author import Signal, continue_as_new, workflow
from durable.errors import (
    EncodeError,
    RequestTimeoutError,
    RunAlreadyOpenError,
    RunTerminatedError,
    StoreUnavailableError,
    WorkflowIdUsedError,
)
from durable.history import RunStarted
from durable.testing import TestEnvironment, assert_replays
from tests.scenario_store import STORES, scenario_url

go = Signal("go", int)


@workflow
async def waits(name: str) -> str:
    """End as the signal says: 0 completes, 1 fails, anything else continues."""
    value = await go.receive()
    if value == 1:
        raise ValueError("told to")
    return continue_as_new(name) if value else name


@workflow
async def takes(first: int = 0) -> list[int]:
    """Collect what comes, up to a 0; what is there at the first step is found without waiting."""
    found: list[int] = [first] if first else []
    while (value := go.receive_nowait()) is not None:
        found.append(value)
    while 0 not in found:
        found.append(await go.receive())
    return found


@pytest.fixture(params=STORES)
async def env(request: pytest.FixtureRequest) -> AsyncIterator[TestEnvironment]:
    async with TestEnvironment(workflows=[waits, takes], store=scenario_url(request.param)) as opened:
        yield opened


# --- an open run


async def test_an_open_run_is_an_error_that_names_it(env: TestEnvironment) -> None:
    """The default: the second start knows which run is there."""
    first = await env.client.start(waits, id="a")("first")
    with pytest.raises(RunAlreadyOpenError, match=f"'a'.*{first.run_id}") as raised:
        await env.client.start(waits, id="a")("second")
    assert raised.value.handle.run_id == first.run_id


async def test_the_open_run_is_used(env: TestEnvironment) -> None:
    """Nothing is started; the handle is that of the run."""
    first = await env.client.start(waits, id="a", on_conflict="use_existing")("first")
    second = await env.client.start(waits, id="a", on_conflict="use_existing")("second")
    assert second.run_id == first.run_id
    await second.signal(go, 0)
    assert await second.result() == "first"
    assert await env.client.count() == {"completed": 1}


async def test_execute_waits_for_the_run_that_is_there(env: TestEnvironment) -> None:
    """The options are those of `start`."""
    first = await env.client.start(waits, id="a")("first")
    await first.signal(go, 0)
    assert await env.client.execute(waits, id="a", on_conflict="use_existing")("second") in ("first", "second")


async def test_a_run_of_another_workflow_is_not_used(env: TestEnvironment) -> None:
    """Its result would be of another type."""
    await env.client.start(takes, id="a")()
    with pytest.raises(RunAlreadyOpenError, match="cannot use it"):
        await env.client.start(waits, id="a", on_conflict="use_existing")("second")


async def test_the_open_run_is_terminated(env: TestEnvironment) -> None:
    """Then the new one begins."""
    first = await env.client.start(waits, id="a")("first")
    second = await env.client.start(waits, id="a", on_conflict="terminate_existing")("second")
    assert second.run_id != first.run_id
    with pytest.raises(RunTerminatedError, match="started in its place"):
        await first.result()
    await second.signal(go, 0)
    assert await second.result() == "second"


async def test_a_chain_is_terminated_as_one_run(env: TestEnvironment) -> None:
    """Its current run is the open one."""
    first = await env.client.start(waits, id="a")("first")
    await first.signal(go, 5)
    second = await env.client.start(waits, id="a", on_conflict="terminate_existing")("second")
    with pytest.raises(RunTerminatedError):
        await first.result()
    await second.signal(go, 0)
    assert await second.result() == "second"


async def test_without_a_worker_nothing_is_terminated_and_nothing_started() -> None:
    """The error says what is missing."""
    async with TestEnvironment(workflows=[waits], queues=["other"]) as env:
        await env.client.start(waits, id="a")("first")
        with pytest.raises(RequestTimeoutError, match="is one running for task queue 'default'"):
            await env.client.start(waits, id="a", on_conflict="terminate_existing")("second")
        assert await env.client.count() == {"running": 1}


# --- an id that was used before

ENDS: dict[str, Any] = {
    "completed": lambda handle: handle.signal(go, 0),
    "failed": lambda handle: handle.signal(go, 1),
    "cancelled": lambda handle: handle.cancel(),
    "terminated": lambda handle: handle.terminate(),
}


@pytest.mark.parametrize("status", [*ENDS, "timed_out"])
@pytest.mark.parametrize("reuse", ["allow", "after_failure", "never"])
async def test_a_closed_run_is_in_the_way_as_the_policy_says(status: str, reuse: Any) -> None:
    """After a failure of any kind, or never; the error names the run and how it ended."""
    async with TestEnvironment(workflows=[waits]) as env:
        first = await env.client.start(waits, id="a", run_timeout=60)("first")
        if status in ENDS:
            await ENDS[status](first)
        while (await first.describe()).status == "running":
            await env.advance(60)
        assert (await first.describe()).status == status
        allowed = reuse == "allow" or (reuse == "after_failure" and status != "completed")
        if allowed:
            second = await env.client.start(waits, id="a", reuse=reuse)("second")
            assert second.run_id != first.run_id
            return
        with pytest.raises(WorkflowIdUsedError, match=f"'a' was used.*{first.run_id}.*{status}") as raised:
            await env.client.start(waits, id="a", reuse=reuse)("second")
        error = raised.value
        assert (error.workflow_id, error.run_id, error.status) == ("a", first.run_id, status)
        assert error.handle.run_id == first.run_id
        assert await env.client.count() == {status: 1}


async def test_reuse_is_asked_before_the_open_run_is_terminated(env: TestEnvironment) -> None:
    """Else it would be gone for nothing."""
    first = await env.client.start(waits, id="a")("first")
    with pytest.raises(WorkflowIdUsedError, match="is open"):
        await env.client.start(waits, id="a", on_conflict="terminate_existing", reuse="never")("second")
    assert (await first.describe()).status == "running"
    second = await env.client.start(waits, id="a", on_conflict="terminate_existing", reuse="after_failure")("second")
    assert second.run_id != first.run_id


async def test_a_repeat_is_no_second_use(env: TestEnvironment) -> None:
    """Whatever the policy: it is the same call."""
    first = await env.client.start(waits, id="a", reuse="never", request_id="r")("first")
    assert (await env.client.start(waits, id="a", reuse="never", request_id="r")("first")).run_id == first.run_id
    await first.signal(go, 0)
    await first.result()
    assert (await env.client.start(waits, id="a", reuse="never", request_id="r")("first")).run_id == first.run_id


@pytest.mark.parametrize("given", [{"on_conflict": "replace"}, {"reuse": "sometimes"}])
async def test_an_unknown_policy_is_refused_with_the_known_ones(given: Any) -> None:
    """Before anything is written."""
    async with Client.connect("memory:") as client:
        with pytest.raises(ValueError, match="expected one of"):
            client.start(waits, id="a", **given)


# --- two at once


class Gate:
    """A store whose `create` waits until it is let through: so a test decides who comes first."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.arrived, self.open = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create(self, *args: Any, **kwargs: Any) -> Any:
        """See `Store`."""
        self.arrived.set()
        await self.open.wait()
        return await self._store.create(*args, **kwargs)


POLICIES = [*product(["fail", "use_existing", "terminate_existing"], ["allow", "after_failure", "never"])]


@pytest.mark.parametrize("second", POLICIES)
@pytest.mark.parametrize("first", POLICIES)
async def test_two_starts_of_one_id_leave_one_open_run(first: tuple[Any, Any], second: tuple[Any, Any]) -> None:
    """The one that was about to create finds the other's run, and does what its own policy says: in every combination."""
    async with TestEnvironment(workflows=[waits]) as env:
        gate: Any = Gate(env.client.store)
        slow = Client(gate)
        late = asyncio.ensure_future(slow.start(waits, id="a", on_conflict=first[0], reuse=first[1])("late"))
        await gate.arrived.wait()
        winner = await env.client.start(waits, id="a", on_conflict=second[0], reuse=second[1])("early")
        gate.open.set()
        conflict, reuse = first
        outcome = (await asyncio.gather(late, return_exceptions=True))[0]
        if conflict == "use_existing":
            assert not isinstance(outcome, BaseException)
            assert outcome.run_id == winner.run_id
        elif conflict == "fail":
            assert isinstance(outcome, RunAlreadyOpenError)
            assert outcome.handle.run_id == winner.run_id
        elif reuse == "never":
            assert isinstance(outcome, WorkflowIdUsedError)
        else:
            assert not isinstance(outcome, BaseException)
            assert outcome.run_id != winner.run_id
            assert (await winner.describe()).status == "terminated"
        (still_open,) = await env.client.list(status="running")
        handle = env.client.handle("a", still_open.run_id, workflow=waits)
        await handle.signal(go, 0)
        assert await handle.result() in ("early", "late")


@pytest.mark.parametrize("policy", POLICIES)
async def test_many_starts_at_once(policy: tuple[Any, Any]) -> None:
    """Exactly one run is open at the end, and every call has an answer."""
    async with TestEnvironment(workflows=[waits]) as env:
        start = env.client.start(waits, id="a", on_conflict=policy[0], reuse=policy[1])
        outcomes: list[Any] = await asyncio.gather(*(start(str(n)) for n in range(6)), return_exceptions=True)
        runs = {outcome.run_id for outcome in outcomes if not isinstance(outcome, BaseException)}
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert all(isinstance(error, RunAlreadyOpenError | WorkflowIdUsedError) for error in refused)
        assert (await env.client.count())["running"] == 1
        if policy[0] == "use_existing":
            assert (len(runs), refused) == (1, [])
        elif policy[0] == "fail" or policy[1] == "never":
            assert (len(runs), len(refused)) == (1, 5)
        else:
            assert len(runs) == 6


async def test_an_id_that_may_be_used_once_is_used_once(env: TestEnvironment) -> None:
    """Also if the first run ends between the look and the start of another."""
    gate: Any = Gate(env.client.store)
    late = asyncio.ensure_future(Client(gate).start(waits, id="a", reuse="never")("late"))
    await gate.arrived.wait()
    winner = await env.client.start(waits, id="a")("early")
    await winner.signal(go, 0)
    await winner.result()
    gate.open.set()
    with pytest.raises(WorkflowIdUsedError, match="closed as completed"):
        await late


# --- start with a signal


async def test_a_new_run_has_the_signal_from_its_first_step_on(env: TestEnvironment) -> None:
    """Code that looks without waiting finds it."""
    handle = await env.client.start_with_signal(takes, go, 7, id="a")(3)
    await env.client.start_with_signal(takes, go, 8, id="a")(4)
    await env.client.start_with_signal(takes, "go", 0, id="a")(5)
    assert await handle.result() == [3, 7, 8, 0]
    history = await handle.history()
    started = history[0].event
    assert isinstance(started, RunStarted)
    assert [signal.name for signal in started.signals] == ["go"]
    assert_replays(takes, history)


async def test_a_repeat_signals_nobody_twice(env: TestEnvironment) -> None:
    """Whether its first try started the run, or signalled an open one, and also once that is closed."""
    handle = await env.client.start_with_signal(takes, go, 7, id="a", request_id="one")()
    again = await env.client.start_with_signal(takes, go, 7, id="a", request_id="one")()
    assert again.run_id == handle.run_id
    for _ in range(2):
        await env.client.start_with_signal(takes, go, 8, id="a", request_id="two")()
    await handle.signal(go, 0)
    assert await handle.result() == [7, 8, 0]
    for request in ("one", "two"):
        late = await env.client.start_with_signal(takes, go, 8, id="a", request_id=request)()
        assert late.run_id == handle.run_id
    assert await env.client.count() == {"completed": 1}


async def test_many_at_once_start_one_run_with_all_signals(env: TestEnvironment) -> None:
    """Each signal reaches exactly one run, once."""
    calls = [env.client.start_with_signal(takes, go, n, id="a")() for n in range(1, 9)]
    handles = await asyncio.gather(*calls)
    assert len({handle.run_id for handle in handles}) == 1
    await handles[0].signal(go, 0)
    assert sorted(await handles[0].result()) == list(range(9))


async def test_a_chain_is_signalled_in_its_current_run(env: TestEnvironment) -> None:
    """A repeat over the boundary is dropped."""
    first = await env.client.start_with_signal(waits, go, 5, id="a", request_id="r")("x")
    await env.client.start_with_signal(waits, go, 5, id="a", request_id="r")("x")
    current = await env.client.start_with_signal(waits, go, 0, id="a")("y")
    assert await first.result() == "x"
    assert await current.result() == "x"


@pytest.mark.parametrize("policy", ["fail", "terminate_existing"])
async def test_the_signal_may_be_for_a_new_run_only(env: TestEnvironment, policy: Any) -> None:
    """With the other policies the open run does not get it."""
    first = await env.client.start(takes, id="a")(1)
    start = env.client.start_with_signal(takes, go, 0, id="a", on_conflict=policy)
    if policy == "fail":
        with pytest.raises(RunAlreadyOpenError):
            await start(2)
        await first.signal(go, 0)
        assert await first.result() == [1, 0]
    else:
        second = await start(2)
        assert await second.result() == [2, 0]


async def test_a_value_that_does_not_fit_is_refused_before_anything_is_written(env: TestEnvironment) -> None:
    """As `signal` does."""
    with pytest.raises(EncodeError, match="signal 'go'"):
        env.client.start_with_signal(takes, go, "text", id="a")  # type: ignore[arg-type]
    assert await env.client.count() == {}


async def test_a_run_that_closes_in_between_makes_room_for_a_new_one(env: TestEnvironment) -> None:
    """The look found it open, the signal does not: the next look decides anew."""
    first = await env.client.start(takes, id="a")()

    class Closing:
        def __getattr__(self, name: str) -> Any:
            return getattr(env.client.store, name)

        async def send(self, *args: Any, **kwargs: Any) -> Any:
            if (await first.describe()).status == "running":
                await first.signal(go, 0)
                await first.result()
            return await env.client.store.send(*args, **kwargs)

    store: Any = Closing()
    second = await Client(store).start_with_signal(takes, go, 0, id="a")(9)
    assert second.run_id != first.run_id
    assert await second.result() == [9, 0]


async def test_a_lost_answer_starts_one_run(env: TestEnvironment) -> None:
    """The client repeats the call with the same ids."""
    lost = [True]

    class Losing:
        def __getattr__(self, name: str) -> Any:
            return getattr(env.client.store, name)

        async def create(self, *args: Any, **kwargs: Any) -> Any:
            created = await env.client.store.create(*args, **kwargs)
            if lost:
                lost.pop()
                raise StoreUnavailableError("the answer was lost")
            return created

    store: Any = Losing()
    handle = await Client(store).start_with_signal(takes, go, 0, id="a", reuse="never")(9)
    assert await handle.result() == [9, 0]
    assert await env.client.count() == {"completed": 1}
