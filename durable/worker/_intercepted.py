"""Attempts with interceptors around them: a coroutine on the loop, in which the code runs wherever it would run without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

import msgspec

from .._headers import read_headers
from .._log import ActivityEnded
from ..codec import Failure, exception_of
from ..history import from_raw, to_raw
from ..interceptors import RunActivityInput
from ._attempt import Attempt
from ._child import Done


class Places(Protocol):
    """Where code can run other than on the loop."""

    def in_thread(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread."""
        ...

    def in_process(self, attempt: Attempt, heard: Callable[[Heard], None]) -> None:
        """Run `attempt`'s task in a process; `heard` is called in the loop with how it ended, or why it did not."""
        ...

    def call(self, function: partial[None]) -> None:
        """Have the loop call `function`; callable from any thread."""
        ...


class NotBegunError(Exception):
    """An attempt did not begin in its process. `reason` is empty if that is because it may not; the runner knows then."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Heard = Done | BaseException  # a `NotBegunError`, or what to say of a process that died


async def run_activity(given: RunActivityInput) -> Any:
    """The innermost of the chain."""
    return await given._call(given.args, given.kwargs)


class Within:
    """One attempt with its interceptors."""

    def __init__(self, attempt: Attempt, places: Places) -> None:
        self._attempt, self._places = attempt, places
        self._ended: ActivityEnded | None = None
        self._came: object = None  # the value or exception that was made of `_ended`

    async def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what the outermost interceptor returns, or raise what it raises."""
        task, execute = self._attempt.task, self._attempt.plan.execute
        assert execute is not None
        run = {"async": self._here, "thread": self._in_thread, "process": partial(self._in_process, args, kwargs)}
        return await execute(
            RunActivityInput(
                activity=task.activity,
                workflow=task.workflow,
                workflow_id=task.workflow_id,
                run_id=task.run_id,
                attempt=task.attempt,
                args=args,
                kwargs=kwargs,
                headers=read_headers(task.headers),
                _call=run[self._attempt.plan.mode],
            )
        )

    def same(self, came: object) -> ActivityEnded | None:
        """Return how the process said that the attempt ended if `came`, a value or an exception, is what it gave."""
        return self._ended if came is self._came else None

    async def _here(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await self._attempt.plan.fn(*args, **kwargs)

    async def _in_thread(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan, places = self._attempt.plan, self._places
        future: asyncio.Future[tuple[Any, BaseException | None]] = asyncio.get_running_loop().create_future()
        context = copy_context()  # what an interceptor has set is seen by the code

        def work() -> None:
            try:
                outcome: tuple[Any, BaseException | None] = context.run(plan.fn, *args, **kwargs), None
            except BaseException as error:  # whatever it raises is its outcome, `SystemExit` too
                outcome = None, error
            places.call(partial(_set, future, outcome))

        places.in_thread(work)
        value, error = await future
        if error is not None:
            raise error
        return value

    async def _in_process(
        self, given: tuple[Any, ...], named: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        attempt, plan = self._attempt, self._attempt.plan
        if args is not given or kwargs is not named:
            payload = plan.signature.encode_call(plan.codec, args, kwargs, what=plan.what_arguments)
            attempt.task = msgspec.structs.replace(attempt.task, args=to_raw(payload))
        future: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._places.in_process(attempt, partial(_set, future))
        message = await future
        if isinstance(message, BaseException):
            raise message
        ended = message.ended
        if ended is None:
            raise asyncio.CancelledError
        self._ended = ended
        if ended.failure is not None:
            failure = exception_of(Failure.from_wire(ended.failure), plan.raises, plan.codec)
            self._came = failure
            raise failure
        raw = ended.result
        assert raw is not msgspec.UNSET
        self._came = plan.signature.decode_result(plan.codec, from_raw(raw), what=plan.what_result)
        return self._came


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)
