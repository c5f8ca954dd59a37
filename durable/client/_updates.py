"""Updates from outside: sent, accepted or rejected, and waited for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from .. import _limits
from .._duration import Duration, seconds
from .._log import Acceptance, QueryReply, SendUpdate, read_acceptance, update_reply_id
from ..author import Update
from ..codec import Failure, Payload, exception_of
from ..errors import (
    HistoryError,
    InvalidCallError,
    RequestFailedError,
    RequestTimeoutError,
    RunClosedError,
    UpdateRejectedError,
)
from ..history import (
    WIRE,
    Close,
    RunCompleted,
    RunContinuedAsNew,
    RunReopened,
    RunStarted,
    UpdateAccepted,
    UpdateCompleted,
    from_raw,
    to_raw,
)
from ..interceptors import UpdateInput
from ..stores import Document, document_topic, reply_topic
from ._asking import handlers_of, is_one_running
from ._line import Line
from ._outcome import Expected, outcome_error
from ._patience import wait_for

if TYPE_CHECKING:
    from ._handle import Handle

R_co = TypeVar("R_co", covariant=True)

Wait = Literal["accepted", "completed"]
ANSWER_S = 10.0


class UpdateHandle(Generic[R_co]):
    """An update that a run was sent, from outside. Made by `Handle.start_update` and `Handle.update_handle`."""

    def __init__(
        self, run: Handle[Any], line: Line, expected: Expected, update: Update[Any, R_co], update_id: str, since: Acceptance | None
    ) -> None:  # fmt: skip
        self._run, self._line, self._expected, self._update, self._id = run, line, expected, update, update_id
        self._since = since

    @property
    def id(self) -> str:
        """The update's id: whoever knows it and the run finds the update again."""
        return self._id

    @property
    def run(self) -> Handle[Any]:
        """The run that the update is for."""
        return self._run

    def __repr__(self) -> str:
        return f"<update {self._update.name!r} ({self._id}) of {self._line.workflow_id!r}>"

    async def result(self, *, timeout: Duration | None = None) -> R_co:
        """Wait until the update is completed, and return its result; also after the run has closed, and from anywhere.

        Raises what the handler raised: a declared error of the update as itself, anything else as the `__cause__` of a
        `RequestFailedError`. Raises `RequestFailedError` as well if the run closed before (its `__cause__` says how), and
        `RequestTimeoutError` after `timeout`: the update goes on then.
        """
        timeout_s = None if timeout is None else seconds(timeout, what="timeout")
        which = f"update {self._update.name!r} ({self._id})"
        since = self._since
        run_id = since.run_id if since is not None else self._run.run_id
        clock = self._line.clock
        ends_s = None if timeout_s is None else clock.monotonic() + timeout_s
        document = await self._line.document(run_id)
        while True:
            trail = Trail(self._line, document.id, self._id, since.seq if since is not None else 0)
            topics = [reply_topic(update_reply_id(document.id, self._id)), document_topic(document.id)]
            left_s = None if ends_s is None else max(0.0, ends_s - clock.monotonic())
            found = await wait_for(self._line.store, topics, trail.end, left_s)
            if isinstance(found, Elsewhere):
                document = await self._line.document(found.run_id)
            elif isinstance(found, RunContinuedAsNew) and since is None and not trail.accepted:
                document = await self._line.document(found.new_run_id)
            else:
                break
        if isinstance(found, UpdateCompleted):
            return self._result(found)
        if isinstance(found, Close):
            raise self._unfinished(document, trail, found)
        state = "was not completed" if trail.accepted or since is not None else "was not even accepted"
        raise RequestTimeoutError(f"{which} of {document.name!r} {state} within {timeout_s:g} s; it goes on")

    def _result(self, completed: UpdateCompleted) -> R_co:
        if completed.failure is not None or completed.result is msgspec.UNSET:
            what = f"update {self._update.name!r} of {self._line.workflow_id!r} failed"
            raise _raised(self._line, self._expected, self._update, completed.failure, RequestFailedError, what)
        return self._update.decode_result(self._line.codec, from_raw(completed.result))

    def _unfinished(self, document: Document, trail: Trail, close: Close) -> RequestFailedError:
        done = "completed" if trail.accepted or self._since is not None else "ever accepted"
        error = RequestFailedError(
            f"the run {document.id!r} of {document.name!r} ended as {close.status} before the update "
            f"{self._update.name!r} ({self._id}) was {done}"
        )
        if not isinstance(close, RunCompleted):
            error.__cause__ = outcome_error(self._line.codec, document, self._expected, close)
        return error


