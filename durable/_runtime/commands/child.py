"""The child command: asked for, then started or refused, then ended. It may be asked to cancel on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ... import _limits
from ..._ids import checked_workflow_id
from ...codec import Failure, Payload, exception_of
from ...errors import ChildWorkflowError, InvalidCallError
from ...history import (
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    ChildStartFailed,
    ChildStartRequested,
    Event,
    from_raw,
    to_raw,
)
from ._command import Command, CommandFuture, DeferringFuture

if TYPE_CHECKING:
    from ..options import ChildCall
    from ..run import Run

_RUN_ID_CHARS = 8  # of its end, which is random: tells the runs of one workflow id apart, and their children with them


class ChildCommand(Command):
    """A child. It stays pending until it has ended, whether or not the code still waits for it: the parent's close concerns it.

    `child_run` is the id of its first run, empty until that exists; `reopened` tells it from a command of the same number that a
    reopening voided. Each wait has a future of its own, so that cancelling one leaves the others alone.
    """

    __slots__ = ("_end", "_starts", "_value", "_waits", "call", "cancel_requested", "child_run", "event", "reopened")

    def __init__(self, run: Run, call: ChildCall, event: ChildStartRequested) -> None:
        super().__init__(run, event.id)
        self.call, self.event, self.reopened = call, event, run.reopened
        self.child_run = ""
        self.cancel_requested = False
        self._starts: list[tuple[CommandFuture, object]] = []
        self._waits: list[CommandFuture] = []
        self._end: ChildCompleted | ChildFailed | ChildStartFailed | None = None
        self._value: tuple[Any] | None = None

    # --- what the code does

    def started(self, handle: object) -> CommandFuture:
        """Return a future whose result is `handle`, once the child is started. It raises what is in `ChildStartFailed`."""
        future = self._future()
        self._starts.append((future, handle))
        return future

    def ended(self) -> CommandFuture:
        """Return a future of the child's result. It raises `ChildWorkflowError`, or `CancelledError` after its own cancellation."""
        future = self._future()
        if self._end is None:
            self._waits.append(future)
            return future
        try:
            self._settle(future, self._end)
        except Exception as error:
            self.run.abort(error)  # a result of another type: the run is stuck, not failed, until that is put right
        return future

    def cancel(self) -> None:
        """A wait was cancelled: what follows is as the call's options say."""
        if self.call.cancellation != "abandon":
            self.request_cancel()

    def request_cancel(self, reason: str = "") -> None:
        """Ask the child to cancel, unless it was asked already or has ended."""
        run = self.run
        if run.closing or self.cancel_requested or self.id not in run.commands:
            return
        if not run.matcher.replaying:
            run.emit(ChildCancelRequested(at=run.now_ms, id=self.id, reason=reason))
        elif run.matcher.take(ChildCancelRequested, self.id) is None:
            run.diverge(f"cancellation of child {self.call.name!r} (#{self.id})")
        self.cancel_requested = True

    # --- what happened to it

    def release(self) -> None:
        self._starts.clear()
        self._waits.clear()

    def resolve(self, event: Event) -> None:
        if type(event) is ChildStarted:
            self.child_run = event.run_id
            waiting = [item for item in self._starts if _cancelled(item[0])]
            for future, handle in self._starts:
                if not future.done() and not _cancelled(future):
                    future.set_result(handle)
            self._starts = waiting
        elif isinstance(event, ChildCompleted | ChildFailed | ChildStartFailed):
            del self.run.commands[self.id]
            self._end = event
            starts, waits = self._starts, self._waits
            self._starts, self._waits = [], []
            for future, handle in starts:
                self._settle(future, event, (handle,))
            for future in waits:
                self._settle(future, event)
        else:
            super().resolve(event)

    def _future(self) -> CommandFuture:
        return DeferringFuture(self) if self.call.cancellation == "wait" else CommandFuture(self)

    def _settle(
        self,
        future: CommandFuture,
        end: ChildCompleted | ChildFailed | ChildStartFailed,
        handle: tuple[object] | None = None,
    ) -> None:
        """Resolve `future` with how the child ended: of a wait for its start, with `handle`, if it was started."""
        if future.done():
            return
        if isinstance(end, ChildStartFailed):
            future.set_exception(exception_of(Failure.from_wire(end.failure), (), self.run.codec))
        elif isinstance(end, ChildFailed) and end.status == "cancelled" and isinstance(future, DeferringFuture) \
                and future.cancel_asked:  # fmt: skip
            future.end_cancelled()
        elif handle is not None:
            future.set_result(handle[0])
        elif isinstance(end, ChildFailed):
            future.set_exception(self._error(end))
        else:
            future.set_result(self._decoded(end))

    def _decoded(self, end: ChildCompleted) -> Any:
        if self._value is None:
            what = f"the result of child {self.call.name} {self.event.workflow_id!r}"
            self._value = (self.call.signature.decode_result(self.run.codec, from_raw(end.result), what=what),)
        return self._value[0]

    def _error(self, end: ChildFailed) -> ChildWorkflowError:
        failure = Failure.from_wire(end.failure)
        child = f"child {self.call.name} {self.event.workflow_id!r}"
        # Of a child that did not fail itself, the cause says which it is and how it ended.
        told = f"{child} failed: {failure.short_type}: {failure.message}" if end.status == "failed" else failure.message
        error = ChildWorkflowError(told, workflow_id=self.event.workflow_id)
        error.__cause__ = exception_of(failure, self.call.raises, self.run.codec)
        return error


