"""A finished execution: what a property asserts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...author import Activity, Workflow
from ...codec import Codec
from ...errors import RunCancelledError, RunFailedError, RunOutcomeError, RunTerminatedError, RunTimedOutError
from ...history import Event, RecordedEvent
from ._story import Story

if TYPE_CHECKING:
    from ._outcomes import Outcomes

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Completed(Generic[R]):
    """The workflow returned `value`."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """`error` left the workflow's code."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The workflow ended by its cancellation."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The run reached its time limit."""


@dataclass(frozen=True, slots=True)
class Terminated:
    """The run was terminated: a child, by the close of its parent, for that `reason`."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run is still open, and nothing more happens to it; `on` says what it waits for. `cut_off`: it reached `max_events`."""

    on: tuple[str, ...]
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Continued:
    """The workflow continued as new: as `workflow`, with these arguments."""

    workflow: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(hash=False)


Outcome = Completed[R] | Failed | Cancelled | TimedOut | Terminated | Continued | Waiting


@dataclass(slots=True)
class Attempt:
    """One attempt of an activity. Times are since the start of the run. `effects` counts how often its code took effect.

    `ended` is None if its end did not reach the run; `how` says in words how it went. `deferred`: its code ended by `complete_later()`.
    """

    number: int
    started: timedelta
    ended: timedelta | None = None
    how: str = "running"
    effects: int = 0
    deferred: bool = False


@dataclass(slots=True)
class Call:
    """An activity that the workflow asked for, with its attempts. `id` is its number in the run, and its idempotency key.
    A child is one too, of one attempt, whose name in `activity` is that of the workflow after "child ".

    `status` is "completed", "failed", "cancelled" (by the workflow) or "pending"; `result` the value of a completed one.
    """

    id: int
    activity: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    scheduled: timedelta
    local: bool = False
    ended: timedelta | None = None
    status: str = "pending"
    result: Any = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    @property
    def effects(self) -> int:
        """How often its code took effect, over all attempts."""
        return sum(attempt.effects for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query answered after step number `after`: `value`, or the `error` that it raised."""

    query: str
    after: int
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Updated:
    """An update that arrived after step number `after`, and what became of it.

    `status` is "held" (nobody has a handler for it yet), "rejected", "accepted" (its handler has not ended), "completed" with
    `value`, as JSON data, or "failed". A rejected or failed one has the `error` that its caller gets the cause of.
    """

    update: str
    after: int
    status: str = "held"
    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline: an event, or something that no history knows of."""

    at_ms: int
    what: Event | str
    step: int


class ExecutionError(AssertionError):
    """An execution did what no execution may do: it cannot be replayed, is stuck, or was changed by a query.

    The message has the timeline and a line of code that makes the execution again; `story` is its story.
    """

    def __init__(self, message: str, *, story: Story | None = None, events: int = 0) -> None:
        super().__init__(message)
        self.story, self.events = story, events


@dataclass(frozen=True, repr=False, eq=False, slots=True)
class Execution(Generic[R]):
    """One execution of a workflow from its start until it ended, or until nothing more happened to it.

    `history` has its events, `calls` the activities that it asked for in that order, `duration` the virtual time that it
    took, `answers` what queries were answered, `updates` what became of each update, `crashes` how often it was replayed on the way. `children` has the
    executions of those children, and children of these, whose own code was run, in the order of their starts. `story` makes it again.
    """

    workflow: Workflow[..., Any]
    story: Story
    outcome: Outcome[R]
    history: tuple[RecordedEvent, ...]
    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    duration: timedelta
    crashes: int
    codec: Codec = field(repr=False)
    log: tuple[Entry, ...] = field(repr=False)
    name: str = ""  # of the workflow, as code writes it
    updates: tuple[Updated, ...] = ()
    children: tuple[Execution[Any], ...] = ()

    @property
    def result(self) -> R:
        """The workflow's result. Raises what `handle.result()` would raise, `TimeoutError` if the run is still open, and
        `RunOutcomeError` if it continued as new.
        """
        match self.outcome:
            case Completed(value):
                return value
            case Failed(error):
                raise RunFailedError(f"the workflow failed: {type(error).__name__}: {error}") from error
            case Cancelled():
                raise RunCancelledError("the workflow was cancelled")
            case TimedOut():
                raise RunTimedOutError("the workflow reached its time limit")
            case Terminated(reason):
                raise RunTerminatedError(f"the workflow was terminated: {reason}")
            case Continued(name):
                raise RunOutcomeError(f"the workflow continued as a new run of {name}: that is another execution")
            case Waiting(on):
                raise TimeoutError(f"the run is still open, waiting for {', '.join(on) or 'nothing'}")

    @property
    def completed(self) -> bool:
        """Whether the workflow returned."""
        return isinstance(self.outcome, Completed)

    def calls_of(self, activity: Activity[..., Any] | Workflow[..., Any] | str) -> list[Call]:
        """Return the calls of an activity, or of a workflow as a child, in the order in which they were asked for."""
        name = activity if isinstance(activity, str) else activity.name
        if isinstance(activity, Workflow):
            name = f"child {name}"
        return [call for call in self.calls if call.activity == name]

    def effects_of(self, activity: Activity[..., Any] | Workflow[..., Any] | str) -> int:
        """Return how many calls of `activity` took effect. Attempts of one call count once: they share an idempotency key."""
        return sum(call.effects > 0 for call in self.calls_of(activity))

    def timeline(self) -> str:
        """Return what happened, line by line."""
        from ._timeline import timeline_of

        start_ms = self.log[0].at_ms if self.log else 0
        runs = [self, *self.children]
        return "\n\n".join(timeline_of(run.workflow.name, run.log, run.outcome, start_ms=start_ms) for run in runs)

    @staticmethod
    def from_story(
        workflow: Workflow[..., Any],
        story: Story | str,
        *,
        activities: Mapping[Any, Outcomes] | None = None,
        codec: Codec | None = None,
        max_events: int = 1_000,
        workflows: Sequence[Workflow[..., Any]] = (),
    ) -> Execution[Any]:
        """Return the execution of `workflow` that `story` tells: the line that a failing test prints makes the same call.

        `workflows` are the children whose own code the story runs.
        `activities` is needed only for what the story does not tell, as when the code was changed since. Raises
        `ExecutionError` as drawing it would, `ValueError` for text that is no story.
        """
        from ._outcomes import by_name
        from ._play import play

        told = Story.read(story) if isinstance(story, str) else story
        given = by_name(activities or {})
        return play(workflow, told, codec=codec, outcomes=given, max_events=max_events, workflows=workflows)

    def __repr__(self) -> str:
        ran = sorted({child.workflow.fn.__name__ for child in self.children})
        return reproducing(self.name or self.workflow.fn.__name__, self.story, ran)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints: the line that makes the execution again, not its fields."""
        printer.text(repr(self))


def reproducing(name: str, story: Story, workflows: Sequence[str] = ()) -> str:
    """Return the line of code that makes an execution again; `workflows` are the children whose own code is run in it."""
    given = f", workflows=[{', '.join(workflows)}]" if workflows else ""
    return f"Execution.from_story({name}, {str(story)!r}{given})"


def offset(at_ms: int, start_ms: int) -> timedelta:
    """Return a time as it is since the start."""
    return timedelta(milliseconds=at_ms - start_ms)
