"""How a run ended: its result, or the error that says why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .._log import read_run
from ..author import Workflow
from ..codec import Codec, Failure, Payload, exception_of, untyped_signature
from ..errors import (
    HistoryError,
    RunCancelledError,
    RunFailedError,
    RunNotFoundError,
    RunOutcomeError,
    RunTerminatedError,
    RunTimedOutError,
)
from ..history import (
    Close,
    Event,
    RecordedEvent,
    RunCancelled,
    RunCompleted,
    RunContinuedAsNew,
    RunFailed,
    RunTerminated,
    RunTimedOut,
    from_raw,
)
from ..stores import Document, document_topic
from ._line import Line
from ._patience import wait_for


class ResultSignature(Protocol):
    """The part of a signature that says what a result is."""

    def decode_result(self, codec: Codec, payload: Payload, *, what: str = "") -> Any:
        """Return the result."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run's result is decoded as, and which exceptions may be made again as themselves."""

    signature: ResultSignature
    raises: tuple[type[BaseException], ...] = ()


def expected_of(workflow: Workflow[..., Any] | None, result_type: Any = Any) -> Expected:
    """Return what to expect of a run of `workflow`, or of one of which only the result's type is known."""
    if workflow is not None:
        return Expected(workflow.signature, workflow.raises)
    return Expected(untyped_signature(result_type))


async def wait_until_closed(line: Line, document: Document, timeout_s: float | None) -> tuple[Document, Close]:
    """Wait until the chain of runs is closed; return its last run and how that ended. Raises `TimeoutError` after `timeout_s`."""
    clock = line.clock
    ends_s = None if timeout_s is None else clock.monotonic() + timeout_s
    while True:
        document = await line.follow(document)
        close = await _wait_for_close(line, document, None if ends_s is None else max(0.0, ends_s - clock.monotonic()))
        if not isinstance(close, RunContinuedAsNew):
            break
        document = await _next_of(line, document, close.new_run_id)
    if close is None:
        raise TimeoutError(
            f"the run {document.id!r} of {document.name!r} has not ended within {timeout_s:g} s; it goes on"
        )
    return document, close


async def _next_of(line: Line, document: Document, run_id: str) -> Document:
    """Return the document of the run that `document`'s went on as or, if that is gone, of the latest run of their chain."""
    try:
        return await line.document(run_id)
    except RunNotFoundError:
        latest = await line.latest_of_chain(read_run(document).first_run_id)
        if latest is None:
            raise
        return latest


async def wait_for_outcome(line: Line, document: Document, expected: Expected, timeout_s: float | None) -> Any:
    """Wait until the chain of runs is closed; return its result or raise what `Handle.result` says."""
    document, close = await wait_until_closed(line, document, timeout_s)
    if isinstance(close, RunCompleted):
        what = f"the result of {document.kind} {document.name!r}"
        return expected.signature.decode_result(line.codec, from_raw(close.result), what=what)
    raise outcome_error(line.codec, document, expected, close)


async def _wait_for_close(line: Line, document: Document, timeout_s: float | None) -> Close | None:
    """Return the event that closes the run of `document`, which was read just now. Raises `RunNotFoundError` once it is gone."""
    known = True

    async def look() -> Close | None:
        nonlocal known
        last = await line.store.read_last(line.partition, document.id)
        if last is None and not known:
            await line.document(document.id)  # it may not have begun, or be forgotten by now
        known = False
        return None if last is None else await _close_in(line, document, last)

    return await wait_for(line.store, [document_topic(document.id)], look, timeout_s)


async def _close_in(line: Line, document: Document, last: tuple[int, bytes]) -> Close | None:
    """Return the close in the `last` record of the history, or None. Raises `HistoryError` if it is closed and that cannot be read."""
    event: Event | None
    try:
        event = RecordedEvent.read(*last).event
    except HistoryError:  # an open run with such an event is stuck, and may still be ended: wait for that
        if (await line.document(document.id)).open:
            return None
        at_the_end = await line.store.read_last(line.partition, document.id)
        event = None if at_the_end is None else RecordedEvent.read(*at_the_end).event
    return event if isinstance(event, Close) else None


def outcome_error(codec: Codec, document: Document, expected: Expected, close: Close) -> RunOutcomeError:
    """Return the error that says how a run ended that did not complete."""
    which = f"{document.kind} {document.name!r} (run {document.id})"
    ids = {"workflow_id": document.name, "run_id": document.id}
    if isinstance(close, RunFailed):
        failure = Failure.from_wire(close.failure)
        message = f"{which} failed: {failure.short_type}: {failure.message}"
        error = RunFailedError(message, **ids)
        error.__cause__ = exception_of(failure, expected.raises, codec)
        return error
    if isinstance(close, RunCancelled):
        return RunCancelledError(f"{which} was cancelled{_because(close.reason)}", **ids)
    if isinstance(close, RunTerminated):
        return RunTerminatedError(f"{which} was terminated{_because(close.reason)}", **ids)
    if isinstance(close, RunTimedOut):
        return RunTimedOutError(f"{which} reached {close.limit()}", **ids, kind=close.kind)
    return RunOutcomeError(f"{which} ended as {close.status}", **ids)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
