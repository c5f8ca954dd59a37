"""Documents that come into being with a commit."""

from collections.abc import Sequence
from typing import cast

from ...errors import NameTakenError
from .._protocol import Commit, Document, Entry
from .._rules import created_after
from ._changes import Changes
from ._documents import latest_of
from ._facts import Facts, Key
from ._statements import Value, query_rows
from ._writer import Tx

New = tuple[int, Document, Entry]  # with its partition

_ENTRIES = """
    SELECT i.partition, i.id, i.inbox, i.seq FROM (VALUES {values}) v
    CROSS JOIN inbox i ON i.partition = v.column1 AND i.id = v.column2"""


def look_at_created(tx: Tx, facts: Facts, created: Sequence[New]) -> None:
    """Learn what decides on `created`, beside which documents are there and which are open."""
    facts.latest.update(latest_of(tx.cursor, [(partition, document.name) for partition, document, _ in created]))
    keys: list[Value] = []
    for partition, id_ in dict.fromkeys((partition, entry.id) for partition, _, entry in created):
        keys += (partition, id_)
    for row in query_rows(tx.cursor, _ENTRIES, 2, keys):
        partition, id_, inbox, seq = cast("tuple[int, str, str, int]", row)
        facts.entries[partition, id_] = (inbox, seq)


def new_documents(facts: Facts, commit: Commit, names: dict[Key, str | None]) -> list[Document] | NameTakenError:
    """Return the documents that `commit` creates as they will be, or why it is refused.

    `names` says who has the names that its updates moved; those that are taken now are added.
    """
    partition, created = commit.lease.partition, dict[str, Document]()
    for document, _ in commit.created:
        named = (partition, document.name)
        holder = names[named] if named in names else facts.open_id.get(named)
        if holder is not None:
            return NameTakenError(f"the document {holder!r} is open and has the name {document.name!r}")
        if (partition, document.id) in facts.documents or document.id in created:
            return NameTakenError(f"another document has the id {document.id!r}")
        created[document.id] = created_after(document, facts.latest.get(named))
        names[named] = document.id
    return list(created.values())


def add_new(facts: Facts, changes: Changes, commit: Commit, created: Sequence[Document]) -> None:
    """Add what `new_documents` returned to the changes, and to what the next commits depend on."""
    partition = commit.lease.partition
    for document, (_, entry) in zip(created, commit.created, strict=True):
        facts.documents[partition, document.id] = (document.name, document.inbox)
        facts.latest[partition, document.name] = document
        is_new = not _is_unread(facts, partition, entry.id)
        changes.create(partition, document, entry if is_new else None)
        if is_new:
            facts.pending += 1
            facts.entries[partition, entry.id] = (document.inbox, -facts.pending)
            facts.unread.setdefault((partition, document.inbox, entry.name), set()).add(-facts.pending)


def _is_unread(facts: Facts, partition: int, id: str) -> bool:  # noqa: A002
    found = facts.entries.get((partition, id))
    if found is None:
        return False
    inbox, seq = found
    return seq not in facts.consumed.get((partition, inbox), ())
