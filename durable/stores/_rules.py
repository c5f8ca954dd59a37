"""What every store of this package decides in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import _limits
from ..errors import NameTakenError, StoreWentBackError
from ._attributes import merged
from ._protocol import Commit, Document, DocumentFilter, DocumentUpdate

PARTITIONS_DEFAULT = (
    8  # enough for eight busy workers; a worker polls all of its partitions, so more would cost the idle ones
)
PARTITIONS_MAX = 1_024  # one claim or poll may look at all of them
SESSION_KEPT_MS = (
    24 * 3_600_000
)  # an expired session can be renewed for as long (a laptop that slept over night), then it is forgotten
PARKED = f"claimed {_limits.TASK_DELIVERIES_MAX} times without an outcome; the last holder vanished"


def check_partition(partition: int, partitions: int) -> None:
    """Raise `ValueError` unless the store has this partition."""
    if not 0 <= partition < partitions:
        raise ValueError(f"expected a partition from 0 to {partitions - 1}, got {partition!r}")


def check_new(document: Document) -> None:
    """Raise `ValueError` unless `document` may be created."""
    if not document.open:
        raise ValueError(f"expected an open document to create, got {document!r}")


def check_commits(commits: Sequence[Commit]) -> None:
    """Raise `ValueError` unless all that `commits` create may be created."""
    for commit in commits:
        for document, _ in commit.created:
            check_new(document)


def lost_commit(commit: Commit, last: str | None) -> StoreWentBackError | None:
    """Return why `commit` is refused if `last` is not the commit that it follows."""
    if commit.follows is None or commit.follows == (last or ""):
        return None
    there = f"commit {last!r}" if last else "no commit"
    return StoreWentBackError(
        f"the last one under epoch {commit.lease.epoch} of {commit.lease.inbox!r} in partition {commit.lease.partition} is "
        f"{there}, and {commit.follows or 'none'!r} was acknowledged"
    )


def lost_entry(commit: Commit) -> StoreWentBackError:
    """Return why a commit is refused whose `newest` entry is not in the inbox."""
    seq, id_ = commit.newest or (0, "")
    return StoreWentBackError(
        f"the inbox {commit.lease.inbox!r} of partition {commit.lease.partition} has no entry {seq} with the id {id_!r}, which was read from it"
    )


def check_latest(document: Document, expected: str | None, latest: Document | None) -> None:
    """Raise `NameTakenError` unless `latest`, the last document of the name, is the one `expected` (None: any, "": none)."""
    found = "" if latest is None else latest.id
    if expected is not None and found != expected:
        there = f"{found!r}" if found else "none"
        wanted = f"{expected!r}" if expected else "none"
        raise NameTakenError(f"the latest document named {document.name!r} is {there}, expected {wanted}")


def created_after(document: Document, latest: Document | None) -> Document:
    """Return `document` as it is stored: `created_ms` is greater than that of `latest`, the last one of its name.

    So the last one can be told although clocks differ, or go back.
    """
    if latest is None or document.created_ms > latest.created_ms:
        return document
    return replace(document, created_ms=latest.created_ms + 1)


def updated(document: Document, update: DocumentUpdate) -> Document:
    """Return `document` with the values of `update`."""
    return Document(
        document.id,
        document.name,
        document.inbox,
        document.request,
        document.kind,
        document.state if update.state is None else update.state,
        document.created_ms,
        document.body if update.body is None else update.body,
        (document.open or update.opens) and not update.closes,
        document.note if update.note is None else update.note,
        update.closed_ms if update.closed_ms is not None else None if update.opens else document.closed_ms,
        merged(document.attributes, update.attributes) if update.attributes else document.attributes,
    )


_COUNTED: dict[str, Callable[[Document], str]] = {
    "state": lambda document: document.state,
    "kind": lambda document: document.kind,
    "inbox": lambda document: document.inbox,
}


def counted_field(by: str) -> Callable[[Document], str]:
    """Return how to read the field that documents are counted by. Raises `ValueError` for an unknown one."""
    field = _COUNTED.get(by)
    if field is None:
        raise ValueError(f"by: expected one of {', '.join(_COUNTED)}, got {by!r}")
    return field


def matches(document: Document, wanted: DocumentFilter) -> bool:
    """Return whether `document` is one that `wanted` asks for."""
    return (
        (wanted.name is None or document.name == wanted.name)
        and (wanted.name_prefix is None or document.name.startswith(wanted.name_prefix))
        and (not wanted.kinds or document.kind in wanted.kinds)
        and (not wanted.states or document.state in wanted.states)
        and (wanted.noted is None or bool(document.note) == wanted.noted)
        and (wanted.created_after_ms is None or document.created_ms >= wanted.created_after_ms)
        and (wanted.created_before_ms is None or document.created_ms < wanted.created_before_ms)
        and (wanted.before_id is None or document.id < wanted.before_id)
        and (not wanted.inboxes or document.inbox in wanted.inboxes)
        and all(condition.holds(document.attributes) for condition in wanted.attributes)
    )
