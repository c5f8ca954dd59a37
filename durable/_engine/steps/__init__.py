"""The step, a family of messages a file. See `_step`."""

from ._lifecycle import begin, redeliver
from ._local import deliver_local, pending_local
from ._step import finish, step
from ._updates import closed_reply

__all__ = ["begin", "closed_reply", "deliver_local", "finish", "pending_local", "redeliver", "step"]