class Elsewhere(NamedTuple):
    """The update was accepted by an earlier run of the chain."""

    run_id: str


class Trail:
    """What the history of a run says of one update, read on from where it was left."""

    def __init__(self, line: Line, run_id: str, update_id: str, after: int) -> None:
        self._line, self._run_id, self._id, self._seq = line, run_id, update_id, after
        self.accepted = False
        self.accepted_by = run_id  # or an earlier run of its chain
        self._completed: tuple[int, UpdateCompleted] | None = None

    async def end(self) -> UpdateCompleted | Close | Elsewhere | None:
        """Return the end of the update, or where it is to be found, else the end of its run, else None."""
        document = await self._line.document(self._run_id)  # first: a closed run's history grows no more
        await self._read_on()
        if self.accepted_by != self._run_id:
            return Elsewhere(self.accepted_by)
        if self._completed is not None:
            return self._completed[1]
        if document.open:
            return None
        last = await self._line.store.read_last(self._line.partition, self._run_id)
        event = None if last is None else WIRE.decode(last[1])
        return event if isinstance(event, Close) else None  # None: reopened between the two reads

    async def was_accepted(self) -> bool:
        """Return whether the history has the update."""
        await self._read_on()
        return self.accepted

    async def _read_on(self) -> None:
        line, limit = self._line, _limits.HISTORY_PAGE_EVENTS
        while True:
            page = await line.store.read(line.partition, self._run_id, after=self._seq, limit=limit)
            for record in page:
                self._seq += 1
                if b'"Update' in record or b'"RunReopened' in record or b'"RunStarted' in record:
                    self._take(record)
            if len(page) < limit:
                return

    def _take(self, record: bytes) -> None:
        try:
            event = WIRE.decode(record)
        except HistoryError:  # it is not this question that finds the damage
            return
        if isinstance(event, UpdateAccepted):
            self.accepted = self.accepted or event.update == self._id
        elif isinstance(event, RunStarted) and self._id in event.updates:
            self.accepted, self.accepted_by = True, event.updates[self._id]
        elif isinstance(event, UpdateCompleted) and event.update == self._id:
            self._completed = self._seq, event
        elif isinstance(event, RunReopened) and self._completed is not None and self._completed[0] >= event.voids_from:
            self._completed = None


