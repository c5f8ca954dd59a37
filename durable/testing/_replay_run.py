"""One replay: the code on a history, with the place at which they part, and what the code asked for on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import msgspec

from .._engine._watchdog import Watchdog
from .._runtime import guard
from .._runtime.matcher import describe, is_users, nondeterminism_in, source_line
from .._runtime.replay import follow
from .._runtime.run import Run, StepAbortedError
from ..author import Workflow
from ..codec import Codec, Failure, Payload
from ..errors import BlockedStepError, DecodeError, HistoryError, NonDeterminismError
from ..history import (
    ActivityScheduled,
    AttributesUpserted,
    ChildStartRequested,
    Close,
    CommandEvent,
    Event,
    ExternalSignalRequested,
    LocalActivityScheduled,
    RecordedEvent,
    RunCompleted,
    RunStarted,
    TimerStarted,
    UpdateCompleted,
    effective,
    from_raw,
    tag_of,
)
from ._replay_result import Divergence, DivergenceKind, Drift, ReplayResult

_WIDTH = 200  # of a value that is shown
_ADVICE = 'guard the change with `if patched("name"):`, or deploy the earlier code'


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that the code asked for, at the event `seq`: what it is, its values as text, and the source line."""

    seq: int
    what: str
    values: str
    where: str

    def __str__(self) -> str:
        return f"{self.what} {self.values}".rstrip()


@dataclass(slots=True)
class Replayed:
    """A replay's result, and all that the code asked for."""

    result: ReplayResult
    asked: list[Asked] = field(default_factory=list[Asked])


class _QuietWatchdog(Watchdog):
    """Breaks off what never ends, and leaves it to the result to say so."""

    def _report(self, label: str, used: float) -> None:
        self.blocked += 1


@contextmanager
def watching() -> Generator[Watchdog]:
    """Watch this thread for steps that never end, and for I/O in workflow code, as a worker does."""
    guard.install()
    watchdog = _QuietWatchdog()
    watchdog.start()
    try:
        yield watchdog
    finally:
        watchdog.stop()


def replay_history(
    workflow: Workflow[..., Any], history: Sequence[RecordedEvent], codec: Codec, watchdog: Watchdog
) -> Replayed:
    """Replay `history` with `workflow`, whatever name it has there. Raises `HistoryError` if it is no history."""
    return _Replay(workflow, history, codec).replayed(watchdog)


