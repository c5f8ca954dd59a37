"""What a step decides: the events of a run and all that follows from them, before it is encoded into a commit."""

from dataclasses import dataclass, field

from .._log import ActivityTask, AnyDue, DueItem, Message, OutgoingMessage, QueryReply, StartRun
from ..history import AttributeValue, Event
from ..stores import ClaimedTask


@dataclass(frozen=True, slots=True)
class Damaged:
    """Stands for an inbox entry that cannot be read: whoever it is for is stuck, and says so."""

    problem: str
    run_id: None = None


@dataclass(slots=True)
class Delivery:
    """Something for a run, and what to remove from the log once its effects are recorded."""

    name: str
    message: Message | DueItem | Damaged
    seq: int = 0  # of its inbox entry
    entry: str = ""  # the id of that entry
    due_key: str = ""
    claimed: ClaimedTask | None = None  # of a local result
    relayed: str = ""  # the id of the outgoing entry whose outcome this is


@dataclass(slots=True)
class Decision:
    """The outcome of one step of one run. Tasks and dues that were made and given up in the same step are in neither list."""

    events: list[Event] = field(default_factory=list[Event])
    tasks: dict[str, tuple[ActivityTask, str]] = field(
        default_factory=dict[str, tuple[ActivityTask, str]]
    )  # by task id: the task and its queue
    tasks_removed: list[str] = field(default_factory=list[str])
    tasks_cancelled: list[str] = field(default_factory=list[str])  # whose holders are to be told to stop
    ended_by_cancel: list[int] = field(
        default_factory=list[int]
    )  # activities that end by the cancellation just asked for
    dues: dict[str, tuple[AnyDue, int]] = field(
        default_factory=dict[str, tuple[AnyDue, int]]
    )  # by key: the item and when it is due
    dues_removed: list[str] = field(default_factory=list[str])
    outgoing: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])
    replies: list[tuple[str, QueryReply]] = field(default_factory=list[tuple[str, QueryReply]])
    body: bytes | None = None  # of the run's record, if it changes
    attributes: dict[str, AttributeValue | None] | None = None  # those of the record that change; None removes one
    closed: str = ""  # the status the run is closed with
    continued: StartRun | None = None  # the run that it continues as
    reopened: bool = False
    held: list[Delivery] = field(default_factory=list[Delivery])  # updates without a handler yet: not consumed
    retry_reply: str = ""  # whom to tell if the reopening is refused

    def add_due(self, item: AnyDue, due_ms: int) -> None:
        """Set a due."""
        self.dues[item.key] = (item, due_ms)

    def drop_due(self, key: str) -> None:
        """Take a due back."""
        if self.dues.pop(key, None) is None:
            self.dues_removed.append(key)

    def drop_task(self, task_id: str) -> None:
        """Take a task back."""
        if self.tasks.pop(task_id, None) is None:
            self.tasks_removed.append(task_id)
