"""What follows from commands: tasks, dues, outgoing messages, and their removal. Pure. A family of commands a file."""

from ._activities import activity_task, drop_limits
from ._effects import add_all, add_effects, drop_all, drop_command
from ._runs import add_run_timeout

__all__ = [
    "activity_task", "add_all", "add_effects", "add_run_timeout", "drop_all", "drop_command", "drop_limits",
]  # fmt: skip
