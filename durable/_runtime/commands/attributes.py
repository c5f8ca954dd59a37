"""The command that sets attributes of the run: done as soon as it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...history import AttributesUpserted, AttributeValue

if TYPE_CHECKING:
    from ..run import Run


def record_attributes(run: Run, values: Mapping[str, AttributeValue | None], check: Callable[[], None]) -> None:
    """Set the attributes `values` of `run`; None removes one. On replay, those that were recorded.

    `check` raises if the run cannot have them: then nothing is recorded, and its next replay asks for nothing either.
    """
    id = run.next_command_id()  # noqa: A001 - the field's name
    matcher = run.matcher
    if matcher.replaying:
        event = matcher.take(AttributesUpserted, id)
        if event is None:
            check()  # it may have been refused at the time, and so have left no event: then it is now as it was then
            run.diverge(f"attributes {', '.join(sorted(values))} (#{id})")
        if matcher.observe is not None:
            matcher.observe(event, lambda: dict(values))
    else:
        run.check_may_command("attributes")
        check()
        event = AttributesUpserted(at=run.now_ms, id=id, values=dict(values))
        run.emit(event)
    run.attributes = {name: value for name, value in {**run.attributes, **event.values}.items() if value is not None}
    run.record_changed = True
