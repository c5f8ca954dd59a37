"""Replies: written by a commit, taken once."""

from ._writer import Tx, one_by_one, probed_by


def _is_there(tx: Tx, wanted: tuple[int, str]) -> bool:
    return bool(tx.cursor.execute("SELECT 1 FROM replies WHERE partition = ? AND id = ?", wanted).fetchall())


def _not_there() -> bytes | None:
    return None


@probed_by(_is_there, _not_there)
@one_by_one
def take_reply(tx: Tx, wanted: tuple[int, str]) -> bytes | None:
    """See `Store.take_reply`."""
    if not _is_there(tx, wanted):
        return None
    sql = "DELETE FROM replies WHERE partition = ? AND id = ? RETURNING expires_ms, data"
    ((expires_ms, data),) = tx.cursor.execute(sql, wanted).fetchall()
    return bytes(data) if expires_ms > tx.now_ms else None