def _cancelled(future: CommandFuture) -> bool:
    return isinstance(future, DeferringFuture) and future.cancel_asked


def start_child_command(run: Run, call: ChildCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ChildCommand:
    """Record the command, within the interceptors, and return it.

    Raises `EncodeError` or `PayloadTooLargeError` for arguments that cannot go into the history, and `InvalidCallError` for the
    run's own workflow id; nothing is recorded then.
    """
    around = run.around
    if around is None or around.start_child is None:
        return _start(run, call, args, kwargs, None)
    return around.child(run, call, _start, args, kwargs)


def _start(
    run: Run, call: ChildCall, args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str] | None
) -> ChildCommand:
    id = run.next_command_id()  # noqa: A001 - the field's name
    what = f"child {call.name}"
    workflow_id = call.id or default_child_id(run, id)
    if workflow_id == run.workflow_id:
        raise InvalidCallError(f"{what}: its workflow id {workflow_id!r} is that of the run that starts it")
    if run.matcher.replaying:
        event = run.matcher.take(ChildStartRequested, id)
        if event is None or event.workflow != call.name or (call.id or event.workflow_id) != event.workflow_id:
            # The call may have failed to encode at the time, and so have left no event: then it fails now as it did then.
            _encoded(run, call, args, kwargs, what)
            run.diverge(f"{what} with id {workflow_id!r} (#{id})", recorded=event)
        if run.matcher.observe is not None:
            run.matcher.observe(event, lambda: call.signature.encode_call(run.codec, args, kwargs, what=what))
        return ChildCommand(run, call, event)
    run.check_may_command(what)
    payload, memo = _encoded(run, call, args, kwargs, what)
    event = ChildStartRequested(
        at=run.now_ms,
        id=id,
        workflow=call.name,
        workflow_id=workflow_id,
        queue=call.queue or run.queue,
        args=to_raw(payload),
        parent_close=call.parent_close,
        timeout_ms=call.timeout_ms,
        version=call.version,
        pinned=call.pinned,
        headers=headers,
        attributes=dict(call.attributes),
        memo=memo,
        execution_timeout_ms=call.execution_timeout_ms,
    )
    run.emit(event)
    return ChildCommand(run, call, event)


def _encoded(
    run: Run, call: ChildCall, args: tuple[Any, ...], kwargs: dict[str, Any], what: str
) -> tuple[Payload, dict[str, msgspec.Raw]]:
    memo = {} if call.memo is None else call.memo(run.codec)
    return call.signature.encode_call(run.codec, args, kwargs, what=what), memo


def default_child_id(run: Run, command: int) -> str:
    """Return the workflow id of a child that was given none: the parent's, the end of its run's id, and the command's number.

    The same on each replay, and another for each run of the parent: a child that an earlier run left open is in nobody's way.
    """
    number = f"{command}.{run.reopened}" if run.reopened else str(command)
    derived = f"{run.workflow_id}/{run.run_id[-_RUN_ID_CHARS:].lower()}/{number}"
    if len(derived.encode()) > _limits.ID_BYTES_MAX:
        derived = f"{run.run_id}/{number}"
    return checked_workflow_id(derived)
