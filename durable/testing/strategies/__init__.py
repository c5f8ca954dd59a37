"""Whole executions of a workflow, drawn by Hypothesis: `executions` and what belongs to it."""

from ._execution import (
    Answer,
    Attempt,
    Call,
    Cancelled,
    Completed,
    Continued,
    Execution,
    ExecutionError,
    Failed,
    Terminated,
    TimedOut,
    Updated,
    Waiting,
)
from ._outcomes import Outcomes, durations, outcomes
from ._story import Arrival, Crash, Fate, Story
from ._strategy import executions

__all__ = [
    "Answer", "Arrival", "Attempt", "Call", "Cancelled", "Completed", "Continued", "Crash", "Execution", "ExecutionError", "Failed", "Fate",
    "Outcomes", "Story", "Terminated", "TimedOut", "Updated", "Waiting", "durations", "executions", "outcomes",
]  # fmt: skip
