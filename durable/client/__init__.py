"""The process that asks: starts runs, sends them messages, waits for them, and looks at them."""

from ._activity import ActivityHandle
from ._client import Client
from ._description import ForkInfo, RunDescription
from ._handle import Handle
from ._health import Health, PartitionHealth, WorkerHealth
from ._options import StartOptions
from ._parked import Parked, ParkedTask
from ._prune import Pruned
from ._updates import UpdateHandle
from ._versions import PatchUse, VersionUse

__all__ = [
    "ActivityHandle", "Client", "ForkInfo", "Handle", "Health", "Parked", "ParkedTask", "PartitionHealth", "PatchUse", "Pruned",
    "RunDescription", "StartOptions", "UpdateHandle", "VersionUse", "WorkerHealth",
]  # fmt: skip