class _Replay:
    """See `replay_history`. `_counted` are the events that count, `_seqs` their numbers."""

    def __init__(self, workflow: Workflow[..., Any], history: Sequence[RecordedEvent], codec: Codec) -> None:
        self._history = history
        self._counted = effective(list(history))
        self._events: list[Event] = [recorded.event for recorded in self._counted]
        self._seqs = {id(recorded.event): recorded.seq for recorded in self._counted}
        self._inbound = [index for index, event in enumerate(self._events) if event.role == "inbound"]
        self._steps = 0
        self._asked: list[Asked] = []
        self._drift: list[Drift] = []
        self._started = next(event for event in self._events if isinstance(event, RunStarted))
        self._run = Run(workflow, codec, self._started)
        self._run.matcher.observe = self._observe

    def replayed(self, watchdog: Watchdog) -> Replayed:
        def watched(step: Callable[[], None]) -> None:
            self._steps += 1
            watchdog.run(f"{self._started.workflow} ({self._started.run_id})", step)

        divergence: Divergence | None = None
        try:
            follow(self._run, self._events, watched)
            self._note_outcome()
        except HistoryError:
            raise
        except Exception as error:  # whatever it is, the run would be stuck by it
            divergence = self._divergence(error)
        finally:
            self._run.dispose()
        last = self._history[-1].event
        result = ReplayResult(
            workflow=self._started.workflow,
            workflow_id=self._started.workflow_id,
            run_id=self._started.run_id,
            status=last.status if isinstance(last, Close) else "running",
            events=len(self._history),
            divergence=divergence,
            drift=tuple(self._drift),
        )
        return Replayed(result, self._asked)

    # --- what the code asks for

    def _observe(self, event: Event, asked: Callable[[], object]) -> None:
        recorded = _values(event)
        with guard.allowed():
            try:
                now = _shown(asked())
            except Exception as error:
                now = f"what cannot be recorded: {error}"
            seq, what, where = self._seqs[id(event)], describe(event), source_line()
            self._asked.append(Asked(seq, what, now, where))
            if recorded != now:
                self._drift.append(Drift(seq=seq, what=what, history=_short(recorded), code=_short(now), where=where))

    def _note_outcome(self) -> None:
        """The result counts among what the code asked for: it may depend on an order as well."""
        close = self._events[-1]
        if not self._run.finished or not isinstance(close, Close):
            return
        outcome, seq, where = self._run.outcome(), self._counted[-1].seq, self._run.where()
        now = _shown(from_raw(outcome.result)) if isinstance(outcome, RunCompleted) else ""
        self._asked.append(Asked(seq, f"the end: {tag_of(outcome)}", now, where))
        if isinstance(close, RunCompleted) and now != (recorded := _shown(from_raw(close.result))):
            self._drift.append(
                Drift(seq=seq, what="the result", history=_short(recorded), code=_short(now), where=where)
            )

    # --- where code and history part

    def _divergence(self, error: Exception) -> Divergence:
        ended = self._ended_by()
        broken = nondeterminism_in(ended) if ended is not None else None
        if broken is not None and broken is not error:  # the code went wrong by itself, and so asked for nothing more
            error = broken
        if not isinstance(error, NonDeterminismError):
            return Divergence(
                kind=_kind(error), seq=self._seq_of_step(), where=_place(error) or self._run.where(),
                cause=_CAUSES.get(_kind(error), ""), error=f"{type(error).__name__}: {error}",
            )  # fmt: skip
        if not error.code:
            return Divergence(
                kind="impure", seq=self._seq_of_step(), code=str(error).partition("\n")[0], where=_place(error),
                cause="workflow code may not do this; `durable lint` finds such calls", error=str(error),
            )  # fmt: skip
        position = self._position(error)
        code, where = error.code, error.where
        if ended is not None and error.code.startswith("nothing more"):
            code += f": it has failed with {type(ended).__name__}: {ended}"
            where = _place(ended) or where
        return Divergence(
            kind="changed",
            seq=self._seq_at(position),
            history=self._history_says(error, position),
            code=code,
            where=where,
            cause=self._cause(error, position, ended),
            error=str(error),
        )

    def _ended_by(self) -> BaseException | None:
        """Return what the workflow's code raised in this replay, if it did."""
        main = self._run._main
        if self._run._handler_error is not None:
            return self._run._handler_error
        if main is None or not main.done() or main.cancelled():
            return None
        error = main.exception()
        return None if isinstance(error, StepAbortedError) else error

    def _position(self, error: NonDeterminismError) -> int:
        """Return the index of the first event that the code does not follow."""
        for index, event in enumerate(self._events):
            if event is error.event:
                return index
        if self._steps == len(self._inbound) and self._run.matcher.replaying is False and self._run.finished:
            return len(self._events)  # the code has ended, and the history has not
        return self._inbound[self._steps - 1] + 1 + self._run.matcher.matched if self._steps else 0

    def _seq_at(self, position: int) -> int:
        return self._counted[position].seq if position < len(self._counted) else len(self._history) + 1

    def _seq_of_step(self) -> int:
        return self._counted[self._inbound[self._steps - 1]].seq if self._steps else 1

    def _history_says(self, error: NonDeterminismError, position: int) -> str:
        if error.event is not None or position >= len(self._events):
            return error.history if error.event is not None else "nothing more: the run goes on from here"
        return f"{error.history}; next comes {describe(self._events[position])}"

    def _cause(self, error: NonDeterminismError, position: int, ended: BaseException | None) -> str:
        asked = _bare(error.code)
        later = (
            recorded
            for recorded in self._counted[position + 1 :]
            if isinstance(recorded.event, CommandEvent) and _bare(recorded.event.summary()) == asked
        )
        if (found := next(later, None)) is not None:
            return (
                f"what the history has here was removed, or moved behind it: the history has this one at event {found.seq}; "
                f"{_ADVICE}"
            )
        if error.code.startswith("nothing more"):
            if ended is not None:
                return "the code raises where it did not before; run it against the recorded results, and mend it"
            return f"what the history has here was removed, or moved behind a later await; {_ADVICE}"
        if error.code in ("the end of the workflow", "more work") or isinstance(error.event, Close):
            return f"the code ends earlier or later than it did, or otherwise; {_ADVICE}"
        if error.event is not None and error.event in self._events and not isinstance(error.event, CommandEvent):
            return f"the code does not wait for this any more; {_ADVICE}"
        return (
            "this was added or changed, or the order depends on something outside the history, like that of a set "
            f"(try `hash_seeds`); {_ADVICE}"
        )


_CAUSES: dict[DivergenceKind, str] = {
    "decode": "a declared type was changed; make it accept what was recorded, for instance by a default",
    "blocked": "the code computes for too long without an await; move the work into an activity",
}


def _kind(error: Exception) -> DivergenceKind:
    return "decode" if isinstance(error, DecodeError) else "blocked" if isinstance(error, BlockedStepError) else "error"


def _values(event: Event) -> str:
    """Return the values that a recorded command was asked for with, as text."""
    if isinstance(event, ActivityScheduled | LocalActivityScheduled | ChildStartRequested):
        return _shown(from_raw(event.args))
    return _shown(event.due_ms - event.at if isinstance(event, TimerStarted) else event)


def _shown(value: object) -> str:
    match value:
        case Payload(data=data, encoding="json"):
            return data.decode(errors="replace")
        case Payload():
            return f"({len(value.data)} bytes of {value.encoding})"  # pickles of one set differ by process
        case AttributesUpserted():
            return _shown(value.values)
        case dict():
            return ", ".join(f"{name}={item!r}" for name, item in sorted(value.items()))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case int():
            return f"of {value / 1000:g} s"
        case ExternalSignalRequested():
            return _shown(from_raw(value.value))
        case UpdateCompleted():
            if value.failure is not None or value.result is msgspec.UNSET:
                return f"raises {Failure.from_wire(value.failure).short_type}"
            return _shown(from_raw(value.result))
        case _:
            return getattr(value, "reason", "")


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _bare(text: str) -> str:
    """Return a command's text without its number and queue: the same call at another place has others."""
    return re.sub(r" on queue '.*?'(?= \(|$)|\(?#\d+\)?", "", text).strip()


def _place(error: BaseException) -> str:
    """Return the innermost line of the user's code in the traceback, as "file:line in function"."""
    found = ""
    seen: BaseException | None = error
    while seen is not None and not found:
        traceback = seen.__traceback__
        while traceback is not None:
            frame: FrameType = traceback.tb_frame
            if is_users(frame):
                found = f"{frame.f_code.co_filename}:{traceback.tb_lineno} in {frame.f_code.co_qualname}"
            traceback = traceback.tb_next
        seen = seen.__cause__ or seen.__context__
    return found
