"""The commands of workflow code, each with its own small state machine."""

from ._command import Command, CommandFuture, DeferringFuture
from .activity import ActivityCommand, schedule_activity
from .attributes import record_attributes
from .child import ChildCommand, start_child_command
from .external import ExternalCommand, send_cancel, send_signal
from .local import LocalActivityCommand, schedule_local
from .markers import is_patched, mark_deprecated, record_side_effect
from .timer import TimerCommand, cancel_timer, start_timer

__all__ = [
    "ActivityCommand",
    "ChildCommand",
    "Command",
    "CommandFuture",
    "DeferringFuture",
    "ExternalCommand",
    "LocalActivityCommand",
    "TimerCommand",
    "cancel_timer",
    "is_patched",
    "mark_deprecated",
    "record_attributes",
    "record_side_effect",
    "schedule_activity",
    "schedule_local",
    "send_cancel",
    "send_signal",
    "start_child_command",
    "start_timer",
]
