"""Starts runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from .._duration import Duration, optional_ms
from .._headers import read_headers
from .._ids import DEFAULT_QUEUE, checked_name, checked_queue, checked_version, checked_workflow_id
from .._log import StartRun, start_document
from ..author import Activity, Attribute, Workflow, attributes_at_start, stored_memo
from ..codec import Codec, Payload, untyped_signature
from ..errors import DefinitionError, InvalidCallError
from ..history import CarriedSignal, to_raw
from ..interceptors import SignalInput, StartInput
from ..stores import Store
from ._around import Around
from ._handle import Handle
from ._line import Line
from ._options import OnConflict, Reuse, checked_on_conflict, checked_reuse
from ._outcome import Expected, expected_of
from ._placing import Placing
from ._sending import FirstSignal, encoded_signal, signal_of


class Start:
    """A run that is about to be started: everything but its arguments is checked. See `Client.start` for what is raised."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        around: Around,
        workflow: Workflow[..., Any] | str,
        *,
        signal: FirstSignal | None = None,
        id: str | None = None,  # noqa: A002 - the name that users write
        queue: str = DEFAULT_QUEUE,
        run_timeout: Duration | None = None,
        execution_timeout: Duration | None = None,
        on_conflict: OnConflict = "fail",
        reuse: Reuse = "allow",
        request_id: str | None = None,
        version: str | None = None,
        attributes: Mapping[Attribute[Any], Any] | None = None,
        memo: Mapping[str, Any] | None = None,
    ) -> None:
        self._workflow = checked_workflow(workflow)
        self._name = self._workflow if isinstance(self._workflow, str) else self._workflow.name
        workflow_id = store.clock.new_id() if id is None else id
        self._line = Line(store, codec, checked_workflow_id(workflow_id), around)
        self._queue = checked_queue(queue)
        self._timeout_ms = optional_ms(run_timeout, what="run_timeout")
        if self._timeout_ms is None and not isinstance(self._workflow, str):
            self._timeout_ms = self._workflow.timeout_ms
        self._execution_timeout_ms = optional_ms(execution_timeout, what="execution_timeout")
        self._on_conflict: OnConflict = checked_on_conflict(on_conflict)
        self._reuse: Reuse = checked_reuse(reuse)
        self._version, self._pinned = _version_of(self._workflow, version)
        self._attributes = attributes_at_start(attributes)
        self._memo = {} if memo is None else stored_memo(memo, codec)
        self._request_id = None if request_id is None else checked_name(request_id, "request id")
        self._signal = signal

    @property
    def line(self) -> Line:
        """The line to the workflow id."""
        return self._line

    @property
    def expected(self) -> Expected:
        """What to expect of the run."""
        return expected_of(None if isinstance(self._workflow, str) else self._workflow)

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        """Start the run with these arguments and return its handle; durable on return."""
        around, line = self._line.around.start, self._line
        if around is None:
            return await self._begin(args, kwargs, None)
        given = StartInput(
            workflow=self._name,
            workflow_id=line.workflow_id,
            queue=self._queue,
            args=args,
            kwargs=kwargs,
            _call=self._begin,
        )
        handle: Handle[Any] = await around(given)
        return handle

    async def _begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str] | None
    ) -> Handle[Any]:
        signature: Any = untyped_signature() if isinstance(self._workflow, str) else self._workflow.signature
        payload: Payload = signature.encode_call(self._line.codec, args, kwargs, what=f"workflow {self._name}")
        clock = self._line.clock
        # Both are made once, so that a repeat of the call finds what the first one wrote.
        request, run_id = self._request_id or clock.new_id(), clock.new_id()
        message = StartRun(
            run_id=run_id,
            workflow=self._name,
            queue=self._queue,
            args=to_raw(payload),
            request=request,
            timeout_ms=self._timeout_ms,
            version=self._version,
            pinned=self._pinned,
            attributes=self._attributes,
            memo=self._memo,
            headers=headers,
            execution_timeout_ms=self._execution_timeout_ms,
        )
        if self._signal is None:
            return await self._place(message)
        return await self._with_signal(self._signal, message)

    async def _place(self, message: StartRun) -> Handle[Any]:
        line = self._line
        placing = Placing(line, self.expected, self._on_conflict, self._reuse)
        document = start_document(line.workflow_id, message, now_ms=line.store.now_ms())
        return await placing.place(document, message)

    async def _with_signal(self, signal: FirstSignal, message: StartRun) -> Handle[Any]:
        """Start the run with its first signal, within the interceptors of signals."""
        line, placed = self._line, list[Handle[Any]]()

        async def send(value: Any, headers: dict[str, str] | None) -> None:
            name, raw = encoded_signal(line.codec, signal.signal, value)
            first = CarriedSignal(name=name, request=message.request, value=raw, headers=headers)
            placed.append(await self._place(replace(message, signals=(first,))))

        around = line.around.signal
        if around is None:
            await send(signal.value, message.headers)
        else:
            await around(
                SignalInput(
                    workflow_id=line.workflow_id,
                    run_id=None,
                    signal=signal_of(signal.signal).name,
                    value=signal.value,
                    headers=read_headers(message.headers),
                    _call=send,
                )
            )
        if not placed:
            raise InvalidCallError("an interceptor of signals kept the first one of a run back: nothing was started")
        return placed[-1]


def checked_workflow(workflow: object) -> Workflow[..., Any] | str:
    """Return `workflow` if it is one or a name. Raises `DefinitionError` saying what to do instead."""
    if isinstance(workflow, Workflow):
        return workflow  # pyright: ignore[reportUnknownVariableType]
    if isinstance(workflow, str):
        return checked_name(workflow, "workflow name")
    if isinstance(workflow, Activity):
        raise DefinitionError(f"{workflow!r} is an activity: only a workflow has runs; call it from one")
    if callable(workflow):
        name = getattr(workflow, "__qualname__", repr(workflow))
        advice = "write an async def and" if "<lambda>" in name else "it is a plain function:"
        raise DefinitionError(f"{name} is no workflow: {advice} decorate it with @workflow")
    raise DefinitionError(f"expected a workflow or its name, got {workflow!r}")


def _version_of(workflow: Workflow[..., Any] | str, version: str | None) -> tuple[str, bool]:
    """Return the version that a run is to have, and whether it is pinned to it."""
    if isinstance(workflow, str):
        return ("", False) if version is None else (checked_version(version), True)
    if version is not None and version != workflow.version:
        raise InvalidCallError(
            f"version: {workflow!r} has its own; to start another one, pass that version's workflow, or its name: "
            f"client.start({workflow.name!r}, version={version!r})"
        )
    return workflow.version, workflow.pinned
