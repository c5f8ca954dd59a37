"""What an author writes with: workflows, activities, messages, and durable replacements for time and chance."""

from ._activity import Activity, activity, collect_activities
from ._activity_context import ActivityInfo, activity_info, heartbeat
from ._external import external
from ._info import RunInfo, info, logger
from ._messages import Query, Signal
from ._proxy import local, proxy
from ._time import now, patched, random, side_effect, sleep, uuid4, wait_condition
from ._workflow import Workflow, workflow

__all__ = [
    "Activity",
    "ActivityInfo",
    "Query",
    "RunInfo",
    "Signal",
    "Workflow",
    "activity",
    "activity_info",
    "collect_activities",
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
    "uuid4",
    "wait_condition",
    "workflow",
]
