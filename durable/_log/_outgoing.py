"""The outbox: what a run sends to other runs, kept in its own partition until it was relayed (invariant 3)."""

import msgspec

from ..errors import DamagedRecordError
from ..history import UNREADABLE
from ..stores import Entry, Outgoing
from ._children import ChildRef
from ._messages import ChildEnded, Message, RequestCancel, SendSignal, StartRun, Terminate, message_entry
from ._partitions import partition_of


class WatchChild(Message, frozen=True, kw_only=True):
    """The relay is to look at a child and tell how it ended, if it has. It goes to nobody.

    `child_run` is the id of the child's first run.
    """

    child_run: str


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message on its way. Its sender is command `id` of run `run_id`, issued after reopening `reopened`.

    `part` tells apart what one command sends; the sender is told of the outcome of the first part, "out", and of no other.
    With `child`, the message is for that child's present run and no other run of the workflow id `target`. A `StartRun` makes
    the run that it is for.
    """

    workflow_id: str
    run_id: str
    id: int
    target: str  # the workflow id it is for
    message: SendSignal | RequestCancel | StartRun | Terminate | ChildEnded | WatchChild
    part: str = "out"
    reopened: int = 0
    child: ChildRef | None = None

    @property
    def key(self) -> str:
        """The id that makes a repeat recognizable, here and at the receiver."""
        return outgoing_key(self.run_id, self.id, self.part, self.reopened)

    @property
    def tells(self) -> bool:
        """Whether the sender's run is told of the outcome."""
        return self.part == "out"

    def entry(self) -> Entry:
        """Return the entry for the receiver's inbox."""
        return message_entry(self.key, self.target, self.message)


class OutgoingEnded(Message, frozen=True, kw_only=True):
    """What command `id` sent was delivered, or was not for the reason in `failure`; `started` is the id of a run that it made.

    The owner gives it to itself; it is never stored.
    """

    id: int
    failure: dict[str, object] | None = None
    reopened: int = 0
    started: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(OutgoingMessage)


def outgoing_key(run_id: str, command: int, part: str = "out", reopened: int = 0) -> str:
    """Return the id of what a command sends."""
    return f"{run_id}/{command}.{reopened}/{part}" if reopened else f"{run_id}/{command}/{part}"


def write_outgoing(item: OutgoingMessage, partitions: int) -> Outgoing:
    """Return `item` as an outgoing entry of the store."""
    return Outgoing(item.key, partition_of(item.target, partitions), _encoder.encode(item))


def read_outgoing(outgoing: Outgoing) -> OutgoingMessage:
    """Return the message in an outgoing entry. Raises `DamagedRecordError`."""
    try:
        return _decoder.decode(outgoing.data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"the outgoing entry {outgoing.id!r} cannot be read: {error}") from None
