"""The step, a family of messages a file. See `_step`."""

from ._deliver import deliver
from ._lifecycle import begin
from ._local import deliver_local, pending_local, retry_local
from ._step import deliver_more, finish, step
from ._updates import closed_reply

__all__ = [
    "begin", "closed_reply", "deliver", "deliver_local", "deliver_more", "finish", "pending_local", "retry_local", "step",
]  # fmt: skip
