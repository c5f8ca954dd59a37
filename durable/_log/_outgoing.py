"""The outbox: what a run sends to runs of other partitions, kept in its own partition until it was relayed (invariant 3)."""

import msgspec

from ..errors import DamagedRecordError
from ..history import UNREADABLE
from ..stores import Entry, Outgoing
from ._messages import Message, RequestCancel, SendSignal, message_entry
from ._partitions import partition_of


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message on its way. Its sender is command `id` of run `run_id`, which is told of the outcome."""

    workflow_id: str
    run_id: str
    id: int
    target: str  # the workflow id it is for
    message: SendSignal | RequestCancel

    @property
    def key(self) -> str:
        """The id that makes a repeat recognizable, here and at the receiver."""
        return outgoing_key(self.run_id, self.id)

    def entry(self) -> Entry:
        """Return the entry for the receiver's inbox."""
        return message_entry(self.key, self.target, self.message)


class OutgoingEnded(Message, frozen=True, kw_only=True):
    """What command `id` sent was delivered, or was not for the reason in `failure`. The owner gives it to itself; it is never stored."""

    id: int
    failure: dict[str, object] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(OutgoingMessage)


def outgoing_key(run_id: str, command: int) -> str:
    """Return the id of what a command sends."""
    return f"{run_id}/{command}/out"


def write_outgoing(item: OutgoingMessage, partitions: int) -> Outgoing:
    """Return `item` as an outgoing entry of the store."""
    return Outgoing(item.key, partition_of(item.target, partitions), _encoder.encode(item))


def read_outgoing(outgoing: Outgoing) -> OutgoingMessage:
    """Return the message in an outgoing entry. Raises `DamagedRecordError`."""
    try:
        return _decoder.decode(outgoing.data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"the outgoing entry {outgoing.id!r} cannot be read: {error}") from None
