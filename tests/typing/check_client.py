"""Checked by mypy and pyright, never run: what a client and a handle promise by their types."""

from dataclasses import dataclass
from typing import Any, assert_type

from durable import Client, Handle, Query, RunDescription, Signal, Update, UpdateHandle, continue_as_new, workflow


@dataclass
class Order:
    """What is bought."""

    id: str


@dataclass
class Receipt:
    """What is paid."""

    order: Order


approved = Signal("approved", bool)
nudge = Signal("nudge")
state = Query("state", dict[str, int])
page = Query("page", list[str], args=(int, int))
confirm = Update("confirm", Order, Receipt)
reset = Update("reset")


@workflow
async def checkout(order: Order, *, gift: bool = False) -> Receipt:
    """Buy."""
    return Receipt(order)


@workflow(name="other")
async def named(count: int, label: str = "") -> list[str]:
    """Defined with options."""
    return [label] * count


amended = Signal("amended", Order)
nudged = Signal("nudged")


async def check_start(client: Client) -> None:
    """Arguments are checked, the handle knows its result."""
    handle = await client.start(checkout, id="o-1")(Order("o-1"), gift=True)
    assert_type(handle, Handle[Receipt])
    assert_type(await handle.result(), Receipt)
    assert_type(await client.execute(checkout)(Order("o-1")), Receipt)
    assert_type(await client.execute(named)(2, label="x"), list[str])
    await client.start(checkout)(42)  # type: ignore[arg-type]
    await client.start(checkout)()  # type: ignore[call-arg]
    await client.start(checkout)(Order("o-1"), wrapped=True)  # type: ignore[call-arg]
    await client.execute(named)("two")  # type: ignore[arg-type]
    client.start(checkout, retries=3)  # type: ignore[call-overload]
    client.start(checkout, on_conflict="replace")  # type: ignore[call-overload]
    client.start(checkout, reuse="after_failure", on_conflict="use_existing", execution_timeout="1 day")
    client.start(3)  # type: ignore[call-overload]


async def check_start_with_signal(client: Client) -> None:
    """The signal's value is checked as well as the workflow's arguments."""
    start = client.start_with_signal(checkout, amended, Order("o-2"), id="o-1")
    assert_type(await start(Order("o-1"), gift=True), Handle[Receipt])
    await client.start_with_signal(checkout, nudged, id="o-1")(Order("o-1"))
    await client.start_with_signal(checkout, "amended", {"id": 1}, id="o-1")(Order("o-1"))
    await start(42)  # type: ignore[arg-type]
    client.start_with_signal(checkout, amended, 3, id="o-1")  # type: ignore[misc]


async def check_continue_as_new() -> str:
    """It never returns, and another workflow's arguments are checked."""
    if (await amended.receive()).id:
        continue_as_new.into(named, queue="far", run_timeout=60)(2, label="x")
    if (await amended.receive()).id:
        continue_as_new.into(named)("two")  # type: ignore[arg-type]
    continue_as_new(Order("o-1"))


async def check_names(client: Client) -> None:
    """A workflow that is named only takes anything and gives anything."""
    assert_type(await client.start("checkout")(1, 2, three=4), Handle[Any])
    assert_type(await client.execute("checkout")(), Any)


async def check_handles(client: Client) -> None:
    """A handle knows its result by its workflow, or by the type that is given."""
    assert_type(client.handle("o-1"), Handle[Any])
    assert_type(client.handle("o-1", workflow=checkout), Handle[Receipt])
    assert_type(client.handle("o-1", "run", result_type=int), Handle[int])
    assert_type(await client.handle("o-1", workflow=checkout).fork(at=3, id="o-2"), Handle[Receipt])
    assert_type(await client.list(workflow=checkout, status=["running", "failed"]), list[RunDescription])
    assert_type(await client.count(status="running"), dict[str, int])
    await client.list(status="done")  # type: ignore[arg-type]


async def check_messages(handle: Handle[Receipt]) -> None:
    """Signals take the value of their type, queries give the answer of theirs."""
    await handle.signal(approved, True)
    await handle.signal(nudge)
    await handle.signal("approved", True)
    await handle.signal(approved, "yes")  # type: ignore[misc]
    await handle.signal(approved)  # type: ignore[arg-type]
    assert_type(await handle.query(state), dict[str, int])
    assert_type(await handle.query(page, 0, 10), list[str])
    assert_type(await handle.query("state"), Any)


async def check_updates(client: Client, handle: Handle[Receipt]) -> None:
    """The value and the result are typed by the contract."""
    assert_type(await handle.update(confirm, Order("o-1")), Receipt)
    assert_type(await handle.update(reset), Any)
    assert_type(await handle.update("confirm", 1), Any)
    assert_type(await handle.start_update(confirm, Order("o-1"), wait="completed"), UpdateHandle[Receipt])
    assert_type(handle.update_handle("u-1", confirm), UpdateHandle[Receipt])
    started = await client.start_with_update(checkout, confirm, Order("o-1"), id="o-1")(Order("o-1"), gift=True)
    assert_type(await started.result(), Receipt)
    await handle.update(confirm, "o-1")  # type: ignore[misc]
    await handle.start_update(confirm, Order("o-1"), wait="done")  # type: ignore[call-overload]
    await client.start_with_update(checkout, confirm, Order("o-1"), id="o-1")("o-1")  # type: ignore[arg-type]


async def check_connecting() -> None:
    """Both ways of connecting give a client."""
    assert_type(await Client.connect("memory:"), Client)
    async with Client.connect("memory:") as client:
        assert_type(client, Client)
