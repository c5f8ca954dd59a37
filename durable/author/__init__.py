"""What an author writes with: workflows, activities, messages, and durable replacements for time and chance."""

from ._activity import Activity, activity, collect_activities
from ._activity_context import ActivityInfo, activity_info, complete_later, heartbeat
from ._attributes import (
    Attribute,
    AttributeCondition,
    Attributes,
    attributes_at_start,
    stored_attributes,
    stored_moment,
    upsert_attributes,
)
from ._children import ChildHandle, start_child
from ._continue import ContinuingAsNew, continue_as_new
from ._external import external
from ._handlers import all_handlers_finished
from ._info import ParentInfo, RunInfo, info, logger
from ._memo import Memo, stored_memo
from ._proxy import local, proxy
from ._queries import Query
from ._signals import Signal
from ._time import deprecate_patch, now, patched, random, side_effect, sleep, uuid4, wait_condition
from ._updates import Update
from ._workflow import Workflow, workflow

__all__ = [
    "Activity",
    "ActivityInfo",
    "Attribute",
    "AttributeCondition",
    "Attributes",
    "ChildHandle",
    "ContinuingAsNew",
    "Memo",
    "ParentInfo",
    "Query",
    "RunInfo",
    "Signal",
    "Update",
    "Workflow",
    "activity",
    "activity_info",
    "all_handlers_finished",
    "attributes_at_start",
    "collect_activities",
    "complete_later",
    "continue_as_new",
    "deprecate_patch",
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
    "stored_attributes",
    "stored_memo",
    "stored_moment",
    "upsert_attributes",
    "uuid4",
    "wait_condition",
    "workflow",
]