class Sending:
    """An update that is about to be sent: its value is checked. See `Handle.start_update` for what is raised."""

    def __init__(self, line: Line, expected: Expected, update: Update[Any, Any] | str, value: tuple[Any, ...]) -> None:
        self._line, self._expected = line, expected
        self.update = update_of(update)
        if len(value) > 1:
            raise InvalidCallError(f"{self.update!r} takes one value, got {len(value)}: send a tuple or a dataclass")
        self._value = value[0] if value else None
        self._payload: Payload = self.update.encode(line.codec, self._value)

    async def accepted(self, run_id: str | None, update_id: str, timeout_s: float) -> Acceptance:
        """Send the update and wait until it is accepted. A repeat, by its id, is answered as the first one was."""
        around, line = self._line.around.update, self._line
        send = partial(self._accepted, run_id, update_id, timeout_s)
        if around is None:
            return await send(self._value, None)
        acceptance: Acceptance = await around(
            UpdateInput(
                workflow_id=line.workflow_id, run_id=run_id, update=self.update.name, update_id=update_id,
                value=self._value, _call=send,
            )
        )  # fmt: skip
        return acceptance

    async def _accepted(
        self, run_id: str | None, update_id: str, timeout_s: float, value: Any, headers: dict[str, str] | None
    ) -> Acceptance:
        line = self._line
        while True:
            document, reply = await self._sent(run_id, update_id, timeout_s, value, headers)
            if reply is not None:
                try:
                    return self._acceptance(reply)
                except RunClosedError:
                    current = await line.follow(await line.document(document.id))
                    if current.id == document.id or not current.open:
                        raise
                    run_id = current.id  # it continued as new before it came to the update
                    continue
            trail = Trail(line, document.id, update_id, 0)
            if await line.insist(trail.was_accepted):
                return Acceptance(run_id=trail.accepted_by)  # there was one before, or the answer was lost
            raise await self._not_answered(document, timeout_s)

    async def _sent(
        self, run_id: str | None, update_id: str, timeout_s: float, value: Any, headers: dict[str, str] | None
    ) -> tuple[Document, QueryReply | None]:
        """Send the update to the current run of the chain; return that run and its answer, None if there is none.

        Raises `RunClosedError` if it is closed, unless it has the update.
        """
        line, update = self._line, self.update
        reply_id = line.clock.new_id()
        payload = self._payload if value is self._value else update.encode(line.codec, value)
        message = SendUpdate(
            run_id=run_id, name=update.name, value=to_raw(payload), update=update_id, reply=reply_id, headers=headers
        )
        try:
            document = await line.send(message, f"update/{update_id}/{reply_id}", run_id=run_id)
        except RunClosedError:
            document = await line.follow(await line.document(run_id))
            if await line.insist(Trail(line, document.id, update_id, 0).was_accepted):
                return document, None
            raise
        return document, await line.reply(reply_id, timeout_s)

    def _acceptance(self, reply: QueryReply) -> Acceptance:
        if reply.failure is None:
            return read_acceptance(reply)
        what = f"update {self.update.name!r} of {self._line.workflow_id!r} was not accepted"
        raise _raised(self._line, self._expected, self.update, reply.failure, UpdateRejectedError, what)

    async def _not_answered(self, document: Document, timeout_s: float) -> RequestTimeoutError:
        line, name = self._line, self.update.name
        now = await line.document(document.id)
        if now.note:
            why = f"the run is stuck: {now.note}"
        elif (known := await handlers_of(line, document)) is None:
            why = f"no worker answers; {is_one_running(document)}"
        elif name in known.updates or "*" in known.updates:
            why = "its worker answers, but has not come to it"
        else:
            why = f"the workflow has no handler for it yet; it has: {', '.join(known.updates) or 'none'}"
        return RequestTimeoutError(
            f"update {name!r} of {document.name!r} was not accepted within {timeout_s:g} s, and may still be: {why}"
        )


def _raised(
    line: Line, expected: Expected, update: Update[Any, Any], wire: Any, kind: type[RequestFailedError], what: str
) -> BaseException:
    """Return the error for a failed update: a declared error itself, else one of type `kind` that has it as its cause."""
    failure = Failure.from_wire(wire)
    cause = exception_of(failure, (*update.raises, *expected.raises), line.codec)
    if isinstance(cause, RunClosedError) or (update.raises and isinstance(cause, update.raises)):
        return cause
    error = kind(f"{what}: {failure.short_type}: {failure.message}")
    error.__cause__ = cause
    return error


def update_of(update: Update[Any, Any] | str) -> Update[Any, Any]:
    """Return `update`, or the one of that name with any types. Raises `InvalidCallError` for anything else."""
    if isinstance(update, Update):
        return update
    if isinstance(update, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        return Update(update, Any, Any)
    raise InvalidCallError(f"expected an Update or its name, got {update!r}")


def checked_wait(wait: str) -> bool:
    """Return whether to wait for the completion. Raises `ValueError` for an unknown choice."""
    if wait not in ("accepted", "completed"):
        raise ValueError(f"wait: expected 'accepted' or 'completed', got {wait!r}")
    return wait == "completed"
