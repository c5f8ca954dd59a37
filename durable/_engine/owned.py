"""A partition that this engine owns: its lease, what was read of its inbox and dues, and what waits for each run."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .._log import AskQuery, OutgoingMessage, RetryRun, RunTimeoutDue, Terminate
from ..stores import Due, Lease, Outgoing
from .decision import Delivery
from .execution import Execution

HORIZON_MS = 60_000  # dues further away stay in the store: a sleeping run costs the worker nothing
_URGENT = (AskQuery, Terminate, RetryRun, RunTimeoutDue)  # what a stuck run can do, and someone waits for
FOREVER_MS = 1 << 62  # a horizon that is never reached: all dues are known
REFRESH_MS = 30_000  # the horizon is moved on when less than this is left of it


@dataclass(slots=True)
class Mailbox:
    """What waits for one run. `busy`: a step of it is under way or being committed, and the rest waits."""

    name: str
    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    busy: bool = False
    queued: bool = False
    reload: bool = False  # its first step must look at the store: the fast path was refused once
    failures: int = 0  # in a row
    not_before_ms: int = 0
    noted: str = ""  # what the run's record says of why it is stuck, as far as this engine wrote it
    held: list[Delivery] = field(
        default_factory=list[Delivery]
    )  # updates without a handler, offered again at each step
    execution: Execution | None = None  # loaded for the next step, which takes it from here
    arrived: asyncio.Event | None = None  # set when something comes; only while an open step listens

    def take_all(self) -> list[Delivery]:
        """Return all that waits for the run, the held updates first, and forget it here."""
        waiting = self.held + self.deliveries
        self.held, self.deliveries = [], []
        return waiting


class Owned:
    """One (partition, inbox) under a lease."""

    def __init__(self, lease: Lease, *, since_s: float = 0.0) -> None:
        self.lease = lease
        self.since_s = since_s  # when it was acquired, by the monotonic clock
        self.last_commit: str | None = ""  # the last one applied under this lease; None: unknown
        self.cursor = 0  # the last inbox entry read
        self.newest = ""  # the id of that entry
        self.caught_up = False  # what earlier owners left in the inbox is read
        self.unread = True  # there may be more in the inbox
        self.leaving = False  # to be released: no new steps
        self.in_flight = 0  # commits under way
        self.sent: asyncio.Future[None] | None = None  # done once the last of these was answered
        self.mailboxes: dict[str, Mailbox] = {}
        self.ready: deque[Mailbox] = deque()
        self.delayed: list[tuple[int, str]] = []  # heap of (not_before_ms, name) of stuck runs
        self.horizon_ms = 0  # dues up to here are known
        self.refresh_ms = 0  # when to read on
        self.held: list[Outgoing] | None = []  # what commits put into the outbox before its left-overs were read
        self.sending: dict[tuple[str, str], deque[tuple[Outgoing, OutgoingMessage, bool]]] = {}  # see `Outbox`
        self.relayed: list[str] = []  # outgoing entries that are done with; the next commit removes them
        self._dues: dict[str, Due] = {}
        self._fired: set[str] = set()  # keys that were popped, and are in the store until a commit removes them
        self._changed: set[str] = set()  # keys that commits set or removed since a read of the dues began
        self._heap: list[tuple[int, int, str]] = []  # (due_ms, length of key, key): of one run, the older timer first

    # --- deliveries

    def post(self, delivery: Delivery) -> None:
        """Queue something for a run."""
        mailbox = self.mailboxes.get(delivery.name)
        if mailbox is None:
            mailbox = self.mailboxes[delivery.name] = Mailbox(delivery.name)
        mailbox.deliveries.append(delivery)
        if mailbox.arrived is not None:
            mailbox.arrived.set()
        if mailbox.not_before_ms and isinstance(delivery.message, _URGENT):
            mailbox.not_before_ms = 0
        self.enqueue(mailbox)

    def enqueue(self, mailbox: Mailbox) -> None:
        """Make `mailbox` ready if it has something to do and may do it now."""
        if mailbox.deliveries and not mailbox.busy and not mailbox.queued and not mailbox.not_before_ms:
            mailbox.queued = True
            self.ready.append(mailbox)

    def take_ready(self) -> Mailbox | None:
        """Return the next ready mailbox, marked busy."""
        while self.ready:
            mailbox = self.ready.popleft()
            mailbox.queued = False
            if mailbox.busy or not mailbox.deliveries or mailbox.not_before_ms:
                continue
            mailbox.busy = True
            return mailbox
        return None

    def settle(self, mailbox: Mailbox) -> None:
        """A step of `mailbox` is over: let the next one come, or forget the mailbox."""
        mailbox.busy = False
        if mailbox.deliveries:
            self.enqueue(mailbox)
        elif self.mailboxes.get(mailbox.name) is mailbox and not mailbox.noted and not mailbox.held:
            del self.mailboxes[mailbox.name]
            if mailbox.execution is not None:  # loaded, and what it was loaded for has gone elsewhere meanwhile
                mailbox.execution.dispose()

    def waits_with(self, seq: int) -> bool:
        """Return whether the inbox entry `seq` waits for a step."""
        return any(delivery.seq == seq for mailbox in self.mailboxes.values() for delivery in mailbox.deliveries)

    def delay(self, mailbox: Mailbox, until_ms: int) -> None:
        """Leave `mailbox` alone until `until_ms`."""
        mailbox.not_before_ms = until_ms
        heapq.heappush(self.delayed, (until_ms, mailbox.name))

    def wake_delayed(self, now_ms: int) -> None:
        """Make those ready whose delay is over."""
        while self.delayed and self.delayed[0][0] <= now_ms:
            until_ms, name = heapq.heappop(self.delayed)
            mailbox = self.mailboxes.get(name)
            if mailbox is not None and mailbox.not_before_ms == until_ms:
                mailbox.not_before_ms = 0
                self.enqueue(mailbox)

    def has_work(self, now_ms: int) -> bool:
        """Return whether a run is ready, something is due, or done with."""
        heap, delayed = self._heap, self.delayed
        return bool(
            self.ready or self.relayed or (heap and heap[0][0] <= now_ms) or (delayed and delayed[0][0] <= now_ms)
        )

    def backlog(self) -> int:
        """Return how many runs are ready."""
        return len(self.ready)

    def dispose(self) -> None:
        """Drop the executions that wait for their next step."""
        for mailbox in self.mailboxes.values():
            if mailbox.execution is not None:
                mailbox.execution.dispose()
                mailbox.execution = None

    # --- dues

    def begin_reading_dues(self) -> None:
        """A read of the dues begins: what commits change from here on, it may not have seen."""
        self._changed.clear()

    def learn_dues(self, dues: list[Due], until_ms: int, refresh_ms: int) -> None:
        """Take the dues read from the store; all up to `until_ms` are known now, and `refresh_ms` is the time to read on.

        What fired already does not fire again.
        """
        for due in dues:
            if due.key not in self._fired and due.key not in self._changed:
                self._keep(due)
        self.horizon_ms = max(self.horizon_ms, until_ms)
        self.refresh_ms = refresh_ms

    def set_due(self, due: Due) -> None:
        """A commit has set `due`, or did not remove it after all."""
        self._changed.add(due.key)
        self._fired.discard(due.key)
        if due.due_ms <= self.horizon_ms:
            self._keep(due)
        else:
            self._dues.pop(due.key, None)

    def drop_due(self, key: str) -> None:
        """A commit has removed the due `key`."""
        self._changed.add(key)
        self._fired.discard(key)
        self._dues.pop(key, None)

    def pop_due(self, now_ms: int) -> Due | None:
        """Return and forget the earliest due at or before `now_ms`. It stays in the store until a commit removes it."""
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, key = heapq.heappop(self._heap)
            due = self._dues.get(key)
            if due is not None and due.due_ms == due_ms:
                del self._dues[key]
                self._fired.add(key)
                return due
        return None

    def fire_again(self, due: Due, at_ms: int) -> None:
        """A due that fired needs another look at `at_ms`, unless a commit has removed it. In the store it stays as it is."""
        if due.key in self._fired:
            self.set_due(replace(due, due_ms=at_ms))

    @property
    def fired(self) -> int:
        """How many dues were popped, and are in the store until a commit removes them."""
        return len(self._fired)

    def hold_due(self, key: str) -> None:
        """A commit that is about to be sent removes the due `key`: it must not fire meanwhile."""
        self._fired.add(key)
        self._dues.pop(key, None)

    def let_fire(self, keys: Sequence[str]) -> None:
        """The commit that was to remove these dues was refused: read anew what there is of them."""
        if keys:
            self._fired.difference_update(keys)
            self.refresh_ms = 0

    def next_ms(self) -> int:
        """Return when something is to be done next if nothing arrives: a due, a delayed run, or a look past the horizon.

        `FOREVER_MS` if there is nothing.
        """
        times = [self.refresh_ms]
        if self._heap:
            times.append(self._heap[0][0])
        if self.delayed:
            times.append(self.delayed[0][0])
        return min(times)

    def _keep(self, due: Due) -> None:
        if self._dues.get(due.key) != due:
            self._dues[due.key] = due
            heapq.heappush(self._heap, (due.due_ms, len(due.key), due.key))
