"""The process that asks: starts runs, sends them messages, waits for them, and looks at them."""

from ._activity import ActivityHandle
from ._client import Client
from ._description import ForkInfo, RunDescription
from ._handle import Handle
from ._options import StartOptions
from ._parked import Parked, ParkedTask
from ._updates import UpdateHandle
from ._versions import PatchUse, VersionUse

__all__ = [
    "ActivityHandle", "Client", "ForkInfo", "Handle", "Parked", "ParkedTask", "PatchUse", "RunDescription", "StartOptions",
    "UpdateHandle",
    "VersionUse",
]  # fmt: skip
