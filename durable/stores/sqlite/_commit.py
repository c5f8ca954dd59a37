"""Commits: all that are queued are looked at with a few statements, decided in memory, and written table by table.

Looking and writing once for all of them, instead of once for each, is what makes the group commit quick (docs/decisions/0004).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from ...errors import NameTakenError, StaleLeaseError, StoreError, UnreadMessagesError, WrongSequenceError
from .._protocol import Commit, Document, DocumentUpdate
from .._rules import lost_commit, lost_entry
from ._changes import Changes
from ._created import New, add_new, look_at_created, new_documents
from ._facts import Facts, Key
from ._forget import forget
from ._statements import Value, query_rows
from ._writer import Tx, comes_last


@comes_last
def commit(tx: Tx, calls: Sequence[Sequence[Commit]]) -> list[list[Exception | None] | BaseException]:
    """See `Store.commit`."""
    answers = (answer for some in _pieces(calls) for answer in _apply_all(tx, some))
    return [[next(answers) for _ in commits] for commits in calls]


def _pieces(calls: Sequence[Sequence[Commit]]) -> Iterator[list[Commit]]:
    """Cut all commits into those that are looked at together: what one forgets, the next ones must not find."""
    piece: list[Commit] = []
    for each in (each for commits in calls for each in commits):
        piece.append(each)
        if each.forgotten:
            yield piece
            piece = []
    if piece:
        yield piece


def _apply_all(tx: Tx, commits: Sequence[Commit]) -> list[StoreError | None]:
    tx.write_entries()  # those that the commits before have created
    facts = _look(tx, commits)
    changes = Changes(tx.now_ms)
    before = commits[-1].lease.partition, commits[-1].lease.inbox
    answers = [_apply(facts, changes, each) for each in commits[:-1]]
    is_repeat = facts.last_commit.get(before) == commits[-1].id
    answers.append(_apply(facts, changes, commits[-1]))
    changes.write(tx)
    if commits[-1].forgotten and answers[-1] is None and not is_repeat:
        forget(tx, commits[-1].lease.partition, commits[-1].forgotten)
    return answers


def _apply(facts: Facts, changes: Changes, commit: Commit) -> StoreError | None:
    """Add the commit to `changes`, or return why it is refused."""
    lease = commit.lease
    key = (lease.partition, lease.inbox)
    if facts.leases.get(key) != (lease.session, lease.epoch):
        return StaleLeaseError(
            f"session {lease.session!r} does not hold epoch {lease.epoch} of {lease.inbox!r} in partition {lease.partition}"
        )
    if facts.last_commit[key] == commit.id:
        return None
    lost = lost_commit(commit, facts.last_commit[key])
    if lost is not None:
        return lost
    if commit.newest in facts.lost:
        return lost_entry(commit)
    heads = _moved_heads(facts, commit)
    if isinstance(heads, StoreError):
        return heads
    created: list[Document] = []
    if facts.turns:
        names = _moved_names(facts, commit) if commit.documents else {}
        if isinstance(names, StoreError):
            return names
        if commit.created:
            found = new_documents(facts, commit, names)
            if isinstance(found, StoreError):
                return found
            created = found
        facts.open_id.update(names)
        facts.consumed.setdefault(key, set()).update(commit.consumed)
    facts.heads.update(heads)
    facts.last_commit[key] = commit.id
    changes.add(commit)
    if created:
        add_new(facts, changes, commit, created)
    return None


def _moved_heads(facts: Facts, commit: Commit) -> dict[Key, int] | WrongSequenceError:
    """Return where the streams are after the commit, or why it is refused."""
    partition, heads = commit.lease.partition, facts.heads
    moved: dict[Key, int] = {}
    for append in commit.appends:
        key = (partition, append.stream)
        head = moved[key] if key in moved else heads[key]
        if head != append.expected:
            return WrongSequenceError(f"stream {append.stream!r} holds {head} records, expected {append.expected}")
        moved[key] = head + len(append.records)
    return moved


def _moved_names(facts: Facts, commit: Commit) -> dict[Key, str | None] | StoreError:
    """Return which names are taken and given up by the commit, or why it is refused."""
    lease = commit.lease
    moved: dict[Key, str | None] = {}
    for update in commit.documents:
        key = (lease.partition, update.id)
        if key not in facts.documents:
            continue  # it neither opens nor closes, or is not there
        name, inbox = facts.documents[key]
        unread = facts.unread.get((lease.partition, inbox, name))
        if update.closes and unread:
            unread = unread - facts.consumed.get((lease.partition, inbox), set())
            unread = unread.difference(commit.consumed) if inbox == lease.inbox else unread
            if unread:
                return UnreadMessagesError(f"the inbox holds {len(unread)} unread entries for {name!r}", names=(name,))
        named = (lease.partition, name)
        holder = moved[named] if named in moved else facts.open_id.get(named)
        if update.opens and not update.closes and holder not in (None, update.id):
            return NameTakenError(f"the document {holder!r} is open and has the name {name!r}")
        if update.closes and holder == update.id:
            moved[named] = None
        elif update.opens and not update.closes:
            moved[named] = update.id
    return moved


# --- looking at the file

_LEASES = """
    SELECT l.partition, l.inbox, l.session, l.epoch, l.last_commit FROM (VALUES {values}) v
    CROSS JOIN leases l ON l.partition = v.column1 AND l.inbox = v.column2"""
# Answers in one row which of the expected positions are wrong, and what they are: usually none.
_WRONG_HEADS = """
    SELECT group_concat(number || ':' || head) FROM (
        SELECT v.column1 AS number, v.column4 AS expected, ifnull((
            SELECT seq FROM records r WHERE r.partition = v.column2 AND r.stream = v.column3 ORDER BY seq DESC LIMIT 1
        ), 0) AS head FROM (VALUES {values}) v
    ) WHERE head <> expected"""
_LOST = """
    SELECT v.column1, v.column2 FROM (VALUES {values}) v
    WHERE NOT EXISTS (SELECT 1 FROM inbox i WHERE i.seq = v.column1 AND i.id = v.column2)"""
_DOCUMENTS = """
    SELECT d.partition, d.id, d.name, d.inbox FROM (VALUES {values}) v
    CROSS JOIN documents d ON d.partition = v.column1 AND d.id = v.column2"""
_UNREAD = """
    SELECT i.partition, i.inbox, i.name, i.seq FROM (VALUES {values}) v
    CROSS JOIN inbox i ON i.partition = v.column1 AND i.inbox = v.column2 AND i.name = v.column3"""
_OPEN = """
    SELECT d.partition, d.name, d.id FROM (VALUES {values}) v
    CROSS JOIN documents d ON d.partition = v.column1 AND d.name = v.column2 AND d.open"""


def _look(tx: Tx, commits: Sequence[Commit]) -> Facts:
    facts = Facts()
    inboxes = _flat(dict.fromkeys((each.lease.partition, each.lease.inbox) for each in commits))
    for row in query_rows(tx.cursor, _LEASES, 2, inboxes):
        partition, inbox, session, epoch, last = cast("tuple[int, str, str | None, int, str | None]", row)
        facts.leases[partition, inbox] = (session, epoch)
        facts.last_commit[partition, inbox] = last
    newest = dict.fromkeys(each.newest for each in commits if each.newest is not None)
    for row in query_rows(tx.cursor, _LOST, 2, _flat(newest)):
        facts.lost.add(cast("tuple[int, str]", row))
    _look_at_heads(tx, facts, commits)
    updates = [
        (each.lease.partition, update) for each in commits for update in each.documents if update.opens or update.closes
    ]
    created = [(each.lease.partition, document, entry) for each in commits for document, entry in each.created]
    if updates or created:
        facts.turns = True
        _look_at_documents(tx, facts, updates, created)
    return facts


def _flat(rows: Iterable[Iterable[Value]]) -> list[Value]:
    return [value for row in rows for value in row]


def _look_at_heads(tx: Tx, facts: Facts, commits: Sequence[Commit]) -> None:
    heads = facts.heads
    flat: list[Value] = []
    keys: list[Key] = []
    for each in commits:
        partition = each.lease.partition
        for append in each.appends:
            key = (partition, append.stream)
            if key not in heads:
                heads[key] = append.expected
                flat += (len(keys), partition, append.stream, append.expected)
                keys.append(key)
    for (text,) in query_rows(tx.cursor, _WRONG_HEADS, 4, flat):
        for number, head in _pairs(text):
            heads[keys[number]] = head


def _pairs(text: Value) -> Iterator[tuple[int, int]]:
    if isinstance(text, str):
        for pair in text.split(","):
            number, _, head = pair.partition(":")
            yield int(number), int(head)


def _look_at_documents(
    tx: Tx, facts: Facts, updates: Sequence[tuple[int, DocumentUpdate]], created: Sequence[New]
) -> None:
    ids = [(partition, update.id) for partition, update in updates]
    ids += [(partition, document.id) for partition, document, _ in created]
    for row in query_rows(tx.cursor, _DOCUMENTS, 2, _flat(dict.fromkeys(ids))):
        partition, id_, name, inbox = cast("tuple[int, str, str, str]", row)
        facts.documents[partition, id_] = (name, inbox)
    closing = [(partition, update.id) for partition, update in updates if update.closes]
    boxes = dict[tuple[int, str, str], None]()
    for partition, name, inbox in [(key[0], *facts.documents[key]) for key in closing if key in facts.documents]:
        boxes[partition, inbox, name] = None
    if closing:  # what one commit creates the next one may close
        boxes.update(dict.fromkeys((partition, each.inbox, each.name) for partition, each, _ in created))
    for row in query_rows(tx.cursor, _UNREAD, 3, _flat(boxes)):
        partition, inbox, name, seq = cast("tuple[int, str, str, int]", row)
        facts.unread.setdefault((partition, inbox, name), set()).add(seq)
    if created or any(update.opens for _, update in updates):
        names = [(partition, name) for (partition, _), (name, _) in facts.documents.items()]
        names += [(partition, document.name) for partition, document, _ in created]
        for row in query_rows(tx.cursor, _OPEN, 2, _flat(dict.fromkeys(names))):
            partition, name, id_ = cast("tuple[int, str, str]", row)
            facts.open_id[partition, name] = id_
    if created:
        look_at_created(tx, facts, created)
