"""How an attempt ended, as the message that its run gets."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from .._log import ActivityEnded, ActivityTask
from ..author._activity_context import ActivityContext, CompleteLater
from ..codec import failure_of
from ..history import to_raw
from ._plans import Plan

logger = logging.getLogger("durable.worker")

_FRAME = re.compile(r'File "(.*)", line (\d+), in (.*)')


def returned(plan: Plan, task: ActivityTask, context: ActivityContext, value: Any) -> ActivityEnded:
    """Return the message for an attempt that returned `value`; one that cannot be recorded is a failure. Never raises."""
    if isinstance(value, CompleteLater):
        return _deferred(task, context)
    try:
        raw = to_raw(plan.signature.encode_result(plan.codec, value, what=plan.what_result))
    except Exception as error:  # a codec's bug too: whatever it is, the attempt must have an end
        return failed(plan, task, context, error)
    return ActivityEnded(run_id=task.run_id, id=task.id, attempt=task.attempt, result=raw)


def _deferred(task: ActivityTask, context: ActivityContext) -> ActivityEnded:
    return ActivityEnded(
        run_id=task.run_id,
        id=task.id,
        attempt=task.attempt,
        how="deferred",
        started_ms=round(context.info.started_at.timestamp() * 1000),
        details=_details(context),
    )


def _details(context: ActivityContext) -> msgspec.Raw | msgspec.UnsetType:
    """What an earlier attempt said holds until a later one says something else: progress is not lost by a bad start."""
    said = context.said if context.said is not None else context.previous
    return said if said is not None else msgspec.UNSET


def stopped(task: ActivityTask) -> ActivityEnded:
    """Return the message for an attempt that ended because its cancellation was asked for."""
    return ActivityEnded(run_id=task.run_id, id=task.id, attempt=task.attempt, how="cancelled")


def failed(
    plan: Plan, task: ActivityTask, context: ActivityContext, error: BaseException, *, timeout: str = ""
) -> ActivityEnded:
    """Return the message for an attempt that raised `error`; declared errors are marked as not to be retried."""
    failure = failure_of(error, plan.codec, known=plan.raises)
    if plan.raises and isinstance(error, plan.raises):
        failure = replace(failure, retryable=False)
    return ActivityEnded(
        run_id=task.run_id,
        id=task.id,
        attempt=task.attempt,
        failure=failure.as_wire(),
        timeout=timeout,
        details=_details(context),
    )


def log_failure(task: ActivityTask, failure: Mapping[str, Any]) -> None:
    """Log a failed attempt: what failed, for which run, why and where. The traceback is in the history.

    One that was declared, or says itself that a repeat is of no use, is an answer that the workflow counts on: that is no
    warning. Whether another attempt follows is the engine's decision, by the policy of the call.
    """
    level = logging.INFO if failure.get("retryable") is False else logging.WARNING
    if logger.isEnabledFor(level):
        kind = str(failure.get("type", "")).removeprefix("builtins.")
        frames = _FRAME.findall(str(failure.get("traceback", "")))
        place = " ({}:{} in {})".format(*frames[-1]) if frames else ""
        logger.log(
            level, "activity %s #%d of %s failed, attempt %d: %s: %s%s",
            task.activity, task.id, task.workflow_id, task.attempt, kind, failure.get("message", ""), place,
        )  # fmt: skip


def perform(plan: Plan, task: ActivityTask, context: ActivityContext, args: Any, kwargs: Any) -> ActivityEnded | None:
    """Run a plain function in the calling thread, and return how it ended; None if it stopped because it was told to."""
    context.enter()
    try:
        value = plan.fn(*args, **kwargs)
    except asyncio.CancelledError as error:
        return None if context.cancelled else failed(plan, task, context, error)
    except BaseException as error:  # whatever it raises is its outcome, `SystemExit` too
        return failed(plan, task, context, error)
    return returned(plan, task, context, value)
