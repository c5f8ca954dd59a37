"""Checked by mypy and pyright, never run: what the types of the public face allow, and what they refuse.

A line marked `type: ignore[...]` must be an error: an ignore that is not needed is one itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import assert_type
from uuid import UUID

from durable import (
    Client,
    Handle,
    Query,
    RunDescription,
    Signal,
    Worker,
    activity,
    local,
    now,
    proxy,
    random,
    uuid4,
    workflow,
)


@dataclass
class Order:
    """An order."""

    id: str


@dataclass
class Receipt:
    """What a customer gets."""

    payment: str


approved = Signal("approved", bool)
stopped = Signal("stopped")
progress = Query("progress", int)


@activity
async def charge(order: Order) -> str:
    """Charge."""
    return order.id


@activity(timeout="30s")
def ship(order: Order, *, express: bool = False) -> int:
    """Ship."""
    return len(order.id) + express


@workflow
async def checkout(order: Order, *, note: str = "") -> Receipt:
    """Activities keep their types, called, by proxy and locally."""
    assert_type(await charge(order), str)
    assert_type(await proxy(ship, queue="warehouse", timeout=timedelta(minutes=1))(order, express=True), int)
    await proxy(ship)("o-1")  # type: ignore[arg-type]
    await proxy(charge)()  # type: ignore[call-arg]
    assert_type(await proxy(charge)(order), str)
    await local(charge)(42)  # type: ignore[arg-type]
    assert_type(await local(charge)(order), str)
    assert_type(await local(ship, timeout="5 s")(order, express=True), int)
    assert_type(await approved.receive(), bool)
    assert_type(await approved.receive(timeout="2 days", default=None), bool | None)
    assert_type(now(), datetime)
    assert_type(random(), Random)
    assert_type(uuid4(), UUID)
    return Receipt(note)


async def ask(client: Client) -> None:
    """A client knows what a workflow takes and gives."""
    handle = await client.start(checkout, id="o-1")(Order("o-1"), note="soon")
    assert_type(handle, Handle[Receipt])
    assert_type(await handle.result(), Receipt)
    assert_type(await client.execute(checkout, id="o-2")(Order("o-2")), Receipt)
    await client.start(checkout, id="o-3")("o-3")  # type: ignore[arg-type]
    await client.start(checkout, id="o-4")(Order("o-4"), notes="x")  # type: ignore[call-arg]
    await client.start(charge, id="o-5")(Order("o-5"))  # type: ignore[call-overload]


async def tell(handle: Handle[Receipt]) -> None:
    """Messages carry their types."""
    await handle.signal(approved, True)
    await handle.signal(stopped)
    await handle.signal(approved, "yes")  # type: ignore[misc]
    assert_type(await handle.query(progress), int)
    assert_type(await handle.describe(), RunDescription)


def serve(client: Client) -> Worker:
    """A worker takes what is decorated."""
    return Worker(client, workflows=[checkout], activities=[charge, ship])
