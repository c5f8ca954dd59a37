"""A saga: what was done is undone, last things first, when a later step fails.

Run it with `python samples/saga.py`. Three trips are booked: one goes well; for the second there is no hotel, so its flight
is given back; the third is cancelled by its traveller while the car is being looked for, and all of it is given back.

Each step is entered with its undoing before it is begun, since a step that failed may still have had its effect: a booking
is made and given back under one reference, and to give back what was never booked does nothing.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from durable import Client, Worker, activity, uuid4, workflow
from durable.errors import RunCancelledError, RunFailedError


class NothingFreeError(Exception):
    """No use in trying again."""


@dataclass
class Trip:
    """Where somebody wants to go, and what there is no more of."""

    traveller: str
    sold_out: str = ""


BOOKED: dict[str, str] = {}
"""The outside world: what is booked, by reference."""
LOOKING = asyncio.Event()  # Cy's car is being looked for


@activity(raises=[NothingFreeError])
async def book(what: str, trip: Trip, reference: str) -> None:
    """Book something. A repeat with the same reference changes nothing."""
    if what == trip.sold_out:
        raise NothingFreeError(f"there is no {what} for {trip.traveller}")
    if what == "car" and trip.traveller == "Cy":
        LOOKING.set()
        await asyncio.sleep(3600)  # until the traveller has had enough
    BOOKED[reference] = f"{what} for {trip.traveller}"
    print(f"  booked the {what} for {trip.traveller}")


@activity
async def give_back(what: str, trip: Trip, reference: str) -> None:
    """Give something back, if it was booked."""
    if BOOKED.pop(reference, None) is not None:
        print(f"  gave back the {what} of {trip.traveller}")


class Saga:
    """Remembers how to undo what was done."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], Awaitable[None]]] = []

    def on_failure(self, undo: Callable[[], Awaitable[None]]) -> None:
        """If the saga fails from here on, `undo` is called, before all that were given earlier."""
        self._undo.append(undo)

    async def compensate(self) -> None:
        """Undo all, last things first."""
        while self._undo:
            await self._undo.pop()()


@workflow(raises=[NothingFreeError])
async def travel(trip: Trip) -> list[str]:
    """Book a flight, a hotel and a car, or nothing."""
    saga, booked = Saga(), list[str]()
    try:
        for what in ("flight", "hotel", "car"):
            reference = str(uuid4())  # the same on each replay
            saga.on_failure(partial(give_back, what, trip, reference))
            await book(what, trip, reference)
            booked.append(what)
    except BaseException:  # a cancellation too: its cleanup may await like any other code
        await saga.compensate()
        raise
    return booked


async def main(store: str) -> None:
    """Book the three trips and print how each ended."""
    async with Client.connect(store) as client, Worker(client, workflows=[travel], activities=[book, give_back]):
        ada = await client.start(travel, id="trip-ada")(Trip("Ada"))
        bo = await client.start(travel, id="trip-bo")(Trip("Bo", sold_out="hotel"))
        cy = await client.start(travel, id="trip-cy")(Trip("Cy"))

        print(f"Ada: booked {', '.join(await ada.result())}")
        try:
            await bo.result()
        except RunFailedError as error:
            print(f"Bo: {error.__cause__}")
        await LOOKING.wait()
        await cy.cancel("changed plans")
        try:
            await cy.result()
        except RunCancelledError:
            print("Cy: cancelled")
    print(f"still booked: {', '.join(sorted(BOOKED.values()))}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/saga.db")))
