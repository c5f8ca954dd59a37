"""Names of the things we number: plain strings and integers with a type each, and the checks on those that users choose."""

from collections.abc import Sequence
from typing import NewType

from . import _limits
from .errors import InvalidIdError

WorkflowId = NewType("WorkflowId", str)
RunId = NewType("RunId", str)
PartitionId = NewType("PartitionId", int)
QueueName = NewType("QueueName", str)
CommandId = NewType("CommandId", int)

DEFAULT_QUEUE = QueueName("default")
_PINNED = "@"  # between the parts of the name of a pinned version's inbox


def checked_workflow_id(value: object) -> WorkflowId:
    """Return `value` as a workflow id.

    Raises `InvalidIdError` if it is not text, is empty, is longer than `_limits.ID_BYTES_MAX` bytes of UTF-8,
    or holds control characters (they would break log lines and terminal output).
    """
    return WorkflowId(_checked(value, "workflow id"))


def checked_queue(value: object) -> QueueName:
    """Return `value` as the name of a task queue, under the rules of `checked_workflow_id`; it must not hold "@" either."""
    return QueueName(_without_separator(_checked(value, "task queue name"), "task queue name"))


def checked_version(value: object) -> str:
    """Return `value` as the version of a workflow: as `checked_queue`, and at most `_limits.VERSION_BYTES_MAX` bytes long."""
    checked = _without_separator(_checked(value, "workflow version"), "workflow version")
    if len(checked.encode()) > _limits.VERSION_BYTES_MAX:
        raise InvalidIdError(
            f"a workflow version may be {_limits.VERSION_BYTES_MAX} bytes long, got {checked[:40]!r}...: "
            "a number or the id of a build will do"
        )
    return checked


def inbox_of(queue: str, workflow: str, version: str, *, pinned: bool) -> str:
    """Return the inbox of a run: that of its queue, or, of a pinned version of a workflow, one of its own on that queue.

    Part of the stored format: it must never change.
    """
    return f"{queue}{_PINNED}{workflow}{_PINNED}{version}" if pinned else queue


def queue_of(inbox: str) -> str:
    """Return the task queue that `inbox` belongs to."""
    return inbox.partition(_PINNED)[0]


def pinned_version_of(inbox: str) -> tuple[str, str] | None:
    """Return the workflow and the version that `inbox` is of, or None if it is that of a queue."""
    rest = inbox.partition(_PINNED)[2]
    if not rest:
        return None
    workflow, _, version = rest.rpartition(_PINNED)
    return workflow, version


def is_pinned(inbox: str) -> bool:
    """Return whether `inbox` is that of a pinned version."""
    return _PINNED in inbox


def checked_name(value: object, what: str) -> str:
    """Return `value` as the name of a workflow, an activity or a message (`what` says which, for the error)."""
    return _checked(value, what)


def checked_choice(value: object, known: Sequence[str], what: str) -> str:
    """Return `value` if it is one of `known`. Raises `ValueError` naming `what` and those that there are."""
    if value not in known:
        raise ValueError(f"{what}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return str(value)


def _without_separator(value: str, what: str) -> str:
    if _PINNED in value:
        raise InvalidIdError(f"a {what} must not hold {_PINNED!r}, got {value!r}")
    return value


def _checked(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidIdError(f"expected a {what} as text, got {value!r} of type {type(value).__name__}")
    if not value:
        raise InvalidIdError(f"a {what} must not be empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidIdError(f"a {what} must be valid Unicode, got {value!r}") from None
    if size > _limits.ID_BYTES_MAX:
        raise InvalidIdError(
            f"a {what} may be {_limits.ID_BYTES_MAX} bytes long, this one has {size}: {value[:40]!r}..."
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise InvalidIdError(f"a {what} must not hold control characters, got {value!r}")
    return value
