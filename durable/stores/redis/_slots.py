"""Which server of a cluster serves which slot, and what follows from an answer that says otherwise."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError

from ._calls import Call, Plain
from ._clients import Address
from ._errors import code_of

SLOTS = 16_384


class SlotMap:
    """The primary of each slot, as it was told last. Both the loop and the thread that renews use it."""

    def __init__(self, seeds: Sequence[Address]) -> None:
        self._primaries: list[Address | None] = [None] * SLOTS
        self._seeds = list(seeds)
        self._known = list(seeds)  # whom to ask for the map; who did not answer last
        self._lock = threading.Lock()
        self.stale = True

    def primary(self, slot: int) -> Address | None:
        """Return who serves a slot; None if nobody does."""
        return self._primaries[slot]

    def primaries(self) -> list[Address]:
        """Return all of them."""
        return list(dict.fromkeys(each for each in self._primaries if each is not None))

    def to_ask(self) -> list[Address]:
        """Return whom to ask for the map, one after the other."""
        with self._lock:
            return list(dict.fromkeys([*self._known, *self._seeds]))

    def failed(self, address: Address) -> None:
        """Note that a server does not answer: the map may have changed, and that one is asked last."""
        with self._lock:
            if address in self._known:
                self._known.remove(address)
                self._known.append(address)
            self.stale = True

    def moved(self, slot: int, address: Address) -> None:
        """Note that a server said who serves a slot now. Others may have moved too: that one knows, and is asked first."""
        with self._lock:
            self._primaries[slot] = address
            self._known = [address, *(each for each in self._known if each != address)]
            self.stale = True

    def replace(self, answer: Any, asked: Address) -> None:
        """Take the map from an answer to CLUSTER SLOTS. A server that does not know its own name leaves it out."""
        primaries: list[Address | None] = [None] * SLOTS
        known = [asked]
        for first, last, *servers in answer:
            addresses = [_address(server, asked) for server in servers]
            primaries[first : last + 1] = [addresses[0]] * (last + 1 - first)
            known += addresses
        with self._lock:
            self._primaries = primaries
            self._known = list(dict.fromkeys(known))
            self.stale = False


def _address(server: Sequence[Any], asked: Address) -> Address:
    host: Any = server[0]
    text = host.decode() if isinstance(host, bytes) else host
    return Address(asked.host if text in (None, "", "?") else text, int(server[1]))


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that go to one server in one round trip. `asking`: their slots are being moved to it."""

    address: Address
    asking: bool
    indexes: Sequence[int]


class Routing:
    """Some calls on their way: which are to be sent where, and what came back.

    An answer that sends a call elsewhere, or says that its slot is served by nobody just now, was given before anything ran: it
    is safe to send that call again. After a connection broke it is not, and the error stays the answer.
    """

    def __init__(self, calls: Sequence[Call | Plain], slots: SlotMap) -> None:
        self.calls = calls
        self.answers: list[Any] = [None] * len(calls)
        self._slots = slots
        self._open = list(range(len(calls)))
        self._asked: dict[int, Address] = {}

    @property
    def is_done(self) -> bool:
        """Whether no call is to be sent (again)."""
        return not self._open

    def groups(self) -> list[Group]:
        """Return what is to be sent next, each group to another server."""
        found: dict[tuple[Address, bool], list[int]] = {}
        unserved: list[int] = []
        for index in self._open:
            asked = self._asked.get(index)
            address = asked or self._slots.primary(self.calls[index].where.slot)
            if address is None:
                self._slots.stale = True
                self.answers[index] = ClusterDownError(f"no server serves slot {self.calls[index].where.slot}")
                unserved.append(index)
            else:
                found.setdefault((address, asked is not None), []).append(index)
        self._open, self._asked = unserved, {}
        return [Group(address, asking, indexes) for (address, asking), indexes in found.items()]

    def take(self, group: Group, answers: Sequence[Any]) -> None:
        """Note the answers to a group."""
        for index, answer in zip(group.indexes, answers, strict=True):
            self.answers[index] = answer
            if isinstance(answer, AskError):
                redirect: Any = answer
                host, port = redirect.node_addr
                address = Address(host or group.address.host, port)
                if isinstance(answer, MovedError):
                    self._slots.moved(answer.slot_id, address)
                else:
                    self._asked[index] = address
                self._open.append(index)
            elif isinstance(answer, Exception) and code_of(answer) in ("TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"):
                self._slots.stale = True
                self._open.append(index)

    def fail(self, group: Group, error: Exception) -> None:
        """Note that the connection broke: what became of the group is unknown."""
        self._slots.failed(group.address)
        for index in group.indexes:
            self.answers[index] = error
