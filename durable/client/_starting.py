"""Starts runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from .._duration import Duration, optional_ms
from .._ids import checked_name, checked_queue, checked_version, checked_workflow_id
from .._log import StartRun, message_entry, start_document
from ..author import Activity, Attribute, Workflow, check_attributes_size, stored_attributes, stored_memo
from ..codec import Codec, Payload, untyped_signature
from ..errors import DefinitionError, InvalidCallError, NameTakenError, RunAlreadyOpenError
from ..history import AttributeValue, to_raw
from ..interceptors import StartInput
from ..stores import Document, Store
from ._around import Around
from ._handle import Handle
from ._line import Line
from ._outcome import Expected, expected_of

P = ParamSpec("P")
R = TypeVar("R")

_TRIES = 3  # the open run that is in the way may close while we look at it


class CallSignature(Protocol):
    """The part of a signature that takes arguments."""

    def encode_call(self, codec: Codec, args: tuple[Any, ...], kwargs: dict[str, Any], *, what: str) -> Payload:
        """Return the arguments as a payload."""
        ...


class Start:
    """A run that is about to be started: everything but its arguments is checked. See `Client.start` for what is raised."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        around: Around,
        workflow: Workflow[..., Any] | str,
        *,
        id: str | None,  # noqa: A002 - the name that users write
        queue: str,
        run_timeout: Duration | None,
        request_id: str | None,
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
        self._version, self._pinned = _version_of(self._workflow, version)
        self._attributes = _checked_attributes(attributes)
        self._memo = {} if memo is None else stored_memo(memo, codec)
        self._request_id = None if request_id is None else checked_name(request_id, "request id")

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
        line, clock = self._line, self._line.clock
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
        )
        document = start_document(line.workflow_id, message, now_ms=line.store.now_ms())
        created = await self._create(document, message)
        return self._handle(created.id)

    async def _create(self, document: Document, message: StartRun) -> Document:
        line = self._line
        entry = message_entry(f"{document.id}/start", line.workflow_id, message)
        for attempt in range(1, _TRIES + 1):
            try:
                return await line.insist(lambda: line.store.create(line.partition, document, [entry]))
            except NameTakenError as error:
                open_run = await line.document(None)
                if open_run.open or attempt == _TRIES:
                    raise RunAlreadyOpenError(
                        f"a run of workflow id {line.workflow_id!r} is open (run {open_run.id} of {open_run.kind}); "
                        "`error.handle` is its handle",
                        handle=self._handle(open_run.id),
                    ) from error
        raise AssertionError  # the last round returns or raises

    def _handle(self, run_id: str) -> Handle[Any]:
        return Handle(self._line, run_id, self.expected)


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


def _checked_attributes(given: Mapping[Attribute[Any], Any] | None) -> dict[str, AttributeValue]:
    if given is None:
        return {}
    values = {name: value for name, value in stored_attributes(given).items() if value is not None}
    check_attributes_size(values)
    return values
