"""Notices that the store fell back to an earlier state: a failover to a copy that lagged, or a restore from a backup.

What an engine has in memory is ahead of the store then: executions, its place in the inbox, dues. Nothing of that may reach
the log. Each commit says which one it follows and what it consumes, so the store refuses it; here is what finds the loss
where nothing is to be committed. The partition is taken anew then, with a new epoch, and read from the front.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .. import telemetry
from .._log import StartRun
from ..errors import StoreWentBackError
from ..stores import Document, InboxEntry, Store
from .decision import Damaged, Delivery
from .execution import Execution
from .owned import Owned

_log = logging.getLogger("durable.engine")


async def find_lost(store: Store, owned_partitions: Sequence[Owned]) -> list[tuple[Owned, str]]:
    """Return those partitions of which the store has lost something, each with what that is.

    It looks for the last commit and the newest message that the engine knows of. Whatever was acknowledged earlier is there if
    these are. Where a commit is under way, that one finds out.
    """
    idle = [item for item in owned_partitions if not item.in_flight]
    if not idle:
        return []
    known = [(item.last_commit, item.cursor, item.newest) for item in idle]
    pages = await store.read_inboxes([(item.lease, item.cursor - 1) for item in idle], 1)
    commits = await store.last_commits(
        [item.lease for item in idle]
    )  # after that: a lease that is ours now, was ours then
    found: list[tuple[Owned, str]] = []
    for item, (last, cursor, newest), stored, page in zip(idle, known, commits, pages, strict=True):
        if (
            item.in_flight or item.last_commit != last or stored is None
        ):  # None: another's by now, as a renewal will tell
            continue
        if last is not None and stored != last:
            found.append((item, f"its last commit is {stored or 'none'!r}, and {last or 'none'!r} was acknowledged"))
        elif cursor and is_lost(item, cursor, newest, page):
            found.append((item, f"its inbox has no entry {cursor} with the id {newest!r}, which was read from it"))
    return found


def is_lost(owned: Owned, cursor: int, newest: str, page: Sequence[InboxEntry]) -> bool:
    """Return whether entry `cursor` of the inbox, read as `newest`, is not in `page`, which begins with it, although nothing has consumed it.

    Or another owner has, in a partition that is not ours any more.
    """
    if page and page[0].seq == cursor:
        return page[0].id != newest
    return owned.waits_with(cursor)


def check_begun(execution: Execution, document: Document, deliveries: Sequence[Delivery]) -> None:
    """Raise `StoreWentBackError` if an open run has no history, and its start, which comes first of all, is not in `deliveries`.

    It was read before, and its effects are lost: it is in the inbox again, behind what this engine knows to have read.
    """
    if not document.open or execution.run is not None or execution.seq:
        return
    if not any(isinstance(delivery.message, StartRun | Damaged) for delivery in deliveries):
        raise StoreWentBackError(f"run {document.id} has no history, although its start was read")


def report_lost(partition: int, inbox: str, what: str) -> None:
    """Say that the store has lost something of a partition, once for each loss: this is for a person to look at."""
    telemetry.store_went_back()
    _log.error(
        "the store fell back to an earlier state, in partition %d of inbox %r: %s. What was acknowledged after that state is lost "
        "there; its runs go on from what the store holds, and activities whose results are lost run again. Was there a failover "
        "to a copy that lagged, or a restore? Send again what callers count on: starts, signals and cancellations of that time",
        partition, inbox, what,
    )  # fmt: skip
