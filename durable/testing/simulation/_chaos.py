"""What goes wrong in a simulation, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """How often what goes wrong. Chances are per call of a store; intervals are means, in virtual seconds (0: never).

    `lost_before`: a call fails and was not applied; `lost_after`: it fails and was applied; both raise
    `StoreUnavailableError`. `crash_before`, `crash_after`: the process dies before or after the call was applied.
    `repeat`: a `send` arrives again later. `crash_every_s`: a worker dies between two callbacks, wherever it is.
    `freeze_every_s`: a worker stands still for up to `freeze_s_max`. `stop_every_s`: a worker is stopped in good order.
    `back_every_s`: the store falls back to the state that it had up to `back_s_max` ago, as after a failover to a copy that
    lagged; for scenarios that are `Recoverable`.
    `step_every_s`: the store's clock goes back or forward by up to `step_ms_max`. `skew_ms_max`: how far the clocks of the
    other processes are from it.
    `delay_s_max`: how long a call takes at most, each way.
    """

    lost_before: float = 0.01
    lost_after: float = 0.01
    crash_before: float = 0.002
    crash_after: float = 0.002
    repeat: float = 0.05
    crash_every_s: float = 15.0
    freeze_every_s: float = 25.0
    freeze_s_max: float = 20.0
    stop_every_s: float = 60.0
    step_every_s: float = 40.0
    step_ms_max: int = 2_000
    back_every_s: float = 30.0
    back_s_max: float = 8.0
    skew_ms_max: int = 30_000
    delay_s_max: float = 0.05

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value < 0:
                raise ValueError(f"{each.name}: expected 0 or more, got {value!r}")

    def scaled(self, factor: float) -> Chaos:
        """Return a chaos in which things go wrong `factor` times as often."""
        if factor <= 0:
            return CALM
        chances = {name: min(0.5, getattr(self, name) * factor) for name in _CHANCES}
        pauses = {name: getattr(self, name) / factor for name in _PAUSES}
        changes: dict[str, Any] = {**chances, **pauses}
        return replace(self, **changes)


_CHANCES = ("lost_before", "lost_after", "crash_before", "crash_after", "repeat")
_PAUSES = ("crash_every_s", "freeze_every_s", "stop_every_s", "step_every_s", "back_every_s")

CALM = Chaos(
    lost_before=0,
    lost_after=0,
    crash_before=0,
    crash_after=0,
    repeat=0,
    crash_every_s=0,
    freeze_every_s=0,
    stop_every_s=0,
    step_every_s=0,
    back_every_s=0,
    skew_ms_max=0,
    delay_s_max=0,
)
"""Nothing goes wrong, and no call takes any time."""


def drawn(chaos: Chaos, chance: Random, back: Random) -> Chaos:
    """Return what this seed makes of `chaos`: each kind of fault is left out, rare, usual or frequent, so that seeds differ in kind.

    `back` draws how often the store falls back: mostly never, since less can be promised then.
    """
    changes: dict[str, Any] = {}
    for name in _CHANCES:
        changes[name] = min(0.5, getattr(chaos, name) * chance.choice([0, 0.3, 1, 1, 4]))
    for name in _PAUSES:
        if name == "back_every_s":
            continue
        factor = chance.choice([0, 0.3, 1, 1, 4])
        changes[name] = getattr(chaos, name) / factor if factor else 0.0
    factor = back.choice([0, 0, 0, 0, 0, 0.3, 1, 4])
    changes["back_every_s"] = chaos.back_every_s / factor if factor else 0.0
    changes["delay_s_max"] = chaos.delay_s_max * chance.choice([0, 0.1, 1, 10])
    return replace(chaos, **changes)
