"""What a start may be given beside the workflow and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast, get_args

from .._duration import Duration
from .._ids import checked_choice
from ..author import Attribute

OnConflict = Literal["fail", "use_existing", "terminate_existing"]
Reuse = Literal["allow", "after_failure", "never"]

ENDED_BADLY = ("failed", "cancelled", "terminated", "timed_out")


class StartOptions(TypedDict, total=False):
    """The options of `start`, `execute` and `start_with_signal`; each may be left out.

    `id` is the workflow id, unique among open runs (default: a new one); `queue` names the workers that run it (default:
    "default"). `run_timeout` ends the run as timed out, counted from its start (default: the workflow's own);
    `execution_timeout` ends the whole chain of runs that continue each other as new, and with it the run that is current then.

    `on_conflict` says what happens if a run of the id is open: "fail" (the default) raises `RunAlreadyOpenError`, "use_existing" returns
    the open run's handle and starts nothing, "terminate_existing" terminates it, waits until a worker has done so, and
    starts the new run. `reuse` says whether a closed run of the id is in the way: "allow" (the default) never,
    "after_failure" unless it failed, or was cancelled, terminated or timed out, "never" always; then `WorkflowIdUsedError` is raised.
    A chain counts as one run, and the latest one of the id is what counts. Both hold whoever else starts the id at the same time.

    `request_id` makes a repeat of the call harmless: it returns the run that the first one started, while that is the
    latest of its id. `attributes` are what the run is found by, `memo` is JSON data that is only shown: both are in `describe` and
    `list` at once. `version` is for a workflow by name: the run is pinned to it, as `@workflow(version=..., pinned=True)` says.
    """

    id: str | None
    queue: str
    run_timeout: Duration | None
    execution_timeout: Duration | None
    on_conflict: OnConflict
    reuse: Reuse
    request_id: str | None
    version: str | None
    attributes: Mapping[Attribute[Any], Any] | None
    memo: Mapping[str, Any] | None


def checked_on_conflict(value: object) -> OnConflict:
    """Return `value` if it is a conflict policy. Raises `ValueError` naming those that there are."""
    return cast(OnConflict, checked_choice(value, get_args(OnConflict), "on_conflict"))


def checked_reuse(value: object) -> Reuse:
    """Return `value` if it is a reuse policy. Raises `ValueError` naming those that there are."""
    return cast(Reuse, checked_choice(value, get_args(Reuse), "reuse"))
