"""Child workflows: asked for, started or refused, ended; and asked to cancel."""

from typing import Literal

import msgspec

from ._attributes import AttributeValue
from ._event import CommandEvent, FailureData, Inbound

ParentClose = Literal["terminate", "cancel", "abandon"]
"""What becomes of a child that is open when its parent closes."""


class ChildStartRequested(CommandEvent, frozen=True, kw_only=True):
    """The code starts `workflow` as its child `workflow_id` on `queue`, with these `attributes` and `memo`.

    `timeout_ms` limits each of the child's runs, `execution_timeout_ms` its whole chain.
    """

    workflow: str
    workflow_id: str
    queue: str
    args: msgspec.Raw
    parent_close: ParentClose = "terminate"
    timeout_ms: int | None = None
    version: str = ""
    pinned: bool = False
    headers: dict[str, str] | None = None
    attributes: dict[str, AttributeValue] = {}  # noqa: RUF012 - msgspec copies it
    memo: dict[str, msgspec.Raw] = {}  # noqa: RUF012
    execution_timeout_ms: int | None = None

    def summary(self) -> str:
        return f"child {self.workflow!r} with id {self.workflow_id!r} (#{self.id})"


class ChildStarted(Inbound, frozen=True, kw_only=True):
    """Child `id` exists: its run is `run_id`."""

    id: int
    run_id: str


class ChildStartFailed(Inbound, frozen=True, kw_only=True):
    """Child `id` could not be started: its workflow id is taken."""

    id: int
    failure: FailureData


class ChildCompleted(Inbound, frozen=True, kw_only=True):
    """Child `id` returned `result`."""

    id: int
    result: msgspec.Raw


class ChildFailed(Inbound, frozen=True, kw_only=True):
    """Child `id` ended without a result. `status` says how: "failed", "cancelled", "terminated" or "timed_out"."""

    id: int
    failure: FailureData
    status: str


class ChildCancelRequested(CommandEvent, frozen=True, kw_only=True):
    """The code asks child `id` to cancel. Asked once: a second request changes nothing, and leaves no event."""

    reason: str = ""

    def summary(self) -> str:
        return f"cancellation of child #{self.id}"
