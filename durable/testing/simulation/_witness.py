"""An interceptor that sees what happens in a simulation: what it saw must be what the histories say."""
# ruff: noqa: A002 - `input` and `next` are what interceptors call these two

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from ...interceptors import (
    CallActivityInput,
    Interceptor,
    RunActivityInput,
    RunWorkflowInput,
    StartInput,
    with_headers,
)

_FROM, _BY = "from", "by"


class Witness(Interceptor):
    """Counts, and hands headers on. `live` are the calls of each run that its code made for the first time, by run id.

    A step that is lost is taken again, so a call may be seen more than once; but not again by a replay, and never less.
    """

    def __init__(self, broken: Callable[[str, str], None]) -> None:
        self._broken = broken
        self.live, self.replayed = Counter[str](), Counter[str]()
        self.begun = Counter[str]()  # attempts, by the run that wants them

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        return await next(with_headers(input, {_FROM: input.workflow_id}))

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        if dict(input.headers) != dict(input.run.headers):
            self._broken("interceptors", f"{input.run.run_id} began with {input.headers}, not {input.run.headers}")
        return await next(input)

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        """See `Interceptor`."""
        (self.replayed if input.run.replaying else self.live)[input.run.run_id] += 1
        return next(with_headers(input, {_BY: input.run.workflow, **input.run.headers}))

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        self.begun[input.run_id] += 1
        if input.headers.get(_BY) != input.workflow:
            self._broken("interceptors", f"an attempt of {input.run_id} came with the headers {input.headers}")
        return await next(input)
