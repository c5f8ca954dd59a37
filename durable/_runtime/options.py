"""How an activity or a child is called: the options that go into the event of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from .._ids import checked_queue
from ..codec import Codec, Payload
from ..history import AttributeValue, Cancellation, ParentClose
from ..retry import RetryPolicy
from .around import Around


class CallSignature(Protocol):
    """The part of `durable.codec.Signature` that the runtime needs."""

    def encode_call(self, codec: Codec, args: Sequence[Any], kwargs: Mapping[str, Any], *, what: str) -> Payload: ...
    def decode_call(self, codec: Codec, payload: Payload, *, what: str) -> tuple[tuple[Any, ...], dict[str, Any]]: ...
    def encode_result(self, codec: Codec, value: Any, *, what: str) -> Payload: ...
    def decode_result(self, codec: Codec, payload: Payload, *, what: str) -> Any: ...


class WorkflowSpec(Protocol):
    """A workflow as the runtime sees it."""

    @property
    def name(self) -> str: ...
    @property
    def fn(self) -> Callable[..., Any]: ...
    @property
    def signature(self) -> CallSignature: ...
    @property
    def raises(self) -> tuple[type[BaseException], ...]: ...
    @property
    def version(self) -> str: ...
    @property
    def around(self) -> Around | None: ...


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """Where and for how long an activity may run, and how it is retried; None means no limit or the default.

    `timeout_ms` limits one attempt, `total_timeout_ms` all of them with their pauses, `queue_timeout_ms` the wait for a
    worker, `heartbeat_timeout_ms` the time between two heartbeats. `raises` are the declared errors, `cancellation` is "try"
    if it is None.
    """

    queue: str | None = None  # None: the queue of the run
    timeout_ms: int | None = None
    total_timeout_ms: int | None = None
    queue_timeout_ms: int | None = None
    heartbeat_timeout_ms: int | None = None
    retry: RetryPolicy | None = None
    raises: tuple[type[BaseException], ...] = ()
    cancellation: Cancellation | None = None
    retry_wire: dict[str, object] | None = field(init=False, default=None, compare=False)

    def __post_init__(self) -> None:
        if self.queue is not None:
            checked_queue(self.queue)
        if self.retry is not None:
            object.__setattr__(self, "retry_wire", self.retry.as_wire())


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """What it takes to call an activity from workflow code."""

    name: str
    signature: CallSignature
    options: ActivityOptions
    what: str = field(init=False, default="")  # as errors name it

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", f"activity {self.name}")


@dataclass(frozen=True, slots=True)
class ChildCall:
    """What it takes to start a workflow as a child. `id` is None for a derived one, `queue` for that of the run.

    `memo` encodes the child's memo by the run's codec; None for an empty one.
    """

    name: str
    signature: CallSignature
    raises: tuple[type[BaseException], ...] = ()
    id: str | None = None
    queue: str | None = None
    parent_close: ParentClose = "terminate"
    cancellation: Cancellation = "wait"
    timeout_ms: int | None = None
    version: str = ""
    pinned: bool = False
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    memo: Callable[[Codec], dict[str, msgspec.Raw]] | None = None
    execution_timeout_ms: int | None = None
