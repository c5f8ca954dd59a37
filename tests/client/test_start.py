"""Starting runs: what is checked before anything is written, and what a repeat finds."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from durable import Client, Handle, Worker, activity, workflow
from durable.errors import (
    DefinitionError,
    EncodeError,
    InvalidCallError,
    InvalidIdError,
    PayloadTooLargeError,
    RunAlreadyOpenError,
    StoreUnavailableError,
    StoreUrlError,
)
from tests.worker.faulty import FaultyStore


@dataclass
class Order:
    """What is bought."""

    id: str
    cents: int


@workflow
async def checkout(order: Order, *, gift: bool = False) -> Order:
    return Order(order.id, 0 if gift else order.cents)


@workflow(timeout="2 days")
async def limited() -> None: ...


@activity
async def pack() -> None: ...


def plain() -> None: ...


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client.connect("memory:") as connected:
        yield connected


async def test_connect_gives_a_client_either_way() -> None:
    """By `await`, to be closed by hand, or as a block."""
    client = await Client.connect("memory:")
    async with client as same:
        assert same is client
    async with Client.connect("memory:") as other:
        assert other.store.url == "memory:"
    with pytest.raises(InvalidCallError, match="closed"):
        await other.count()


async def test_a_wrong_url_is_refused() -> None:
    """The message names it without its password."""
    with pytest.raises(StoreUrlError) as caught:
        await Client.connect("mysql://me:secret@host/db")
    assert "mysql" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_arguments_and_result_keep_their_types(client: Client) -> None:
    """Positional and keyword arguments alike."""
    async with Worker(client, workflows=[checkout]):
        handle = await client.start(checkout, id="o-1")(Order("o-1", 300), gift=True)
        assert await handle.result(timeout=10) == Order("o-1", 0)
        assert await client.execute(checkout)(Order("o-2", 300)) == Order("o-2", 300)


async def test_a_workflow_may_be_named(client: Client) -> None:
    """For code that lives elsewhere: arguments go as they are, the result comes as JSON data."""
    async with Worker(client, workflows=[checkout]):
        assert await client.execute("checkout")({"id": "o-1", "cents": 5}) == {"id": "o-1", "cents": 5}
        handle = client.handle((await client.list())[0].workflow_id, result_type=Order)
        assert await handle.result(timeout=10) == Order("o-1", 5)


@pytest.mark.parametrize(
    ("workflow_", "options", "error", "says"),
    [
        (plain, {}, DefinitionError, "decorate it with @workflow"),
        (lambda: None, {}, DefinitionError, "decorate it with @workflow"),
        (pack, {}, DefinitionError, "is an activity"),
        (3, {}, DefinitionError, "got 3"),
        ("", {}, InvalidIdError, "workflow name must not be empty"),
        (checkout, {"id": ""}, InvalidIdError, "workflow id must not be empty"),
        (checkout, {"id": "x" * 1001}, InvalidIdError, "1000 bytes"),
        (checkout, {"id": 7}, InvalidIdError, "got 7"),
        (checkout, {"queue": ""}, InvalidIdError, "task queue"),
        (checkout, {"request_id": ""}, InvalidIdError, "request id"),
        (checkout, {"run_timeout": -1}, ValueError, "run_timeout"),
    ],
)
async def test_what_is_wrong_is_refused_at_once(
    client: Client, workflow_: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    """By `start` itself, before it is given any arguments."""
    with pytest.raises(error, match=says):
        client.start(workflow_, **options)
    with pytest.raises(error, match=says):
        client.execute(workflow_, **options)


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ((), InvalidCallError, "missing a required argument: 'order'"),
        ((Order("o", 1), 2), InvalidCallError, "too many positional arguments"),
        (("no order",), EncodeError, "argument 'order' of workflow checkout"),
        ((Order("o", object()),), EncodeError, "argument 'order' of workflow checkout"),  # type: ignore[arg-type]
        ((Order("o" * 3_000_000, 1),), PayloadTooLargeError, "'order'"),
    ],
)
async def test_arguments_that_do_not_fit_write_nothing(
    client: Client, args: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    """The message names the argument."""
    with pytest.raises(error, match=says):
        await client.start(checkout, id="o")(*args)
    assert await client.store.inspect.counts() == dict.fromkeys(await client.store.inspect.counts(), 0)


async def test_an_open_id_is_refused_with_the_handle_of_its_run(client: Client) -> None:
    """So that a caller that lost its handle finds the run; once it is closed, the id is free."""
    first = await client.start(checkout, id="o-1")(Order("o-1", 300))
    with pytest.raises(RunAlreadyOpenError, match="'o-1' is open") as caught:
        await client.start(checkout, id="o-1")(Order("o-1", 400))
    assert isinstance(caught.value.handle, Handle)
    assert caught.value.handle.run_id == first.run_id
    async with Worker(client, workflows=[checkout]):
        assert await caught.value.handle.result(timeout=10) == Order("o-1", 300)
        second = await client.start(checkout, id="o-1")(Order("o-1", 400))
        assert second.run_id != first.run_id
        assert await second.result(timeout=10) == Order("o-1", 400)


async def test_a_repeated_request_starts_once(client: Client) -> None:
    """It gets the run that the first call started, even once that is closed."""
    async with Worker(client, workflows=[checkout]):
        first = await client.start(checkout, id="o-1", request_id="r-1")(Order("o-1", 300))
        again = await client.start(checkout, id="o-1", request_id="r-1")(Order("o-1", 300))
        assert again.run_id == first.run_id
        await first.result(timeout=10)
        later = await client.start(checkout, id="o-1", request_id="r-1")(Order("o-1", 300))
        assert later.run_id == first.run_id
    assert await client.count() == {"completed": 1}


async def test_a_start_whose_answer_was_lost_starts_once() -> None:
    """The outcome is unknown, so the client asks again with the same ids, and finds its own run."""
    store = FaultyStore()
    client = Client(store)
    store.lose["create"], store.refuse["create"] = 1, 1
    handle = await client.start(checkout, id="o-1")(Order("o-1", 300))
    assert store.calls["create"] == 3
    assert await client.count() == {"running": 1}
    assert (await handle.describe()).run_id == handle.run_id


async def test_a_store_that_stays_away_is_an_error() -> None:
    """After a bounded number of tries with growing pauses, by the store's clock."""
    clock = HastyClock()
    store = FaultyStore(clock)
    store.refuse["create"] = 100
    with pytest.raises(StoreUnavailableError):
        await Client(store).start(checkout, id="o-1")(Order("o-1", 300))
    assert store.calls["create"] == 7
    assert clock.slept_s == sorted(clock.slept_s)
    assert 4 < sum(clock.slept_s) < 15


async def test_a_run_has_the_limit_of_its_workflow_unless_it_is_given_another(client: Client) -> None:
    """And none if neither says one."""
    assert (await (await client.start(limited)()).describe()).timeout == timedelta(days=2)
    assert (await (await client.start(limited, run_timeout="1 h")()).describe()).timeout == timedelta(hours=1)
    assert (await (await client.start(checkout)(Order("o", 1))).describe()).timeout is None


class HastyClock:
    """A clock that does not wait, and remembers for how long it should have."""

    def __init__(self) -> None:
        from durable._clock import SystemClock

        self._real = SystemClock()
        self.slept_s: list[float] = []
        self.now_ms, self.monotonic, self.new_id = self._real.now_ms, self._real.monotonic, self._real.new_id
        self.wait, self.upkeep_s = self._real.wait, self._real.upkeep_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)

    def jitter(self) -> float:
        return 0.0
