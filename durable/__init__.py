"""Durable functions: ordinary `async def` code that survives the death of its process.

Everything that a user needs is importable from here. Names are loaded on first use (PEP 562), so that a process that
only asks does not load what runs code.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import errors as errors
    from ._retention import ArchivedRun as ArchivedRun
    from ._retention import FolderArchive as FolderArchive
    from .author import ActivityInfo as ActivityInfo
    from .author import Attribute as Attribute
    from .author import ChildHandle as ChildHandle
    from .author import ParentInfo as ParentInfo
    from .author import Query as Query
    from .author import RunInfo as RunInfo
    from .author import Signal as Signal
    from .author import Update as Update
    from .author import activity as activity
    from .author import activity_info as activity_info
    from .author import all_handlers_finished as all_handlers_finished
    from .author import complete_later as complete_later
    from .author import continue_as_new as continue_as_new
    from .author import deprecate_patch as deprecate_patch
    from .author import external as external
    from .author import heartbeat as heartbeat
    from .author import info as info
    from .author import local as local
    from .author import logger as logger
    from .author import now as now
    from .author import patched as patched
    from .author import proxy as proxy
    from .author import random as random
    from .author import side_effect as side_effect
    from .author import sleep as sleep
    from .author import start_child as start_child
    from .author import upsert_attributes as upsert_attributes
    from .author import uuid4 as uuid4
    from .author import wait_condition as wait_condition
    from .author import workflow as workflow
    from .client import ActivityHandle as ActivityHandle
    from .client import Client as Client
    from .client import Handle as Handle
    from .client import Health as Health
    from .client import Pruned as Pruned
    from .client import RunDescription as RunDescription
    from .client import UpdateHandle as UpdateHandle
    from .codec import JsonCodec as JsonCodec
    from .codec import PickleCodec as PickleCodec
    from .interceptors import Interceptor as Interceptor
    from .retry import RetryPolicy as RetryPolicy
    from .stores import Finding as Finding
    from .worker import Worker as Worker

__all__ = [
    "ActivityHandle",
    "ActivityInfo",
    "ArchivedRun",
    "Attribute",
    "ChildHandle",
    "Client",
    "Finding",
    "FolderArchive",
    "Handle",
    "Health",
    "Interceptor",
    "JsonCodec",
    "ParentInfo",
    "PickleCodec",
    "Pruned",
    "Query",
    "RetryPolicy",
    "RunDescription",
    "RunInfo",
    "Signal",
    "Update",
    "UpdateHandle",
    "Worker",
    "activity",
    "activity_info",
    "all_handlers_finished",
    "complete_later",
    "continue_as_new",
    "deprecate_patch",
    "errors",
    "external",
    "heartbeat",
    "info",
    "local",
    "logger",
    "now",
    "patched",
    "proxy",
    "random",
    "side_effect",
    "sleep",
    "start_child",
    "upsert_attributes",
    "uuid4",
    "wait_condition",
    "workflow",
]

_MODULES = {
    "_retention": ("ArchivedRun", "FolderArchive"),
    "author": (
        "ActivityInfo", "Attribute", "ChildHandle", "ParentInfo", "Query", "RunInfo", "Signal", "Update", "activity", "activity_info",
        "all_handlers_finished", "complete_later", "continue_as_new", "deprecate_patch",
        "external", "heartbeat", "info", "local", "logger", "now", "patched", "proxy", "random", "side_effect", "sleep", "start_child",
        "upsert_attributes", "uuid4", "wait_condition", "workflow",
    ),
    "client": ("ActivityHandle", "Client", "Handle", "Health", "Pruned", "RunDescription", "UpdateHandle"),
    "codec": ("JsonCodec", "PickleCodec"),
    "interceptors": ("Interceptor",),
    "retry": ("RetryPolicy",),
    "stores": ("Finding",),
    "worker": ("Worker",),
}  # fmt: skip
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from its module, once."""
    if name == "errors":
        return import_module(f"{__name__}.errors")  # which also binds it here
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
