"""Forgetting closed documents, with all that belongs to them."""

from collections.abc import Sequence

from .._protocol import document_topic
from ._statements import for_each
from ._writer import Tx


def forget(tx: Tx, partition: int, wanted: Sequence[tuple[str, int]]) -> None:
    """Remove those documents of `wanted`, (id, closed_ms), that were closed then, their attributes, and the streams of their ids."""
    closed: list[str] = []
    for id_, closed_ms in dict.fromkeys(wanted):  # few, and most of the work is to remove their records
        sql = "DELETE FROM documents WHERE partition = ? AND id = ? AND closed_ms = ? AND NOT open RETURNING id"
        closed += [found for (found,) in tx.cursor.execute(sql, (partition, id_, closed_ms)).fetchall()]
    for_each(tx.cursor, "DELETE FROM records WHERE partition = ? AND stream IN ({marks})", [partition], closed)
    for_each(tx.cursor, "DELETE FROM attributes WHERE partition = ? AND id IN ({marks})", [partition], closed)
    tx.touched.update(document_topic(id_) for id_ in closed)
