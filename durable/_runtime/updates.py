"""A run's updates: checked before they are accepted, handed to handlers, and answered by what these return or raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..codec import Payload, failure_of
from ..errors import DecodeError, InvalidCallError, NonDeterminismError
from ..history import UpdateAccepted, UpdateCompleted, to_raw
from .handlers import Handler
from .matcher import nondeterminism_in

if TYPE_CHECKING:
    import msgspec

    from .run import Run


@dataclass(slots=True, eq=False)
class UpdateHandler(Handler):
    """A handler of updates. `read` decodes a value and raises if it cannot; `encode` makes a result a payload.

    `raises` are the errors that the update declares. `by_name`: it takes the update's name as well.
    """

    read: Callable[[msgspec.Raw], Any] = lambda _raw: None
    encode: Callable[[Any], Payload] = lambda _result: Payload(b"null")
    raises: tuple[type[BaseException], ...] = ()
    by_name: bool = False


class UpdateBox:
    """All updates of one run."""

    __slots__ = ("_dynamic", "_handlers", "_run", "_taken", "_validators")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._handlers: dict[str, UpdateHandler] = {}
        self._dynamic: UpdateHandler | None = None
        self._validators: dict[str, Callable[[Any], Any]] = {}
        self._taken: dict[str, str] = {}  # by id: the run that accepted it

    def taken_by(self, update: str) -> str | None:
        """Return the id of the run that accepted the update of this id: this one, or an earlier one of its chain."""
        return self._taken.get(update)

    @property
    def taken(self) -> dict[str, str]:
        """The ids of all updates that were accepted, oldest first, each with the id of the run that accepted it."""
        return dict(self._taken)

    def preload(self, taken: Mapping[str, str]) -> None:
        """Take over what earlier runs of the chain accepted: a repeat of these is dropped here too. See `taken`."""
        self._taken = {**taken, **self._taken}

    @property
    def names(self) -> list[str]:
        """The names of the updates that have a handler, sorted."""
        return sorted(self._handlers)

    @property
    def has_dynamic(self) -> bool:
        """Whether there is a handler for unknown names."""
        return self._dynamic is not None

    def handles(self, name: str) -> bool:
        """Whether there is a handler for `name`."""
        return self._handler(name) is not None

    def raises_of(self, name: str) -> tuple[type[BaseException], ...]:
        """Return the errors that the handler of `name` declares."""
        handler = self._handler(name)
        return () if handler is None else handler.raises

    def register(self, name: str, handler: UpdateHandler) -> None:
        """Hand every update `name` to `handler` from now on."""
        self._handlers[name] = handler

    def register_dynamic(self, handler: UpdateHandler) -> None:
        """Hand every update whose name has no handler to `handler` from now on."""
        self._dynamic = handler

    def register_validator(self, name: str, validator: Callable[[Any], Any]) -> None:
        """Ask `validator` before an update `name` is accepted."""
        self._validators[name] = validator

    def check(self, name: str, raw: msgspec.Raw) -> tuple[Exception, tuple[type[BaseException], ...]] | None:
        """Return why the update is rejected, and which errors it declares; None if it may be accepted.

        Leaves no trace in the run. Raises `NonDeterminismError` if the validator changed the run: its history could not say so.
        """
        handler = self._handler(name)
        if handler is None or not self._run.calls.takes(handler):
            return InvalidCallError(f"the run is about to close: it takes no update {name!r} any more"), ()
        try:
            value = handler.read(raw)
        except DecodeError as error:
            return InvalidCallError(f"the value does not fit the handler: {error}"), ()
        validator = self._validators.get(name)
        if validator is None:
            return None
        try:
            self._run.read(f"the validator of update {name!r}", partial(validator, value))
        except Exception as error:
            broken = nondeterminism_in(error)
            if broken is not None:
                raise broken from None
            if self._run.spoiled:
                raise NonDeterminismError(
                    f"the validator of update {name!r} woke a part of the workflow: it may only read",
                    hint="set a state in the handler, not in the validator, which no replay runs",
                ) from error
            return error, handler.raises
        return None

    def deliver(self, event: UpdateAccepted) -> None:
        """Hand an accepted update to its handler."""
        run = self._run
        self._taken[event.update] = run.run_id
        handler = self._handler(event.name)
        if handler is None:
            raise run.matcher.mismatch(f"no handler for update {event.name!r}", recorded=event, where=run.where())
        args = (event.name,) if handler.by_name else ()
        value = handler.decode(event.value)
        within = None if run.around is None else run.around.updated(run, event)
        run.calls.begin(handler, (*args, value), partial(self._ended, event.update, event.name, handler), within=within)

    def _handler(self, name: str) -> UpdateHandler | None:
        return self._handlers.get(name) or self._dynamic

    def _ended(self, update: str, name: str, handler: UpdateHandler, result: Any, error: BaseException | None) -> None:
        """Record how the handler ended. A run that is being dropped records nothing."""
        run = self._run
        if run.closing or run.aborted is not None:
            return
        if error is not None and (broken := nondeterminism_in(error)) is not None:
            run.abort(broken)
        id = run.next_command_id()  # noqa: A001 - the field's name
        if run.matcher.replaying:
            recorded = run.matcher.take(UpdateCompleted, id)
            if recorded is None or recorded.update != update:
                run.diverge(f"the end of update {update!r} ({name!r}, #{id})", recorded=recorded)
            if (
                run.matcher.observe is not None
            ):  # whether it returned or raised, its caller was told, and the code cannot know
                run.matcher.observe(recorded, lambda: self._completed(id, update, name, handler, result, error))
            return
        run.check_may_command(f"the end of update {name!r}")
        run.emit(self._completed(id, update, name, handler, result, error))

    def _completed(
        self, id: int, update: str, name: str, handler: UpdateHandler, result: Any, error: BaseException | None  # noqa: A002
    ) -> UpdateCompleted:  # fmt: skip
        run = self._run
        if isinstance(error, asyncio.CancelledError) and not str(error):
            error = asyncio.CancelledError(f"the handler of update {name!r} was cancelled, with its run or by it")
        if error is None:
            try:
                return UpdateCompleted(at=run.now_ms, id=id, update=update, result=to_raw(handler.encode(result)))
            except Exception as problem:  # the handler returned what cannot be recorded: it is at fault
                error = problem
        known = (*handler.raises, *run.spec.raises)
        failure = failure_of(error, run.codec, known=known).as_wire()
        return UpdateCompleted(at=run.now_ms, id=id, update=update, failure=failure)
