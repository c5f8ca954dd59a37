"""The keys of a namespace: the one place where they are made. Every key of a partition has the same hash tag."""

from binascii import crc_hqx
from collections.abc import Mapping

# What a partition has one of. What is in each is said at the top of the Lua file that writes it.
FIXED: Mapping[str, str] = {
    "numbers": "hash",
    "entries": "hash",
    "waiting": "hash",
    "documents": "hash",
    "bodies": "hash",
    "attributes": "hash",
    "open": "hash",
    "latest": "hash",
    "by_id": "zset",
    "names": "zset",
    "closed": "zset",
    "leases": "hash",
    "live": "zset",
    "expired": "zset",
    "sessions": "hash",
    "tasks": "hash",
    "states": "hash",
    "progress": "hash",
    "ready": "zset",
    "held": "zset",
    "lapsed": "zset",
    "replies": "hash",
    "reply_expiry": "zset",
}
NAMED: Mapping[str, str] = {
    "inbox": "stream",
    "dues": "zset",
    "due_data": "hash",
    "outgoing": "zset",
    "outgoing_data": "hash",
    "history": "list",
}


class Keys:
    """The keys of one partition."""

    def __init__(self, namespace: str, partition: int) -> None:
        self.partition = partition
        tag = f"{namespace}:{partition}"
        self.slot = _slot(tag)  # of a cluster: the same for all its keys
        self._prefix = f"{{{tag}}}:".encode()
        self.fixed = {name: self._prefix + name.encode() for name in FIXED}
        self._of_inbox: dict[str, tuple[bytes, ...]] = {}

    def inbox(self, inbox: str) -> bytes:
        """Return the stream of an inbox."""
        return self._prefix + b"inbox:" + inbox.encode()

    def history(self, stream: str) -> bytes:
        """Return a stream of records, which is a list (docs/decisions/0015-redis-store.md)."""
        return self._prefix + b"history:" + stream.encode()

    def dues(self, inbox: str) -> tuple[bytes, bytes]:
        """Return the dues of an inbox: their times and their data."""
        return self._prefix + b"dues:" + inbox.encode(), self._prefix + b"due_data:" + inbox.encode()

    def outgoing(self, inbox: str) -> tuple[bytes, bytes]:
        """Return what goes out from an inbox: its order and its data."""
        return self._prefix + b"outgoing:" + inbox.encode(), self._prefix + b"outgoing_data:" + inbox.encode()

    def trial(self) -> bytes:
        """Return the key on which it is tried what the user may do. It never stays."""
        return self._prefix + b"trial"

    def of_inbox(self, inbox: str) -> tuple[bytes, ...]:
        """Return all keys of an inbox, in the order in which a commit takes them."""
        found = self._of_inbox.get(inbox)
        if found is None:  # an owner commits to few inboxes, over and over
            found = self._of_inbox[inbox] = (self.inbox(inbox), *self.dues(inbox), *self.outgoing(inbox))
        return found


class Shared:
    """The key of what is fixed when a namespace is made, which all partitions share."""

    def __init__(self, namespace: str) -> None:
        tag = f"{namespace}:"
        self.slot = _slot(tag)
        self.key = f"{{{tag}}}:namespace".encode()


def _slot(tag: str) -> int:
    """Return the slot of a cluster that keys with this hash tag are in."""
    return crc_hqx(tag.encode(), 0) % 16_384


def channel_prefix(namespace: str) -> bytes:
    """Return what all channels of a namespace begin with; a topic follows."""
    return f"{{{namespace}:}}:".encode()
