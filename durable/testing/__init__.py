"""Shipped to users: clocks, environments and suites to test workflows and stores with.

Names are loaded when they are asked for: a replay needs neither pytest nor Hypothesis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._activity_environment import ActivityEnvironment as ActivityEnvironment
    from ._clock import ManualClock as ManualClock
    from ._determinism import assert_deterministic as assert_deterministic
    from ._environment import TestEnvironment as TestEnvironment
    from ._fakes import Call as Call
    from ._fakes import Fake as Fake
    from ._fakes import in_turn as in_turn
    from ._replay import assert_replays as assert_replays
    from ._replay import replay as replay
    from ._replay import replay_all as replay_all
    from ._replay import replay_files as replay_files
    from ._replay_result import Divergence as Divergence
    from ._replay_result import Drift as Drift
    from ._replay_result import ReplayResult as ReplayResult
    from ._replay_sources import histories_in as histories_in
    from .simulation import Chaos as Chaos
    from .simulation import RandomPrograms as RandomPrograms
    from .simulation import SimulationError as SimulationError
    from .simulation import simulate as simulate
    from .strategies import Cancelled as Cancelled
    from .strategies import Completed as Completed
    from .strategies import Continued as Continued
    from .strategies import Execution as Execution
    from .strategies import ExecutionError as ExecutionError
    from .strategies import Failed as Failed
    from .strategies import Outcomes as Outcomes
    from .strategies import Story as Story
    from .strategies import Terminated as Terminated
    from .strategies import TimedOut as TimedOut
    from .strategies import Waiting as Waiting
    from .strategies import durations as durations
    from .strategies import executions as executions
    from .strategies import outcomes as outcomes

_HOMES = {
    "ActivityEnvironment": "_activity_environment",
    "Call": "_fakes",
    "Cancelled": "strategies",
    "Chaos": "simulation",
    "Completed": "strategies",
    "Continued": "strategies",
    "Divergence": "_replay_result",
    "Drift": "_replay_result",
    "Execution": "strategies",
    "ExecutionError": "strategies",
    "Failed": "strategies",
    "Fake": "_fakes",
    "ManualClock": "_clock",
    "Outcomes": "strategies",
    "RandomPrograms": "simulation",
    "ReplayResult": "_replay_result",
    "SimulationError": "simulation",
    "Story": "strategies",
    "Terminated": "strategies",
    "TestEnvironment": "_environment",
    "TimedOut": "strategies",
    "Waiting": "strategies",
    "assert_deterministic": "_determinism",
    "assert_replays": "_replay",
    "durations": "strategies",
    "executions": "strategies",
    "histories_in": "_replay_sources",
    "in_turn": "_fakes",
    "outcomes": "strategies",
    "replay": "_replay",
    "replay_all": "_replay",
    "replay_files": "_replay",
    "simulate": "simulation",
}

__all__ = [
    "ActivityEnvironment", "Call", "Cancelled", "Chaos", "Completed", "Continued", "Divergence", "Drift", "Execution", "ExecutionError",
    "Failed", "Fake", "ManualClock", "Outcomes", "RandomPrograms", "ReplayResult", "SimulationError", "Story", "Terminated", "TestEnvironment",
    "TimedOut", "Waiting",
    "assert_deterministic", "assert_replays", "durations", "executions", "histories_in", "in_turn", "outcomes",
    "replay", "replay_all", "replay_files", "simulate",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
