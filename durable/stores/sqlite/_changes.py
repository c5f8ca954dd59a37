"""What the commits of a transaction write, collected and then written table by table."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._attributes import AttributeValue
from .._protocol import Commit, Document, DocumentUpdate, Entry, document_topic, inbox_topic, reply_topic, tasks_topic
from .._rules import updated
from ._attributes import change
from ._documents import insert
from ._statements import Value, for_each, write_rows
from ._writer import Tx

Inbox = tuple[int, str]
Changed = Mapping[str, AttributeValue | None]

# Only entries of the commit's own inbox, whatever numbers it names. (A row value with IN would scan the whole table.)
_CONSUMED = """
    DELETE FROM inbox WHERE seq IN (
        SELECT i.seq FROM (VALUES {values}) v
        CROSS JOIN inbox i ON i.seq = v.column1 AND i.partition = v.column2 AND i.inbox = v.column3
    )"""
_TASKS = """
    INSERT OR REPLACE INTO tasks (seq, id, partition, queue, kind, inbox, name, data, owner, ready, deliveries)
    VALUES {values}"""
# column3 opens or closes (NULL: neither); an update that opens clears `closed_ms` unless it sets it.
_DOCUMENTS = """
    UPDATE documents SET
        state = ifnull(v.column4, state), note = ifnull(v.column5, note), body = ifnull(v.column6, body),
        open = ifnull(v.column3, open),
        closed_ms = CASE WHEN v.column7 IS NOT NULL THEN v.column7 WHEN v.column8 THEN NULL ELSE closed_ms END
    FROM (VALUES {values}) v WHERE documents.partition = v.column1 AND documents.id = v.column2"""
_LAST_COMMITS = """
    UPDATE leases SET last_commit = v.column3
    FROM (VALUES {values}) v WHERE leases.partition = v.column1 AND leases.inbox = v.column2"""


@dataclass(slots=True)
class Changes:
    """The changes of several commits, one after the other: where a key is named twice, the last one counts. None removes."""

    now_ms: int
    records: list[Value] = field(default_factory=list[Value])  # rows, flat
    consumed: list[Value] = field(default_factory=list[Value])  # rows, flat
    tasks: dict[str, tuple[Value, ...] | None] = field(default_factory=dict[str, tuple[Value, ...] | None])
    dues: dict[Inbox, dict[str, tuple[Value, ...] | None]] = field(
        default_factory=dict[Inbox, dict[str, tuple[Value, ...] | None]]
    )
    outgoing: dict[Inbox, dict[str, tuple[Value, ...] | None]] = field(
        default_factory=dict[Inbox, dict[str, tuple[Value, ...] | None]]
    )
    replies: dict[tuple[int, str], tuple[Value, ...]] = field(default_factory=dict[tuple[int, str], tuple[Value, ...]])
    documents: dict[tuple[int, str], DocumentUpdate] = field(default_factory=dict[tuple[int, str], DocumentUpdate])
    created: dict[tuple[int, str], Document] = field(default_factory=dict[tuple[int, str], Document])
    entries: list[tuple[int, str, Entry]] = field(default_factory=list[tuple[int, str, Entry]])
    cancelled: dict[str, None] = field(default_factory=dict[str, None])  # ids of tasks
    last_commits: dict[Inbox, str] = field(default_factory=dict[Inbox, str])
    touched: set[str] = field(default_factory=set[str])

    def add(self, commit: Commit) -> None:
        """Add what `commit` changes; it was found to be applicable."""
        partition, inbox = commit.lease.partition, commit.lease.inbox
        self.last_commits[partition, inbox] = commit.id
        for seq in commit.consumed:
            self.consumed += (seq, partition, inbox)
        for id_ in commit.tasks_removed:
            self.tasks[id_] = None
        records = self.records
        for append in commit.appends:
            seq, stream = append.expected, append.stream
            for data in append.records:
                seq += 1
                records += (partition, stream, seq, data)
        tasks = self.tasks
        for task in commit.tasks:
            owner, id_ = task.claimed_by, task.id
            if id_ in tasks:
                del tasks[id_]  # the last one counts, and goes to the end of the queue
            if self.cancelled:
                self.cancelled.pop(id_, None)
            free = owner is None
            tasks[id_] = (
                id_,
                partition,
                task.queue,
                task.kind,
                task.inbox,
                task.name,
                task.data,
                owner,
                int(free),
                int(not free),
            )
            if free:
                self.touched.add(tasks_topic(task.queue))
        for id_ in commit.tasks_cancelled:
            self.cancelled[id_] = None
        if commit.documents:
            self._add_documents(commit)
        if commit.dues or commit.dues_removed:
            dues = self.dues.setdefault((partition, inbox), {})
            dues.update(dict.fromkeys(commit.dues_removed))
            dues.update((due.key, (partition, inbox, due.key, due.due_ms, due.data)) for due in commit.dues)
        if commit.outgoing or commit.relayed:
            self._add_outgoing(commit)
        for reply in commit.replies:
            self.replies[partition, reply.id] = (partition, reply.id, self.now_ms + reply.ttl_ms, reply.data)
            self.touched.add(reply_topic(reply.id))

    def _add_documents(self, commit: Commit) -> None:
        for update in commit.documents:
            key = (commit.lease.partition, update.id)
            self.touched.add(document_topic(update.id))
            if key in self.created:
                self.created[key] = updated(self.created[key], update)
                continue
            before = self.documents.get(key)
            self.documents[key] = update if before is None else _merged(before, update)

    def create(self, partition: int, document: Document, entry: Entry | None) -> None:
        """Add a document that comes into being, with its entry unless the inbox holds that already."""
        key = (partition, document.id)
        self.documents.pop(key, None)  # when those updates came, it was not there
        self.created[key] = document
        if entry is not None:
            self.entries.append((partition, document.inbox, entry))
        self.touched.add(inbox_topic(partition, document.inbox))

    def _add_outgoing(self, commit: Commit) -> None:
        inbox = (commit.lease.partition, commit.lease.inbox)
        outgoing = self.outgoing.setdefault(inbox, {})
        outgoing.update(dict.fromkeys(commit.relayed))
        for entry in commit.outgoing:
            outgoing.pop(entry.id, None)
            outgoing[entry.id] = (*inbox, entry.id, entry.partition, entry.data)

    def write(self, tx: Tx) -> None:
        """Write all of it."""
        cursor = tx.cursor
        write_rows(cursor, "INSERT INTO records (partition, stream, seq, data) VALUES {values}", 4, self.records)
        write_rows(cursor, _CONSUMED, 3, self.consumed)
        self._write_tasks(tx)
        for inbox, dues in self.dues.items():
            _remove(cursor, "DELETE FROM dues WHERE partition = ? AND inbox = ? AND key IN ({marks})", inbox, dues)
        rows = [value for dues in self.dues.values() for row in dues.values() if row is not None for value in row]
        write_rows(cursor, "INSERT OR REPLACE INTO dues (partition, inbox, key, due_ms, data) VALUES {values}", 5, rows)
        if self.outgoing:
            self._write_outgoing(tx)
        if self.documents or self.created:
            self._write_documents(tx)
        if self.replies:
            cursor.execute("DELETE FROM replies WHERE expires_ms <= ?", (self.now_ms,))
            flat = [value for row in self.replies.values() for value in row]
            write_rows(
                cursor, "INSERT OR REPLACE INTO replies (partition, id, expires_ms, data) VALUES {values}", 4, flat
            )
        write_rows(
            cursor, _LAST_COMMITS, 3, [value for inbox, id_ in self.last_commits.items() for value in (*inbox, id_)]
        )
        tx.touched |= self.touched

    def _write_tasks(self, tx: Tx) -> None:
        for_each(
            tx.cursor,
            "DELETE FROM tasks WHERE id IN ({marks})",
            [],
            [id_ for id_, row in self.tasks.items() if row is None],
        )
        rows = [row for row in self.tasks.values() if row is not None]
        if rows:
            flat = [value for seq, row in enumerate(rows, tx.reserve(len(rows)) + 1) for value in (seq, *row)]
            write_rows(tx.cursor, _TASKS, 11, flat)
            self._free_those_of_the_dead(tx, rows)
        if self.cancelled:
            sql = "UPDATE tasks SET cancelled = 1 WHERE id IN ({marks})"
            for_each(tx.cursor, sql, [], list(self.cancelled))

    def _free_those_of_the_dead(self, tx: Tx, rows: Sequence[tuple[Value, ...]]) -> None:
        """Make tasks ready that were inserted as claimed by a session whose other claims are in their queues again."""
        for owner in {row[7] for row in rows if row[7] is not None}:
            if not tx.cursor.execute("SELECT 1 FROM sessions WHERE id = ? AND NOT reaped", (owner,)).fetchall():
                ids = [row[0] for row in rows if row[7] == owner]
                for_each(tx.cursor, "UPDATE tasks SET ready = 1 WHERE id IN ({marks})", [], ids)

    def _write_outgoing(self, tx: Tx) -> None:
        for inbox, outgoing in self.outgoing.items():
            _remove(
                tx.cursor, "DELETE FROM outgoing WHERE partition = ? AND inbox = ? AND id IN ({marks})", inbox, outgoing
            )
        rows = [row for outgoing in self.outgoing.values() for row in outgoing.values() if row is not None]
        if rows:
            flat = [value for seq, row in enumerate(rows, tx.reserve(len(rows)) + 1) for value in (seq, *row)]
            write_rows(
                tx.cursor,
                "INSERT OR REPLACE INTO outgoing (seq, partition, inbox, id, target, data) VALUES {values}",
                6,
                flat,
            )

    def _write_documents(self, tx: Tx) -> None:
        cursor = tx.cursor
        closing: list[Value] = []
        others: list[Value] = []
        for (partition, id_), update in self.documents.items():
            is_open = 0 if update.closes else 1 if update.opens else None
            row = (partition, id_, is_open, update.state, update.note, update.body, update.closed_ms, int(update.opens))
            (closing if update.closes else others).extend(row)
        write_rows(cursor, _DOCUMENTS, 8, closing)  # first: they give up the names that others take
        if self.created:
            insert(tx, [(partition, document) for (partition, _), document in self.created.items()])
            for partition, inbox, entry in self.entries:
                tx.append_entry(partition, inbox, entry)
        write_rows(cursor, _DOCUMENTS, 8, others)
        attributes = {key: update.attributes for key, update in self.documents.items() if update.attributes}
        if attributes:
            change(tx, attributes)


def _remove(cursor: sqlite3.Cursor, sql: str, inbox: Inbox, rows: Mapping[str, object]) -> None:
    for_each(cursor, sql, inbox, [key for key, row in rows.items() if row is None])


def _merged(first: DocumentUpdate, second: DocumentUpdate) -> DocumentUpdate:
    """Return one update that does what the two do, one after the other."""
    turns = second.opens or second.closes
    return DocumentUpdate(
        first.id,
        second.name,
        first.state if second.state is None else second.state,
        first.note if second.note is None else second.note,
        first.body if second.body is None else second.body,
        opens=first.opens or second.opens,  # also says that `closed_ms` was cleared on the way
        closes=second.closes if turns else first.closes,
        closed_ms=second.closed_ms if second.closed_ms is not None else None if second.opens else first.closed_ms,
        attributes=_both(first.attributes, second.attributes),
    )


def _both(first: Changed | None, second: Changed | None) -> Changed | None:
    return {**first, **second} if first and second else first or second
