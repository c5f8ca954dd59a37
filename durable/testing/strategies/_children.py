"""The children of one run: what becomes of each is drawn as for an activity, and told to the run as a real child's end is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from ..._engine import effects
from ..._log import (
    ActivityEnded,
    ActivityTask,
    ChildEnded,
    OutgoingEnded,
    OutgoingMessage,
    RequestCancel,
    SendSignal,
    StartRun,
)
from ..._runtime.commands import ChildCommand
from ..._runtime.options import ActivityCall, ActivityOptions, ChildCall
from ..._runtime.run import Run
from ...author import Workflow
from ...codec import Codec, Failure, failure_of
from ...errors import InternalError, RunAlreadyOpenError, RunClosedError
from ...history import RunCancelled, RunTerminated, RunTimedOut
from ._attempts import Attempts, Running
from ._deferred import Report

_TAKEN = f"{RunAlreadyOpenError.__module__}.{RunAlreadyOpenError.__qualname__}"


def child_name(workflow: str) -> str:
    """Return the name under which a story has what becomes of a child; an activity may be called like the workflow."""
    return f"child {workflow}"


def is_child(call: ActivityCall) -> bool:
    """Return whether `call` is a child, as `as_activity` made it."""
    return call.name.startswith(child_name(""))


def as_activity(child: Workflow[..., Any] | ChildCall) -> ActivityCall:
    """Return a child as the activity that it is for a story."""
    options = ActivityOptions(raises=child.raises, timeout_ms=child.timeout_ms)
    return ActivityCall(child_name(child.name), child.signature, options)


class Children:
    """Takes what a run sends, and lets its children answer."""

    def __init__(
        self,
        attempts: Attempts,
        codec: Codec,
        run_id: str,
        push: Callable[[int, Running | OutgoingEnded | ChildEnded], object],
    ) -> None:
        self._attempts, self._codec, self._run_id, self._push = attempts, codec, run_id, push
        self._running: dict[int, tuple[Running, ActivityTask]] = {}
        self._timeouts: dict[int, int] = {}

    def sent(self, item: OutgoingMessage, run: Run | None, now_ms: int) -> None:
        """The step has put `item` into the outbox."""
        command = run.commands.get(item.id) if run is not None else None
        if isinstance(item.message, StartRun):
            if isinstance(command, ChildCommand):  # else its run has closed in the same step
                self._start(item.message, command, now_ms)
        elif item.part == "cancel" and isinstance(item.message, RequestCancel):
            self._cancel(item.id, item.message.reason, command, now_ms)
        elif item.tells:
            failure = None
            if isinstance(item.message, SendSignal) and item.child is not None and item.child.reopened < 0:
                error = RunClosedError(f"the child {item.target!r} has ended: it takes no more messages")
                failure = failure_of(error, self._codec).as_wire()
            self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=item.id, failure=failure))

    def ended(self, running: Running, ended: Report) -> ChildEnded | OutgoingEnded:
        """Return what the run is told of a child whose drawn end has come."""
        assert isinstance(ended, ActivityEnded)  # a child has no token
        failure, ends = ended.failure, running.fate.ends
        if ends:
            running.attempt.effects, running.attempt.how = 0, ends
            if ends == "refused":
                return OutgoingEnded(run_id=self._run_id, id=ended.id, failure=self._refusal(ended.id))
            by_others = RunTerminated(at=0, request="others") if ends == "terminated" else RunCancelled(at=0)
            return self._end(ended.id, running.child, by_others)
        if failure is not None and Failure.from_wire(failure).type == _TAKEN:
            return OutgoingEnded(run_id=self._run_id, id=ended.id, failure=failure)
        status = "completed" if failure is None else "failed"
        if ended.timeout:
            return self._end(ended.id, running.child, RunTimedOut(at=0, timeout_ms=self._timeouts[ended.id]))
        return ChildEnded(
            run_id=self._run_id,
            id=ended.id,
            child_run=running.child,
            status=status,
            result=ended.result,
            failure=failure,
        )

    def _start(self, message: StartRun, command: ChildCommand, now_ms: int) -> None:
        task = ActivityTask(
            workflow="",
            workflow_id=command.event.workflow_id,
            run_id=self._run_id,
            id=command.id,
            activity=child_name(message.workflow),
            args=message.args,
            scheduled_ms=now_ms,
            timeout_ms=message.timeout_ms,
        )
        running = self._attempts.begin(task, as_activity(command.call), now_ms, limits=())
        running.child = f"child-run-{command.id}"
        self._running[command.id] = running, task
        self._timeouts[command.id] = message.timeout_ms or 0
        if running.fate.ends == "refused" and command.call.id is None:  # an id that is derived is never taken
            running.fate = replace(running.fate, ends="")
        taken = running.fate.ends == "refused" or (
            running.fate.failure is not None and Failure.from_wire(running.fate.failure).type == _TAKEN
        )
        if not taken:
            self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=command.id, started=running.child))
        if running.ends_ms is not None:
            self._push(now_ms if taken else running.ends_ms, running)

    def _cancel(self, number: int, reason: str, command: object, now_ms: int) -> None:
        """The child is asked to cancel: it ends by that, unless the story has it take effect all the same."""
        found = self._running.get(number)
        if found is None or not isinstance(command, ChildCommand):
            return
        running, task = found
        if running.fate.odd != "late" and running.attempt.ended is None:
            self._attempts.drop(task.task_id)
            self._push(now_ms, self._end(number, running.child, RunCancelled(at=0, reason=reason)))

    def _refusal(self, number: int) -> dict[str, Any]:
        workflow_id = self._running[number][1].workflow_id
        error = RunAlreadyOpenError(f"workflow id {workflow_id!r} is taken by an open run")
        return failure_of(error, self._codec).as_wire()

    def _end(self, number: int, child_run: str, close: RunCancelled | RunTerminated | RunTimedOut) -> ChildEnded:
        _, task = self._running[number]
        name = task.activity.removeprefix("child ")
        failure = effects.failure_of_child(name, task.workflow_id, child_run, close, self._codec)
        if failure is None:
            raise InternalError(f"a child that is {close.status} has no failure")
        return ChildEnded(
            run_id=self._run_id, id=number, child_run=child_run, status=close.status, result=UNSET, failure=failure
        )
