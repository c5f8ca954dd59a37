"""A run in memory: its workflow's code on a deterministic loop, moved by events, answering with commands.

Pure: events go in, events come out; no clock, no store, no thread. A run is a cache of its history. When anything goes
wrong with it that is not the user's exception, it is thrown away and rebuilt.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from random import Random
from typing import Any, NoReturn

from .._ids import CommandId
from ..codec import Codec
from ..errors import InvalidCallError
from ..history import (
    CancelRequested,
    Close,
    Event,
    RunForked,
    RunReopened,
    RunStarted,
    SignalReceived,
    UpdateAccepted,
    from_raw,
)
from . import context, guard
from .commands import ActivityCommand, Command, LocalActivityCommand, cancel_timer, start_timer
from .conditions import Conditions
from .continuing import ContinueAsNew, continuation_in
from .entropy import reseed, run_random
from .handlers import HandlerCalls
from .loop import DeterministicLoop
from .matcher import Matcher, waiting_line
from .options import WorkflowSpec
from .outcome import outcome_of
from .queries import QueryTable
from .signals import SignalBox
from .updates import UpdateBox
from .weight import weight_of

_log = logging.getLogger("durable")


class StepAbortedError(BaseException):
    """Unwinds workflow code after `Run.abort`. Not an `Exception`, so that no `except Exception` of the user takes it."""


class Run:
    """One execution of a workflow. See the module's docstring; `Execution` in the engine adds its place in the log."""

    def __init__(self, spec: WorkflowSpec, codec: Codec, started: RunStarted) -> None:
        self.spec, self.codec, self.started, self.around = spec, codec, started, spec.around
        self.run_id, self.workflow_id, self.queue = started.run_id, started.workflow_id, started.queue
        self.now_ms = started.at
        self.deadline_ms = started.deadline_ms  # of the whole chain
        self.events_seen = 0
        self.bytes_seen = 0  # about: see `weight_of`
        self.matcher = Matcher()
        self.commands: dict[int, Command] = {}
        self.given_up: list[Command] = []  # cancelled by the code in live steps; the engine takes them from here
        self.patches: dict[str, bool] = {}  # the answers of `patched`
        self.marked: dict[str, bool] = {}  # the patches that the history has, and whether as deprecated ones
        self.attributes = dict(started.attributes)
        self.record_changed = False  # what the run's record has of it may differ: its attributes, its patches
        self.calls = HandlerCalls(self)
        self.signals = SignalBox(self)
        self.updates = UpdateBox(self)
        self.queries = QueryTable()
        self.query_headers: dict[str, str] | None = None  # of the query that is being answered
        self.reopened = 0  # the number of the last reopening that counts
        self.has_local = False  # whether a local activity was ever asked for
        self.cancel_requested: CancelRequested | None = None
        self.late_cancel: CancelRequested | None = None  # came when the code had asked to continue as new
        self.closing = False  # the code has ended or is being dropped: what it still asks for is ignored
        self.read_only = ""  # what runs now may not command, and why
        self.spoiled = False  # a query changed it
        self.aborted: Exception | None = None
        self._handler_error: Exception | None = None
        self.conditions = Conditions(self)
        self._last_command = 0
        self.seed = started.seed or self.run_id
        self._random: Random | None = None
        self._main: asyncio.Task[Any] | None = None
        make: Any = DeterministicLoop  # its refusals are made at import, so that a type checker believes it abstract
        self.loop: DeterministicLoop = make(
            start_timer=partial(start_timer, self),
            cancel_timer=partial(cancel_timer, self),
            on_unhandled=self._on_unhandled,
        )
        self.context = copy_context()
        self.context.run(context.bind, self)

    # --- what the engine calls

    def deliver(self, event: Event) -> list[Event]:
        """Deliver one new inbound event, run the code until nothing more can happen, and return the commands that it issued.

        Raises what makes the run stuck: `NonDeterminismError`, `DecodeError`, `BlockedStepError` and errors of our own. The
        run must be thrown away then.
        """
        emitted: list[Event] = []
        self.matcher.emitted = emitted
        self._step(event)
        self._count(emitted)
        return emitted

    def replay(self, event: Event, recorded: Sequence[Event]) -> None:
        """Deliver an inbound event of the history, whose step issued the commands `recorded`. Raises as `deliver` does."""
        self.matcher.begin_replay(recorded)
        self._step(event)
        left = self.matcher.end_replay()
        if left is not None:
            raise self.matcher.mismatch("nothing more in this step", recorded=left, where=self.where())
        self._count(recorded)

    def note(self, event: Event) -> None:
        """Take an event that the code does not see: it keeps what is known of a pending activity up to date."""
        self.events_seen += 1
        self.bytes_seen += weight_of(event)
        if isinstance(event, RunReopened):
            self.reopened = event.number
            if event.deadline_ms is not None:
                self.deadline_ms = event.deadline_ms
            self._begin_anew(event.at)
            command = self.commands.get(event.activity or 0)
            if isinstance(command, ActivityCommand):
                command.attempt, command.attempts_before = event.attempt, event.attempt - 1
        elif isinstance(event, RunForked):
            self.seed = event.seed
            self.deadline_ms = self.started.deadline_ms  # not as the other run's reopenings had put it off
            if self._random is not None:
                reseed(self._random, event.seed)  # in place: the code may hold it
            self._begin_anew(event.at)
        elif (noted := self.commands.get(getattr(event, "id", 0))) is not None:
            noted.note(event)

    def _begin_anew(self, at: int) -> None:
        """The run goes on after it was closed, or as another one: its pending activities are put on their queues again."""
        for command in self.commands.values():
            if isinstance(command, ActivityCommand):
                command.since_ms = at  # the time in which the run was closed does not count
                command.deferred, command.retry_due_ms = False, 0
            elif isinstance(command, LocalActivityCommand):
                command.attempt, command.waits = 1, False

    @property
    def finished(self) -> bool:
        """Whether the code has ended, with all its handlers: the run may be closed."""
        main = self._main
        return main is not None and (self._handler_error is not None or (main.done() and not self.calls.busy))

    @property
    def failed(self) -> bool:
        """Whether an exception has left the code or a handler: the run closes by it once its handlers have ended."""
        main = self._main
        if self._handler_error is not None or main is None or not main.done():
            return self._handler_error is not None
        if main.cancelled():
            return self.cancel_requested is None
        return main.exception() is not None and self.continuing is None

    @property
    def continuing(self) -> ContinueAsNew | None:
        """What the code asked for if it has ended by `continue_as_new`; the run closes so once its handlers have ended."""
        main = self._main
        if main is None or not main.done() or main.cancelled():
            return None
        error = main.exception()
        return None if error is None else continuation_in(error)[0]

    def outcome(self) -> Close:
        """Return the event that closes the finished run. Raises `EncodeError` (as a failed run's event) never: it is recorded."""
        return outcome_of(self, self._main, self._handler_error)

    def query(self, name: str, args: Any, headers: dict[str, str] | None = None) -> Any:
        """Return the answer of the handler `name`. Raises `InvalidCallError` for an unknown one, or what the handler raises.

        If it changed what the code does next, `spoiled` is set: then the run must be thrown away and rebuilt.
        """
        handler = self.queries.answerer(name)
        if handler is None:
            known = ", ".join(self.queries.names) or "none"
            raise InvalidCallError(f"workflow {self.spec.name!r} has no query {name!r}; it has: {known}")
        self.query_headers = headers
        return self.read(f"the query {name!r}", partial(handler, args))

    def read(self, what: str, function: Callable[[], Any]) -> Any:
        """Return what `function`, the code's own, returns: it may only read. Raises what it raises; see `query` for `spoiled`."""
        with self.reading_only(what):
            answer = self._guarded(lambda: self.context.copy().run(function))
        if not self.loop.is_quiescent():
            self.spoiled = True
            raise InvalidCallError(f"{what} woke a part of the workflow: it may only read")
        return answer

    def dispose(self) -> None:
        """Drop the run: its code ends without another effect.

        What it was made of refers to it in circles. They are cut, so that it is gone with the last reference to it, and the
        garbage collector, which would stop all other runs meanwhile, has nothing to do.
        """
        self.closing = True
        self.loop.dispose()
        for command in self.commands.values():
            command.release()
        spoiled = self.spoiled
        vars(self).clear()
        self.closing, self.spoiled = True, spoiled  # for who still asks: objects of the code may outlive it

    # --- what commands and the author's functions call

    @property
    def replaying(self) -> bool:
        """Whether the current step happened before: then nothing may be emitted (invariant 5)."""
        return self.closing or self.matcher.replaying

    def next_command_id(self) -> CommandId:
        """Return the number of the next command."""
        self._last_command += 1
        return CommandId(self._last_command)

    def check_may_command(self, what: str) -> None:
        """Raise unless the code may ask for something now."""
        if self.closing:
            raise StepAbortedError
        if self.read_only:
            raise InvalidCallError(f"{self.read_only} is read-only: it cannot start {what}")
        if self.aborted is not None:
            raise StepAbortedError

    @contextmanager
    def reading_only(self, what: str) -> Generator[None]:
        """What runs inside may ask for nothing, and finds no event loop: no replay would do the same at the same place."""
        outer, self.read_only = self.read_only, what
        loop = _get_running_loop()
        _set_running_loop(None)
        try:
            yield
        finally:
            _set_running_loop(loop)
            self.read_only = outer

    def in_main(self) -> bool:
        """Return whether the workflow's own coroutine is what runs now: no handler, and no task that the code made."""
        return self._main is not None and asyncio.current_task(self.loop) is self._main

    def where(self) -> str:
        """Return the line at which the workflow's code waits, or the workflow if it has ended."""
        main = self._main
        line = waiting_line(main.get_coro()) if main is not None else ""
        code = getattr(self.spec.fn, "__code__", None)
        return line or (f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}" if code is not None else "")

    def emit(self, event: Event) -> None:
        """Write down a command of the live step."""
        if self.read_only:
            raise InvalidCallError(f"{self.read_only} is read-only")
        self.matcher.emitted.append(event)

    def diverge(self, asked: str, *, recorded: Event | None = None) -> NoReturn:
        """The code asked for something else than the history has."""
        if self.closing:
            raise StepAbortedError
        self.abort(self.matcher.mismatch(asked, recorded=recorded))

    def abort(self, error: Exception) -> NoReturn:
        """Stop this step: the run is stuck because of `error` (the first one counts)."""
        if self.aborted is None:
            self.aborted = error
        raise StepAbortedError from error

    def fail(self, error: Exception) -> None:
        """A handler raised `error`: the run fails by it."""
        if self._handler_error is None:
            self._handler_error = error

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of the run's own."""
        return self.loop.create_task(coroutine, context=self.context.copy())

    def holds(self, predicate: Callable[[], Any]) -> bool:
        """Return whether `predicate` is true, or raise what it raises. It may only read: how often it is tried is not recorded."""
        with self.reading_only("the predicate of wait_condition"):
            return bool(predicate())

    def random(self) -> Random:
        """Return the run's random numbers: the same on each replay. Raises `InvalidCallError` in code that may only read."""
        if self.read_only:
            raise InvalidCallError(
                f"{self.read_only} is read-only: it cannot take random numbers, which would be missing later"
            )
        if self._random is None:
            self._random = run_random(self.seed)
        return self._random

    # --- one step

    def _step(self, event: Event) -> None:
        self.events_seen += 1
        self.bytes_seen += weight_of(event)
        self.now_ms = event.at
        self.loop.now = event.at / 1000
        try:
            self._apply(event)
            self._guarded(self._run_to_quiescence)
        except StepAbortedError:
            pass  # what it was is in `aborted`
        if self.aborted is not None:
            raise self.aborted

    def _apply(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, SignalReceived):
            self.context.run(self.signals.deliver, event)
        elif isinstance(event, UpdateAccepted):
            self.context.run(self.updates.deliver, event)
        elif isinstance(event, CancelRequested):
            self.signals.note_requests([f"cancel/{event.request}"])
            self.cancel_requested = event
            if self._main is not None and not self._main.cancel():
                if self.continuing is not None:
                    self.late_cancel = event  # the next run gets it
                self.calls.cancel()  # the code has ended, and only they hold the run open
        else:
            command = self.commands.get(getattr(event, "id", 0))  # every other inbound event ends a command
            if command is None:
                raise self.matcher.mismatch("nothing that this could end", recorded=event, where=self.where())
            command.resolve(event)

    def _start(self, event: RunStarted) -> None:
        what = f"workflow {self.spec.name}"
        args, kwargs = self.spec.signature.decode_call(self.codec, from_raw(event.args), what=what)
        self.updates.preload(event.updates)
        self.signals.note_requests(event.requests)
        for signal in event.signals:
            self.signals.deliver(signal)
        around = self.around
        if around is None or around.run_workflow is None:
            code = self.spec.fn(*args, **kwargs)
        else:
            code = around.run(self, args, kwargs, event.headers)
        self._main = self.loop.create_task(code, name="workflow", context=self.context)
        self._main.add_done_callback(self._ended, context=self.context)

    def _ended(self, main: asyncio.Task[Any]) -> None:
        if main.cancelled() or (main.exception() is not None and self.continuing is None):
            self.calls.cancel()  # what they wait for from the code will not come
        else:
            self.calls.abandon()

    def _run_to_quiescence(self) -> None:
        loop = self.loop
        loop.run_until_quiescent()
        while self.conditions and self.conditions.resolve():
            loop.run_until_quiescent()

    def _count(self, commands: Sequence[Event]) -> None:
        """Count the commands of a step that is over: the code sees them as history in the next one."""
        self.events_seen += len(commands)
        for command in commands:
            self.bytes_seen += weight_of(command)

    def _guarded(self, function: Callable[[], Any]) -> Any:
        guard.enter()
        try:
            return function()
        finally:
            guard.leave()

    def _on_unhandled(self, details: dict[str, Any]) -> None:
        """A task that nobody awaits failed: as in asyncio, that is reported and changes nothing."""
        if not self.replaying:
            error = details.get("exception")
            with guard.allowed():
                _log.error("run %s: %s", self.run_id, details.get("message", "unhandled error"), exc_info=error)
