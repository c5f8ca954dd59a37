"""Shipped to users: clocks, environments and suites to test workflows and stores with.

Names are loaded when they are asked for: a replay needs neither pytest nor Hypothesis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._clock import ManualClock as ManualClock
    from ._replay import assert_deterministic as assert_deterministic
    from ._replay import assert_replays as assert_replays
    from ._replay import replay as replay
    from ._replay import replay_all as replay_all
    from ._replay import replay_files as replay_files
    from ._replay_result import Divergence as Divergence
    from ._replay_result import Drift as Drift
    from ._replay_result import ReplayResult as ReplayResult
    from ._replay_sources import histories_in as histories_in

_HOMES = {
    "Divergence": "_replay_result",
    "Drift": "_replay_result",
    "ManualClock": "_clock",
    "ReplayResult": "_replay_result",
    "assert_deterministic": "_replay",
    "assert_replays": "_replay",
    "histories_in": "_replay_sources",
    "replay": "_replay",
    "replay_all": "_replay",
    "replay_files": "_replay",
}

__all__ = [
    "Divergence", "Drift", "ManualClock", "ReplayResult", "assert_deterministic", "assert_replays", "histories_in", "replay",
    "replay_all", "replay_files",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
