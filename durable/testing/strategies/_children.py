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
    Message,
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
from ._family import Family

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
        push: Callable[[int, Running | Message], object],
        family: Family,
    ) -> None:
        self._family = family
        self._attempts, self._codec, self._run_id, self._push = attempts, codec, run_id, push
        self._running: dict[int, tuple[Running, ActivityTask]] = {}
        self._timeouts: dict[int, int] = {}

    def sent(self, item: OutgoingMessage, run: Run | None, now_ms: int) -> None:
        """The step has put `item` into the outbox."""
        command = run.commands.get(item.id) if run is not None else None
        if isinstance(item.message, StartRun):
            if isinstance(command, ChildCommand):  # else its run has closed in the same step
                self._start(item.message, command, now_ms)
        elif item.target in self._family.runs and self._is_own(item):
            self._deliver(item, now_ms)
        elif item.part == "cancel" and isinstance(item.message, RequestCancel):
            self._cancel(item.id, item.message.reason, command, now_ms)
        elif item.tells:
            failure = None
            if isinstance(item.message, SendSignal) and item.child is not None and item.child.reopened < 0:
                error = RunClosedError(f"the child {item.target!r} has ended: it takes no more messages")
                failure = failure_of(error, self._codec).as_wire()
            self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=item.id, failure=failure))

    def _deliver(self, item: OutgoingMessage, now_ms: int) -> None:
        """Send `item` to a run whose code is run here: a child, the parent, or any other."""
        target = self._family.runs[item.target]
        failure = None
        if target.closed and not isinstance(item.message, ChildEnded):
            error = RunClosedError(f"the last run of workflow id {item.target!r} is closed: it takes no more messages")
            failure = failure_of(error, self._codec).as_wire()
        else:
            target.take(item.message, now_ms)
        if item.tells:
            self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=item.id, failure=failure))

    def _is_own(self, item: OutgoingMessage) -> bool:
        """Return whether `item` is not for a child whose end was drawn, though a run has had its id before."""
        found = self._running.get(item.child.command) if item.child is not None else None
        return found is None or found[0].fate.own

    def heard(self, message: ChildEnded, now_ms: int) -> None:
        """A child whose own code was run has ended."""
        if message.run_id != self._run_id:
            return  # of a run before this one
        attempt = self._running[message.id][0].attempt
        attempt.ended = self._attempts.since_start(now_ms)
        attempt.how = {"completed": "returned"}.get(message.status, message.status)
        attempt.effects = int(message.status == "completed")

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
        if running.fate.own:
            self._start_own(running, message, command, now_ms)
            return
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

    def _start_own(self, running: Running, message: StartRun, command: ChildCommand, now_ms: int) -> None:
        workflow_id = command.event.workflow_id
        holder = self._family.runs.get(workflow_id)
        if holder is not None and not holder.closed:
            running.attempt.how = "refused"
            self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=command.id, failure=self._refusal(command.id)))
            return
        run_id = self._family.start(workflow_id, message, now_ms)
        running.child = run_id
        self._push(now_ms, OutgoingEnded(run_id=self._run_id, id=command.id, started=run_id))

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
