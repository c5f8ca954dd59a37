"""What the engine asks of the worker in its own process: slots for tasks that it commits as claimed, and local activities."""

from collections.abc import Sequence
from typing import Protocol

from .._log import ActivityEnded, ActivityTask
from ..stores import ClaimedTask


class LocalTasks(Protocol):
    """The short cut of a process that is both owner and worker. What is written is the same as without it."""

    def reserve(self, queue: str, activity: str) -> bool:
        """Keep a slot for a task that is about to be committed as claimed; False if there is none, or no such activity."""
        ...

    def unreserve(self) -> None:
        """The commit was refused: give one slot back."""
        ...

    def run(self, claimed: ClaimedTask, task: ActivityTask, asked_s: float) -> None:
        """The commit, first sent at `asked_s` of the monotonic clock, is applied: run the task in its reserved slot. Never blocks."""
        ...

    def lost(self, task_ids: Sequence[str]) -> None:
        """These tasks are not in the store any more: tell what runs for them to stop, and drop what it gives. Others are passed over."""
        ...

    def cancel(self, task_ids: Sequence[str]) -> None:
        """Tell what runs for these tasks to stop, and report how it ends. Others are passed over."""
        ...

    def doubt(self) -> None:
        """The store fell back to an earlier state: it may hold claims for this process of which nobody here knows."""
        ...

    async def run_local(self, task: ActivityTask) -> ActivityEnded:
        """Run one attempt of a local activity and return how it ended. Takes no slot and no claim."""
        ...
