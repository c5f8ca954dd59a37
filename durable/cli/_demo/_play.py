"""The demo's plot: orders come in, the worker is killed on the way, a new one takes over, all orders end."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import click

from ... import Client
from ..._clock import SystemClock
from ._sample import Ledger, Order, Outcome, Sample
from ._stage import Stage

AT_ONCE = 50  # orders in flight: enough that a kill always hits some in the middle of a call, few enough to watch
TICK_S = 0.1
STALLED_S = 45.0  # many times what a takeover takes: past it something is broken, and a person should not wait for ever


@dataclass
class State:
    """What the display shows."""

    total: int = 0  # orders that the shop takes
    started: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])
    pid: int = 0
    kills: int = 0
    kills_planned: int = 0
    waiting_for_takeover: bool = False
    seconds: float = 0.0
    worker_since: float = 0.0

    @property
    def done(self) -> int:
        """The number of orders that have ended."""
        return self.ended.total()

    @property
    def in_flight(self) -> int:
        """The number of orders that have begun and not ended."""
        return self.started - self.done


class Screen(Protocol):
    """What shows the play."""

    def event(self, text: str) -> None:
        """Say that something happened. `text` has rich's markup."""
        ...

    def tick(self) -> None:
        """Show the state as it is now."""
        ...


class Play:
    """One performance. It changes `state` as it goes on, and tells `screen`."""

    def __init__(self, stage: Stage, sample: Sample, state: State, screen: Screen, ledger: Ledger) -> None:
        self._stage, self._sample, self._state, self._screen, self._ledger = stage, sample, state, screen, ledger
        self._clock = SystemClock()
        self._begun = self._clock.monotonic()
        self._last_change = self._begun
        self._killed_at = 0.0

    # --- what the sample's feed tells

    def started(self, order: Order) -> None:
        """An order's run is durably started."""
        self._state.started += 1

    def ended(self, order: Order, outcome: Outcome) -> None:
        """An order came to its end."""
        self._state.ended[outcome.status] += 1
        self._last_change = self._clock.monotonic()

    # --- the plot

    async def run(self, orders: Sequence[Any]) -> Mapping[str, Outcome]:
        """Take all orders to their end; return how each ended. Raises `click.ClickException` if that cannot be."""
        state = self._state
        state.total = len(orders)
        # Spread over the way: after a third and two thirds of the orders for two kills, and never before any has ended.
        kill_at = [max(1, state.total * (n + 1) // (state.kills_planned + 1)) for n in range(state.kills_planned)]
        async with Client.connect(self._stage.store_url) as client:
            self._start_worker("is the only one, and runs every step of every order")
            feed = asyncio.ensure_future(self._sample.feed(client, orders, self, at_once=AT_ONCE))
            try:
                while not feed.done():
                    await asyncio.wait([feed], timeout=TICK_S)
                    self._check()
                    if state.kills < len(kill_at) and state.done >= kill_at[state.kills] and not feed.done():
                        self._kill_worker()
                    self._screen.tick()
                return await feed
            finally:
                feed.cancel()
                with contextlib.suppress(BaseException):
                    await feed

    def _start_worker(self, why: str) -> None:
        self._state.pid = self._stage.start_worker()
        self._state.worker_since = self._now()
        self._screen.event(f"worker [bold]{self._state.pid}[/] started: it {why}")

    def _kill_worker(self) -> None:
        state = self._state
        self._check_takeover()
        pid = self._stage.kill_worker()
        self._killed_at = self._now()
        state.kills += 1
        state.waiting_for_takeover = True
        self._screen.event(
            f"worker [bold]{pid}[/] [red]killed with SIGKILL[/] after {state.done:,} orders, with {state.in_flight} in flight:"
            " no goodbye, nothing saved"
        )
        self._start_worker("waits until the lease of the dead one runs out")

    def _check(self) -> None:
        self._state.seconds = self._now()
        problem = self._stage.worker_exit()
        if problem is None and self._clock.monotonic() - self._last_change > STALLED_S:
            problem = f"no order has ended for {STALLED_S:.0f} s, and {self._state.in_flight} are in flight"
        if problem is not None:
            raise click.ClickException(problem)
        self._check_takeover()

    def _check_takeover(self) -> None:
        """See in the ledger whether the new worker has begun to act."""
        state = self._state
        if not state.waiting_for_takeover:
            return
        last = self._ledger.rows("SELECT pid FROM attempts ORDER BY id DESC LIMIT 1")
        if last and last[0][0] == state.pid:
            state.waiting_for_takeover = False
            self._screen.event(
                f"worker [bold]{state.pid}[/] [green]took over[/] after {self._now() - self._killed_at:.1f} s:"
                f" it replays the log, and {state.in_flight} orders go on where they stood"
            )

    def _now(self) -> float:
        return self._clock.monotonic() - self._begun
