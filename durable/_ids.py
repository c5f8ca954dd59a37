"""Names of the things we number: plain strings and integers with a type each, and the checks on those that users choose."""

from typing import NewType

from . import _limits
from .errors import InvalidIdError

WorkflowId = NewType("WorkflowId", str)
RunId = NewType("RunId", str)
PartitionId = NewType("PartitionId", int)
QueueName = NewType("QueueName", str)
CommandId = NewType("CommandId", int)

DEFAULT_QUEUE = QueueName("default")


def checked_workflow_id(value: object) -> WorkflowId:
    """Return `value` as a workflow id.

    Raises `InvalidIdError` if it is not text, is empty, is longer than `_limits.ID_BYTES_MAX` bytes of UTF-8,
    or holds control characters (they would break log lines and terminal output).
    """
    return WorkflowId(_checked(value, "workflow id"))


def checked_queue(value: object) -> QueueName:
    """Return `value` as the name of a task queue, under the rules of `checked_workflow_id`."""
    return QueueName(_checked(value, "task queue name"))


def checked_name(value: object, what: str) -> str:
    """Return `value` as the name of a workflow, an activity or a message (`what` says which, for the error)."""
    return _checked(value, what)


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
