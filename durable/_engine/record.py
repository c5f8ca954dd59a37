"""What a run's code changes in its record: attributes, and the patches that it has marked. Written in the commit of the step."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .._log import RecordBody, write_body
from .._runtime.run import Run
from ..history import AttributeValue
from .decision import Decision
from .execution import Execution


def add_record_changes(execution: Execution, run: Run, decision: Decision) -> None:
    """Add to `decision` how the run's record is to change. Should its commit be refused, the execution is dropped."""
    run.record_changed = False
    body = _marked(execution.body, run)
    if body != execution.body:
        decision.body = write_body(body)
    changes = _changes(execution.attributes, run.attributes)
    if changes:
        decision.attributes = {**(decision.attributes or {}), **changes}
    execution.body, execution.attributes = body, run.attributes


def _marked(body: RecordBody, run: Run) -> RecordBody:
    """Return `body` with the patches of `run`. None is taken out: a mark that the code does not ask for any more is still in the history."""
    patches = {*body.patches, *(name for name, deprecated in run.marked.items() if not deprecated)}
    deprecated = {*body.deprecated_patches, *(name for name, is_so in run.marked.items() if is_so)}
    return msgspec.structs.replace(body, patches=tuple(sorted(patches)), deprecated_patches=tuple(sorted(deprecated)))


def _changes(
    before: Mapping[str, AttributeValue], after: Mapping[str, AttributeValue]
) -> dict[str, AttributeValue | None]:
    changes: dict[str, AttributeValue | None] = {
        name: value for name, value in after.items() if name not in before or not _same(before[name], value)
    }
    return changes | {name: None for name in before if name not in after}


def _same(one: AttributeValue, other: AttributeValue) -> bool:
    return type(one) is type(other) and one == other  # True == 1 == 1.0
