# ruff: noqa: A002 - `input` and `next` are what `Interceptor` calls these two
"""Traces through the OpenTelemetry API: an interceptor like those that users write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .._version import __version__
from ..errors import NonDeterminismError
from ..interceptors import (
    CallActivityInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    QueryInput,
    RunActivityInput,
    RunView,
    RunWorkflowInput,
    SignalExternalInput,
    SignalInput,
    StartChildInput,
    StartInput,
    UpdateInput,
    with_headers,
)

S = TypeVar("S", StartInput, SignalInput, QueryInput, UpdateInput)

_FIELDS = ("traceparent", "tracestate")
_W3C = TraceContextTextMapPropagator()


class TracingInterceptor(Interceptor):
    """Traces runs: give one to `Client.connect(..., interceptors=[TracingInterceptor()])`. Without an SDK set up, it does nothing.

    The W3C trace context travels in headers. What follows from a start is one trace, whatever crashes and wherever it runs: the
    run, its activities and those of its children are children of the span of the client's `start`. A run that was started
    without a trace has one of its own, whose id is derived from the run's.

    | span | when | from, to |
    |---|---|---|
    | `start W`, `signal S`, `query Q`, `update U` | a client calls | the call |
    | `run W` | a run's code has ended | the start of the run, that moment |
    | `handle signal S`, `handle update U` | a handler has ended | the arrival of the message, that moment |
    | `handle query Q` | a query is answered | the handler |
    | `activity A` | an attempt of an activity, also a local one | the attempt |

    Replay emits nothing. A span of the workflow's side is emitted at its end, live, with the times of the history: so it is
    emitted once even if the run was evicted, moved or replayed in between; twice only if the worker dies between that
    and its commit. A run that is terminated or times out has no `run` span, since its code was not asked. Spans that
    activities make themselves are children of `activity A`, unless the activity is cpu_bound.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("durable", __version__, tracer_provider)

    # --- the client's side

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        told = {"durable.workflow": input.workflow, "durable.workflow_id": input.workflow_id}
        return await self._calling(f"start {input.workflow}", SpanKind.PRODUCER, told, input, next)

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        """See `Interceptor`."""
        told = {"durable.workflow_id": input.workflow_id}
        await self._calling(f"signal {input.signal}", SpanKind.PRODUCER, told, input, next)

    async def query(self, input: QueryInput, next: Callable[[QueryInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        told = {"durable.workflow_id": input.workflow_id}
        return await self._calling(f"query {input.query}", SpanKind.CLIENT, told, input, next)

    async def update(self, input: UpdateInput, next: Callable[[UpdateInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        told = {"durable.workflow_id": input.workflow_id, "durable.update_id": input.update_id}
        return await self._calling(f"update {input.update}", SpanKind.CLIENT, told, input, next)

    async def _calling(
        self, name: str, kind: SpanKind, told: dict[str, str], input: S, next: Callable[[S], Awaitable[Any]]
    ) -> Any:
        with self._tracer.start_as_current_span(name, kind=kind, attributes=told):
            carrier: dict[str, str] = {}
            _W3C.inject(carrier)
            return await next(with_headers(input, carrier))

    # --- the workflow's side

    async def run_workflow(self, input: RunWorkflowInput, next: Callable[[RunWorkflowInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        run = input.run
        name = f"run {run.workflow}"
        try:
            result = await next(input)
        except BaseException as error:
            self._past(run, name, run.started_ms, _context(run), error)
            raise
        self._past(run, name, run.started_ms, _context(run), None)
        return result

    async def handle_signal(
        self, input: HandleSignalInput, next: Callable[[HandleSignalInput], Awaitable[None]]
    ) -> None:
        """See `Interceptor`."""
        name, parent = f"handle signal {input.signal}", _sent(input.headers, input.run)
        try:
            await next(input)
        except BaseException as error:
            self._past(input.run, name, input.received_ms, parent, error)
            raise
        self._past(input.run, name, input.received_ms, parent, None)

    async def handle_update(self, input: HandleUpdateInput, next: Callable[[HandleUpdateInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        name, parent = f"handle update {input.update}", _sent(input.headers, input.run)
        try:
            result = await next(input)
        except BaseException as error:
            self._past(input.run, name, input.accepted_ms, parent, error)
            raise
        self._past(input.run, name, input.accepted_ms, parent, None)
        return result

    def handle_query(self, input: HandleQueryInput, next: Callable[[HandleQueryInput], Any]) -> Any:
        """See `Interceptor`."""
        run = input.run
        with run.unguarded():
            span = self._tracer.start_span(
                f"handle query {input.query}", _sent(input.headers, run), SpanKind.SERVER, _told(run)
            )
        try:
            return next(input)
        except Exception as error:
            with run.unguarded():
                _fail(span, error)
            raise
        finally:
            with run.unguarded():
                span.end()

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Awaitable[Any]]
    ) -> Awaitable[Any]:
        """See `Interceptor`."""
        return next(with_headers(input, _carrier(input.run)))

    def start_child(self, input: StartChildInput, next: Callable[[StartChildInput], Any]) -> Any:
        """See `Interceptor`."""
        return next(with_headers(input, _carrier(input.run)))

    def signal_external(
        self, input: SignalExternalInput, next: Callable[[SignalExternalInput], Awaitable[None]]
    ) -> Awaitable[None]:
        """See `Interceptor`."""
        return next(with_headers(input, _carrier(input.run)))

    def _past(self, run: RunView, name: str, began_ms: int, parent: Context, error: BaseException | None) -> None:
        """Emit a span of something that has just ended in workflow code, if that happens live."""
        if run.replaying or isinstance(error, NonDeterminismError):  # the latter is no end: the run is stuck
            return
        with run.unguarded():
            of_run, of_parent = (trace.get_current_span(each).get_span_context() for each in (_context(run), parent))
            links = [] if of_run == of_parent else [Link(of_run)]
            span = self._tracer.start_span(
                name, parent, SpanKind.CONSUMER, _told(run), links, start_time=began_ms * 1_000_000
            )
            if isinstance(error, Exception):
                _fail(span, error)
            elif error is not None:
                ended = "cancelled" if isinstance(error, asyncio.CancelledError) else "continued_as_new"
                span.set_attribute("durable.outcome", ended)
            span.end(run.now_ms * 1_000_000)

    # --- the activity's side

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        """See `Interceptor`."""
        told: dict[str, str | int] = {
            "durable.activity": input.activity,
            "durable.attempt": input.attempt,
            "durable.workflow": input.workflow,
            "durable.workflow_id": input.workflow_id,
            "durable.run_id": input.run_id,
        }
        parent = _W3C.extract(dict(input.headers), Context())
        with self._tracer.start_as_current_span(
            f"activity {input.activity}", parent, kind=SpanKind.CONSUMER, attributes=told
        ):
            return await next(input)


def _carrier(run: RunView) -> dict[str, str]:
    """Return the trace context of a run as headers: that of its start, or one derived from its id. The same on each replay."""
    found = {name: run.headers[name] for name in _FIELDS if name in run.headers}
    if found:
        return found
    digest = blake2b(run.run_id.encode(), digest_size=24).hexdigest()
    return {"traceparent": f"00-{digest[:32]}-{digest[32:]}-01"}


def _context(run: RunView) -> Context:
    return _W3C.extract(_carrier(run), Context())


def _sent(headers: Mapping[str, str], run: RunView) -> Context:
    """Return the context in which a message was sent, or else that of its run."""
    return _W3C.extract(dict(headers), Context()) if "traceparent" in headers else _context(run)


def _told(run: RunView) -> dict[str, str]:
    return {"durable.workflow": run.workflow, "durable.workflow_id": run.workflow_id, "durable.run_id": run.run_id}


def _fail(span: Span, error: Exception) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
