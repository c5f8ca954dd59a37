"""A run in its place: the code in memory, and where its history stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._log import RecordBody
from .._runtime.options import WorkflowSpec
from .._runtime.replay import plainly, replayed
from .._runtime.run import Run
from ..codec import Codec
from ..history import AttributeValue, Close, Event, RecordedEvent, effective


@dataclass(slots=True, eq=False, weakref_slot=True)
class Execution:
    """A run's live state: a cache of its history up to event `seq`. `run` is None before its first event.

    `note` is what its record says of why it is stuck; `closed` the status that its history ends with; `failed_at` the number of
    the event at whose delivery the code ended. `body` and `attributes` are what its record holds as of the last commit.
    """

    workflow_id: str
    run_id: str
    spec: WorkflowSpec | None  # None where the run is closed without its code
    codec: Codec
    seq: int = 0
    run: Run | None = None
    note: str = ""
    closed: str = ""
    failed_at: int = 0
    body: RecordBody = field(default_factory=RecordBody)
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    superseded: str = ""  # of a closed run: the latest one of its workflow id, if that has another queue or version
    ended: bool = False  # the log has its close; `closed` may be of a step that is not committed yet

    def dispose(self) -> None:
        """Drop the code's state."""
        if self.run is not None:
            self.run.dispose()
            self.run = None


def rebuild(
    execution: Execution, history: list[RecordedEvent], watched: Callable[[Callable[[], None]], None] = plainly
) -> None:
    """Replay `history`, the whole of it, into `execution`. Raises what `durable._runtime.replay.replayed` raises."""
    events: list[Event] = [recorded.event for recorded in effective(history)]
    execution.seq = len(history)
    if events:
        assert execution.spec is not None
        execution.run = replayed(execution.spec, execution.codec, events, watched)
        last = events[-1]
        execution.closed = last.status if isinstance(last, Close) else ""
        execution.ended = bool(execution.closed)
