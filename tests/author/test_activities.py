"""Activities as their authors write them: functions, methods, modules, and proxies with other options."""

import asyncio
import types
from typing import Any

import pytest

from durable import RetryPolicy, activity, info, local, proxy, workflow
from durable.author import collect_activities
from durable.errors import DefinitionError, InvalidCallError
from durable.history import ActivityScheduled
from tests.engine.harness import SteppedRun


@activity(queue="declared", timeout="5s")
async def work(n: int) -> int:
    """Do it."""
    return n


@activity
def blocking(n: int) -> int:
    return n


@activity(cpu_bound=True)
def heavy(n: int) -> int:
    return n


class Desk:
    """Activities that share something."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    @activity
    async def price(self, n: int) -> int:
        """Return a price."""
        return n * self.rate

    @activity(name="desk-close")
    def close(self) -> None: ...

    def helper(self) -> None: ...

    @property
    def broken(self) -> Any:
        raise AssertionError("no property may be evaluated")


def scheduled(run: SteppedRun) -> list[ActivityScheduled]:
    """Return what was scheduled."""
    return [event for event in run.events() if isinstance(event, ActivityScheduled)]


def test_an_activity_keeps_what_it_decorates() -> None:
    """Name, documentation, and how it runs."""
    assert (work.__name__, work.__doc__, work.name) == ("work", "Do it.", "work")
    assert (work.mode, blocking.mode, heavy.mode) == ("async", "thread", "process")
    assert "work" in repr(work)


async def test_a_proxy_changes_what_is_given_and_keeps_what_is_declared() -> None:
    """Options first, then the call."""

    @workflow
    async def flow() -> None:
        asyncio.gather(
            work(1), proxy(work, queue="other", retry=RetryPolicy(max_attempts=2))(2), proxy(work, timeout=9)(n=3)
        )
        await asyncio.sleep(1)

    run = SteppedRun(flow).start()
    plain, moved, slow = scheduled(run)
    assert (plain.queue, plain.timeout_ms, plain.retry) == ("declared", 5000, None)
    assert (moved.queue, moved.timeout_ms) == ("other", 5000)
    assert moved.retry is not None
    assert moved.retry["attempts"] == 2
    assert (slow.queue, slow.timeout_ms) == ("declared", 9000)
    run.dispose()


async def test_the_queue_of_the_run_is_the_default() -> None:
    """An activity without a queue of its own goes where its run does."""

    @workflow
    async def flow() -> str:
        await asyncio.wait_for(asyncio.ensure_future(local_queue()), 1)
        return info().queue

    async def local_queue() -> None:
        blocking(1)

    run = SteppedRun(flow).start()
    assert [event.queue for event in scheduled(run)] == ["default"]
    run.dispose()


async def test_activities_of_a_class_are_called_on_its_proxy() -> None:
    """By the class or by an instance, as attributes; the instance stays with the worker."""

    @workflow
    async def flow() -> None:
        desk = proxy(Desk, queue="desks")
        desk.price(2)
        desk.close()
        proxy(Desk(3)).price(4)
        Desk(3).price(5)
        await asyncio.sleep(1)

    run = SteppedRun(flow).start()
    assert [(event.activity, event.queue, bytes(event.args)) for event in scheduled(run)] == [
        ("price", "desks", b"[[2],{}]"),
        ("desk-close", "desks", b"[[],{}]"),
        ("price", "default", b"[[4],{}]"),
        ("price", "default", b"[[5],{}]"),
    ]
    run.dispose()


async def test_a_method_without_its_instance_says_how_to_call_it() -> None:
    """Instead of taking the first argument for `self`."""

    @workflow
    async def flow() -> str:
        try:
            Desk.price(2)  # type: ignore[arg-type, call-arg]
        except DefinitionError as error:
            return str(error)
        return ""

    run = SteppedRun(flow).start()
    assert "proxy(Desk)" in run.result()


async def test_activities_of_a_module_are_called_on_its_proxy() -> None:
    """Also what the module imported."""
    module = types.ModuleType("shop")
    module.__dict__.update(work=work, blocking=blocking, other=5)

    @workflow
    async def flow() -> str:
        shop = proxy(module)
        shop.work(1)
        shop.blocking(2)
        try:
            shop.nothing(3)
        except AttributeError as error:
            return str(error)
        return ""

    run = SteppedRun(flow).start()
    assert [event.activity for event in scheduled(run)] == ["work", "blocking"]
    assert "has no activity 'nothing'; it has: blocking, work" in run.result()


async def test_an_activity_by_name_needs_no_code_here() -> None:
    """`returns` is the type of its result."""

    @workflow
    async def flow() -> int:
        value: int = await proxy("elsewhere", returns=int, queue="far")(1, two=2)
        return value

    run = SteppedRun(flow).start()
    (event,) = scheduled(run)
    assert (event.activity, event.queue, bytes(event.args)) == ("elsewhere", "far", b'[[1],{"two":2}]')
    run.complete(1, 5)
    assert run.result() == 5


def test_an_instance_registers_its_methods_and_nothing_else() -> None:
    """No property is evaluated on the way."""
    found = {item.name: item for item in collect_activities(Desk(3))}
    assert sorted(found) == ["desk-close", "price"]
    assert asyncio.run(found["price"].fn(4)) == 12
    assert [item.name for item in collect_activities([work, [blocking], Desk(1)])] == [
        "work",
        "blocking",
        "desk-close",
        "price",
    ]


def test_a_class_or_its_method_cannot_be_registered() -> None:
    """They need an instance to run on."""
    with pytest.raises(DefinitionError, match="register an instance of Desk"):
        collect_activities(Desk)
    with pytest.raises(DefinitionError, match="register an instance"):
        collect_activities(Desk.price)


async def test_outside_of_a_workflow_they_are_plain_functions() -> None:
    """A method is bound to its instance."""
    assert await work(3) == 3
    assert blocking(3) == 3
    assert await Desk(5).price(2) == 10


@pytest.mark.parametrize("call", [proxy(work), local(work), proxy("work")])
def test_a_proxy_works_in_workflow_code_only(call: Any) -> None:
    """Outside there is nobody to run it."""
    with pytest.raises(InvalidCallError, match="only in workflow code"):
        call(1)
