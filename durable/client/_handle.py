"""`Handle`: a run from outside."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar, overload

import msgspec

from .. import _limits
from .._duration import Duration, seconds
from .._ids import checked_name, checked_workflow_id
from .._log import AskQuery, Message, RequestCancel, RetryRun, SendSignal, Terminate, read_run
from ..author import Query, Signal, Update
from ..errors import InternalError, InvalidCallError, RequestFailedError, RunAlreadyOpenError, RunNotFoundError
from ..history import RecordedEvent, from_raw, to_raw
from ..interceptors import CancelInput, QueryInput, SignalInput, TerminateInput
from ..stores import Document
from ._asking import ask
from ._description import RunDescription, described
from ._forking import fork
from ._line import Line
from ._offers import absent_workers
from ._outcome import Expected, wait_for_outcome, wait_until_closed
from ._sending import checked_value, encoded_signal, query_of, signal_of
from ._updates import ANSWER_S, Sending, UpdateHandle, Wait, checked_wait, update_of

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")


class Handle(Generic[R_co]):
    """A run of a workflow. Made by `Client.start` and `Client.handle`; two handles of one run are alike.

    `run_id` is None until it is known: a handle by workflow id alone means the open run for messages, and becomes one of
    the latest run as soon as that is looked at. If the run continues as new, the handle follows: what is sent, asked or waited for
    is for the current run of the chain, while `run_id`, `describe` and
    `history` stay with the one run. That holds after the one run was removed as too old, if it was the first of its chain or
    the one before the latest. Every method raises `RunNotFoundError` if there is no such run (any more), and
    `StoreUnavailableError` if the store stays out of reach; what is sent is durable on return.
    """

    def __init__(self, line: Line, run_id: str | None, expected: Expected) -> None:
        self._line, self._run_id, self._expected = line, run_id, expected
        self._current: str | None = None  # where the chain was last seen to have come to

    @property
    def workflow_id(self) -> str:
        """The id that whoever started the run chose."""
        return self._line.workflow_id

    @property
    def run_id(self) -> str | None:
        """The id of this one run, or None while it is not known."""
        return self._run_id

    def __repr__(self) -> str:
        return f"<run {self._run_id or '(latest)'} of {self.workflow_id!r}>"

    async def result(self, *, timeout: Duration | None = None) -> R_co:
        """Wait until the run is closed, and the runs that continue it, and return what the last one's workflow returned.

        Raises `RunFailedError` (its `__cause__` is what the workflow raised), `RunCancelledError`, `RunTerminatedError` or
        `RunTimedOutError` if it ended otherwise, and `TimeoutError` after `timeout`: the run goes on then. A cause is of its
        own class if that is built in or declared by the workflow, else a `RemoteError`. Raises `DecodeError` for a result
        that is not of the expected type.
        """
        timeout_s = None if timeout is None else seconds(timeout, what="timeout")
        document = await self._chain_document()
        value: R_co = await wait_for_outcome(self._line, document, self._expected, timeout_s)
        return value

    @overload
    async def signal(self, signal: Signal[T], value: T, /, *, request_id: str | None = None) -> None: ...
    @overload
    async def signal(self, signal: Signal[None], /, *, request_id: str | None = None) -> None: ...
    @overload
    async def signal(self, signal: str, /, *value: Any, request_id: str | None = None) -> None: ...
    async def signal(self, signal: Signal[Any] | str, /, *value: Any, request_id: str | None = None) -> None:
        """Send a signal with its value to the run. On return it is durable, and the run will see it before it closes.

        `request_id` makes a repeat of this call harmless: a second signal of the same request is dropped. Raises
        `RunClosedError`, `EncodeError` for a value that does not fit the signal, `InvalidCallError` for more than one.
        """
        given = checked_value(signal, value)
        around, send = self._line.around.signal, partial(self._send_signal, signal, self._request(request_id))
        if around is None:
            await send(given, None)
            return
        await around(
            SignalInput(
                workflow_id=self.workflow_id,
                run_id=self._run_id,
                signal=signal_of(signal).name,
                value=given,
                _call=send,
            )
        )

    async def _send_signal(
        self, signal: Signal[Any] | str, request: str, value: Any, headers: dict[str, str] | None
    ) -> None:
        name, raw = encoded_signal(self._line.codec, signal, value)
        await self._send(SendSignal(name=name, value=raw, request=request, headers=headers), f"signal/{request}")

    @overload
    async def query(self, query: Query[T], /, *args: Any, timeout: Duration = ANSWER_S) -> T: ...
    @overload
    async def query(self, query: str, /, *args: Any, timeout: Duration = ANSWER_S) -> Any: ...
    async def query(self, query: Query[Any] | str, /, *args: Any, timeout: Duration = ANSWER_S) -> Any:
        """Ask the run's code, open or closed, and return its answer. Leaves no trace in the history.

        Raises `EncodeError` or `InvalidCallError` for arguments that are not as the query declares them (nothing was sent),
        `RequestFailedError` if the workflow has no such handler or that raises (then it is the `__cause__`), and
        `RequestTimeoutError` if no worker answers in time.
        """
        around, known = self._line.around.query, query_of(query)
        ask = partial(self._ask_query, known, timeout)
        if around is None:
            return await ask(args, None)
        return await around(
            QueryInput(workflow_id=self.workflow_id, run_id=self._run_id, query=known.name, args=args, _call=ask)
        )

    async def _ask_query(
        self, known: Query[Any], timeout: Duration, args: tuple[Any, ...], headers: dict[str, str] | None
    ) -> Any:
        what = f"query {known.name!r}"
        payload = known.encode_call(self._line.codec, args)
        reply_id = self._line.clock.new_id()
        document = await self._current_document()
        message = AskQuery(run_id=document.id, name=known.name, args=to_raw(payload), reply=reply_id, headers=headers)
        timeout_s, raises = seconds(timeout, what="timeout"), self._expected.raises
        answer = await ask(self._line, f"{what} of {self.workflow_id!r}", message, document, timeout_s, raises)
        if answer.result is msgspec.UNSET:
            raise InternalError(f"the answer of {what} holds nothing")
        return self._line.codec.decode(from_raw(answer.result), known.type, what=f"the answer of {what}")

    @overload
    async def update(
        self, update: Update[None, U], /, *, update_id: str | None = None, timeout: Duration | None = None
    ) -> U: ...
    @overload
    async def update(
        self, update: Update[T, U], value: T, /, *, update_id: str | None = None, timeout: Duration | None = None
    ) -> U: ...
    @overload
    async def update(
        self, update: str, /, *value: Any, update_id: str | None = None, timeout: Duration | None = None
    ) -> Any: ...
    async def update(
        self,
        update: Update[Any, Any] | str,
        /,
        *value: Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Send an update with its value to the run, wait until its handler is done, and return the handler's result.

        `timeout` limits the whole wait (default: 10 seconds until it is accepted, then none). Raises as `start_update` and
        `UpdateHandle.result` do.
        """
        began = self._line.clock.monotonic()
        limit_s = None if timeout is None else seconds(timeout, what="timeout")
        started: UpdateHandle[Any] = await self._start_update(update, value, update_id, limit_s)
        left_s = None if limit_s is None else max(0.0, began + limit_s - self._line.clock.monotonic())
        return await started.result(timeout=left_s)

    @overload
    async def start_update(
        self,
        update: Update[None, U],
        /,
        *,
        wait: Wait = "accepted",
        update_id: str | None = None,
        timeout: Duration = ANSWER_S,
    ) -> UpdateHandle[U]: ...
    @overload
    async def start_update(
        self,
        update: Update[T, U],
        value: T,
        /,
        *,
        wait: Wait = "accepted",
        update_id: str | None = None,
        timeout: Duration = ANSWER_S,
    ) -> UpdateHandle[U]: ...
    @overload
    async def start_update(
        self, update: str, /, *value: Any,
        wait: Wait = "accepted", update_id: str | None = None, timeout: Duration = ANSWER_S,
    ) -> UpdateHandle[Any]: ...  # fmt: skip
    async def start_update(
        self,
        update: Update[Any, Any] | str,
        /,
        *value: Any,
        wait: Wait = "accepted",
        update_id: str | None = None,
        timeout: Duration = ANSWER_S,
    ) -> UpdateHandle[Any]:
        """Send an update with its value to the run; return once it is accepted, or with `wait="completed"` once it is done.

        An accepted update is in the run's history and will be carried out, whatever crashes. `update_id` makes a repeat of
        this call harmless: the second one finds the update of the first. One whose handler is not there yet waits for it.

        Raises `EncodeError` for a value that does not fit (nothing was sent), `UpdateRejectedError` if the run did not accept
        it, a declared error of the update as itself, and `RunClosedError`. Raises `RequestTimeoutError`, saying what it waited
        for, if it is not accepted within `timeout`: then it may still be, later; a repeat with the same `update_id` is safe.
        """
        waits = checked_wait(wait)
        started = await self._start_update(update, value, update_id, seconds(timeout, what="timeout"))
        if waits:
            await started.result()
        return started

    @overload
    def update_handle(self, update_id: str, update: Update[Any, U]) -> UpdateHandle[U]: ...
    @overload
    def update_handle(self, update_id: str, update: str = "update") -> UpdateHandle[Any]: ...
    def update_handle(self, update_id: str, update: Update[Any, Any] | str = "update") -> UpdateHandle[Any]:
        """Return the handle of an update that was sent to this run some time before; nothing is looked up yet.

        `update` says what its result is; without it, or by its name, the result is JSON data. Raises `InvalidIdError`.
        """
        checked = checked_name(update_id, "update id")
        return UpdateHandle(self, self._line, self._expected, update_of(update), checked, None)

    async def _start_update(
        self, update: Update[Any, Any] | str, value: tuple[Any, ...], update_id: str | None, timeout_s: float | None
    ) -> UpdateHandle[Any]:
        sending = Sending(self._line, self._expected, update, value)
        given = self._line.clock.new_id() if update_id is None else checked_name(update_id, "update id")
        since = await sending.accepted(
            self._current or self._run_id, given, ANSWER_S if timeout_s is None else timeout_s
        )
        run = Handle[Any](self._line, since.run_id, self._expected)
        return UpdateHandle(run, self._line, self._expected, sending.update, given, since)

    async def cancel(
        self,
        reason: str = "",
        *,
        wait: bool = False,
        timeout: Duration | None = None,
        request_id: str | None = None,
    ) -> None:
        """Ask the run to stop: `asyncio.CancelledError` is raised at its await, and it may clean up first. Raises `RunClosedError`.

        With `wait`, return once the run is closed, however it ended: `describe` says, or `result`. Raises `TimeoutError` if
        that takes longer than `timeout`; the request stands, and the run goes on ending. A second request changes nothing:
        it does not interrupt the cleanup of the first.
        """
        if timeout is not None and not wait:
            raise InvalidCallError("cancel: timeout says how long to wait for the end: pass wait=True with it")
        timeout_s = None if timeout is None else seconds(timeout, what="timeout")
        document = await self._chain_document() if wait else None
        around, send = self._line.around.cancel, partial(self._send_cancel, self._request(request_id))
        if around is None:
            await send(reason)
        else:
            await around(CancelInput(workflow_id=self.workflow_id, run_id=self._run_id, reason=reason, _call=send))
        if document is not None:
            await wait_until_closed(self._line, document, timeout_s)

    async def _send_cancel(self, request: str, reason: str) -> None:
        await self._send(RequestCancel(request=request, reason=reason), f"cancel/{request}")

    async def terminate(self, reason: str = "", *, request_id: str | None = None) -> None:
        """End the run; its code is not asked, nothing is cleaned up. Raises `RunClosedError`."""
        around, send = self._line.around.terminate, partial(self._send_terminate, self._request(request_id))
        if around is None:
            await send(reason)
        else:
            await around(TerminateInput(workflow_id=self.workflow_id, run_id=self._run_id, reason=reason, _call=send))

    async def _send_terminate(self, request: str, reason: str) -> None:
        await self._send(Terminate(request=request, reason=reason), f"terminate/{request}")

    async def retry(self, *, timeout: Duration = ANSWER_S, request_id: str | None = None) -> None:
        """Reopen the failed run at its point of failure, with the code as it is now. Returns once it is open again.

        Raises `RequestFailedError` if the run did not fail or cannot be reopened, and `RequestTimeoutError` if no worker
        answers in time: then it may still be reopened later.
        """
        request, reply_id = self._request(request_id), self._line.clock.new_id()
        document = await self._current_document()
        if document.state != "failed":  # no worker need be asked
            raise RequestFailedError(f"only a failed run can be retried: run {document.id} is {document.state}")
        message = RetryRun(run_id=document.id, request=request, reply=reply_id)
        timeout_s, raises = seconds(timeout, what="timeout"), self._expected.raises
        what = f"the request to retry {self.workflow_id!r}"
        await ask(self._line, what, message, document, timeout_s, raises)

    async def fork(
        self,
        *,
        at: int | None = None,
        id: str | None = None,  # noqa: A002 - the name that users write
        request_id: str | None = None,
    ) -> Handle[R_co]:
        """Start a new run that begins with this one's history up to event `at`, and goes on from there with the code as it is now.

        `at` is the number of an event that ends a step: `durable show` has them, and the error for another one says which are
        near. By default it is the end of the last step or, if the code has ended itself, of the last one before it did. `id`
        is the new run's workflow id (default: a new one). The source may be open or closed, and is not touched.

        What is recorded up to `at` is not done again. Activities that are pending there are begun anew in the new run, with
        idempotency keys of its own; timers fire when they were due, those overdue at once; a run timeout counts from the
        fork. `now()`, `random()` and `uuid4()` give what they gave up to `at`, and other numbers from there on. Code that
        decides by its own workflow or run id does not follow: then the run is stuck, and says so, until the code is put right.

        Returns once the new run is durable; its worker builds it. A repeat with the same `request_id` and `id` finds the
        first one's. Raises `InvalidCallError` for an event that cannot be forked at, `RunAlreadyOpenError` if a run of `id`
        is open, and `HistoryError` for a history that cannot be read.
        """
        document, request = await self._document(), self._request(request_id)
        try:
            line, created = await fork(self._line, document.id, await self.history(), at, id, request)
        except RunAlreadyOpenError as error:
            line = Line(self._line.store, self._line.codec, checked_workflow_id(id or ""), self._line.around)
            error.handle = Handle(line, None, self._expected)
            raise
        return Handle(line, created.id, self._expected)

    async def describe(self) -> RunDescription:
        """Return what is known of the run: its status, whether it is stuck and why, its times.

        An open run that is pinned to a version which no live worker serves is said to be stuck by that.
        """
        record = read_run(await self._document())
        found = described(record, self._line.codec)
        if record.pinned and found.status == "running" and found.stuck is None:
            absent = await absent_workers(
                self._line.store, record.queue, record.workflow, (), pinned=record.body.version
            )
            if absent:
                return replace(found, stuck=f"{absent[0]}: start one that has it, and the run goes on")
        return found

    async def history(self) -> list[RecordedEvent]:
        """Return all events of the run so far, in order. Raises `HistoryError` naming the first one that cannot be read."""
        run_id = (await self._document()).id
        events: list[RecordedEvent] = []
        while True:
            page = await self._page(run_id, len(events))
            events += [RecordedEvent.read(seq, record) for seq, record in enumerate(page, len(events) + 1)]
            if len(page) < _limits.HISTORY_PAGE_EVENTS:
                return events

    async def _page(self, run_id: str, after: int) -> list[bytes]:
        line, limit = self._line, _limits.HISTORY_PAGE_EVENTS
        return await line.insist(lambda: line.store.read(line.partition, run_id, after=after, limit=limit))

    async def _document(self) -> Document:
        """Return the run's document; from now on this handle is one of that run."""
        document = await self._line.document(self._run_id)
        self._run_id = document.id
        return document

    async def _chain_document(self) -> Document:
        """Return the run's document or, if it is gone, that of the latest run of its chain."""
        try:
            return await self._document()
        except RunNotFoundError:
            latest = None if self._run_id is None else await self._line.latest_of_chain(self._run_id)
            if latest is None:
                raise
            return latest

    async def _current_document(self) -> Document:
        """Return the document of the run that this one has gone on as: itself, unless it continued as new."""
        document = await self._chain_document()
        if self._current not in (None, document.id):
            with suppress(RunNotFoundError):
                document = await self._line.document(self._current)
        document = await self._line.follow(document)
        self._current = document.id
        return document

    async def _send(self, message: Message, entry_id: str) -> None:
        taken_by = await self._line.send(message, entry_id, run_id=self._current or self._run_id)
        if self._run_id is not None:
            self._current = taken_by.id

    def _request(self, given: str | None) -> str:
        return self._line.clock.new_id() if given is None else checked_name(given, "request id")
