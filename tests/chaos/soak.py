"""The soak: producers start runs and signal them while workers, server and connections die, freeze and come back.

`python -m tests.chaos [--runs 20000] [--seed N] [--workers 4] [--lease 2]`; `nox -s chaos` runs it.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from durable import Client
from durable.errors import StoreUnavailableError
from tests.chaos.faults import Faults
from tests.chaos.processes import Cast
from tests.chaos.program import expected, order, paid
from tests.chaos.reckoning import Reckoning, effects_of

T = TypeVar("T")

STANDS_STILL_S = 60.0  # without any run that ends: something hangs
PRODUCERS = 100  # each has one run under way


@dataclass(frozen=True)
class Size:
    """How much of it."""

    runs: int = 20_000
    workers: int = 4
    lease_s: float = 2.0
    pause_s: tuple[float, float] = (0.3, 2.0)  # from one fault to the next


class Producers:
    """Start runs, signal them and wait for their results: what they were told counts."""

    def __init__(self, client: Client, runs: int, progress: Callable[[int], None]) -> None:
        self._client, self._runs, self._progress = client, runs, progress
        self._next = 0
        self.ended = 0

    async def run(self) -> None:
        """Return when every run has ended as it should."""
        await asyncio.gather(*(self._produce() for _ in range(PRODUCERS)))

    async def _produce(self) -> None:
        while self._next < self._runs:
            number, self._next = self._next, self._next + 1
            handle = await insist(
                lambda number=number: self._client.start(order, id=f"order-{number}", request_id=f"start-{number}")(
                    number
                )  # type: ignore[misc]
            )
            await insist(lambda handle=handle, number=number: handle.signal(paid, 1000, request_id=f"pay-{number}"))  # type: ignore[misc]
            result = await insist(lambda handle=handle: handle.result())  # type: ignore[misc]
            assert result == expected(number), f"order-{number} gave {result}, expected {expected(number)}"
            self.ended += 1
            self._progress(self.ended)


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that is safe to repeat until the store takes it."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(0.1)


async def operate(client: Client) -> None:
    """Release what is parked, as a person would: a task that was under way at five of the kills is."""
    while True:
        await asyncio.sleep(1)
        parked = await insist(client.parked.list)
        if parked:
            ids = [task.id for task in parked]
            await insist(lambda ids=ids: client.parked.release(*ids))  # type: ignore[misc]


async def watch(cast: Cast, producers: Producers) -> None:
    """Raise if nothing gets done for long, or a process has ended that nobody killed."""
    seen, since_s = -1, time.monotonic()
    while True:
        await asyncio.sleep(1)
        cast.check()
        if producers.ended != seen:
            seen, since_s = producers.ended, time.monotonic()
        assert time.monotonic() - since_s < STANDS_STILL_S, f"stood still at {seen} runs:\n{cast.log()}"


async def soak(size: Size, seed: int, say: Callable[[str], None]) -> None:
    """Run it. Raises `AssertionError` for what is not as it should be."""
    say(f"seed {seed}: {size.runs:,} runs, {size.workers} workers, leases of {size.lease_s:g} s")
    with tempfile.TemporaryDirectory(prefix="durable-chaos-") as folder:
        cast = Cast(Path(folder), workers=size.workers, lease_s=size.lease_s)
        try:
            await _play(cast, size, seed, say)
        except BaseException:
            say(f"failed; the same faults again: nox -s chaos -- --seed {seed} --runs {size.runs}")
            raise
        finally:
            cast.close()


async def _play(cast: Cast, size: Size, seed: int, say: Callable[[str], None]) -> None:
    began_s = time.monotonic()
    progress = _every(
        size.runs // 10, lambda done: say(f"{done:,} runs ended after {time.monotonic() - began_s:.0f} s")
    )
    faults = Faults(cast, seed, lease_s=size.lease_s, pause_s=size.pause_s)
    async with Client.connect(cast.url) as client:
        producers = Producers(client, size.runs, progress)
        helpers = [asyncio.create_task(each) for each in (faults.run(), operate(client), watch(cast, producers))]
        work = asyncio.create_task(producers.run())
        await asyncio.wait([work, *helpers], return_when=asyncio.FIRST_COMPLETED)
        for helper in helpers:
            helper.cancel()
        ended = await asyncio.gather(*helpers, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome
        await work
    say(", ".join(f"{kind}: {count}" for kind, count in sorted(faults.counts.items())))
    async with Client.connect(cast.server.url) as client:
        effects = effects_of(cast.ledger)
        checked = _every(size.runs // 2, lambda done: say(f"{done:,} histories agree with the ledger"))
        await Reckoning(client, effects, checked).check(size.runs)
        repeated = effects.total() - len(effects)
        say(f"{len(effects):,} effects, {repeated} of them more than once, {cast.losses} workers killed or frozen")
        assert repeated == 0 or cast.losses, "an effect was repeated although no worker was lost"
        counts = await client.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"], counts["dues"], counts["outgoing"]) == (0, 0, 0, 0), counts
    say(f"all is as it should be, after {time.monotonic() - began_s:.0f} s")


def _every(many: int, report: Callable[[int], None]) -> Callable[[int], None]:
    """Return what reports one of so many."""

    def note(done: int) -> None:
        if done % max(many, 1) == 0:
            report(done)

    return note


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Soak workers on Redis in faults.")
    parser.add_argument("--runs", type=int, default=Size.runs)
    parser.add_argument("--workers", type=int, default=Size.workers)
    parser.add_argument("--lease", type=float, default=Size.lease_s, help="seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args()
    asyncio.run(soak(Size(given.runs, given.workers, given.lease), given.seed, _print))


def _print(line: str) -> None:
    print(line, flush=True)
