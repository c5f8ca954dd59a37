"""What follows from commands: tasks, dues, outgoing messages, and their removal. Pure. A family of commands a file."""

from ._activities import activity_task, add_deferral, drop_deferral, drop_limits, expect_heartbeat
from ._children import child_end, child_ended, failure_of_child, parent_closed
from ._effects import add_all, add_effects, drop_all, drop_command
from ._local import add_local_retry
from ._runs import add_run_timeout

__all__ = [
    "activity_task", "add_all", "add_deferral", "add_effects", "add_local_retry", "add_run_timeout", "child_end",
    "child_ended", "drop_all", "drop_command", "drop_deferral", "drop_limits", "expect_heartbeat", "failure_of_child",
    "parent_closed",
]  # fmt: skip
