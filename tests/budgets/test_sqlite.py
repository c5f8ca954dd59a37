"""What SQLite is told: statements, changed rows, and the size of the file."""

from pathlib import Path

import pytest

from durable.stores.sqlite._store import SqliteStore
from tests.budgets.counted import counted, within


@pytest.mark.parametrize(
    ("runs", "length", "at_once", "statements", "rows"),
    [(1, 50, 1, 10.7, 6.2), (20, 1, 1, 30, 15), (50, 10, 50, 1.0, 4.8)],
    ids=["one run", "short runs", "many runs"],
)
async def test_statements_and_rows_for_an_activity(
    runs: int, length: int, at_once: int, statements: float, rows: float, tmp_path: Path
) -> None:
    """The statements of a commit do not grow with what it holds; so many runs at once share them (0.33 if they are in step)."""
    async with counted(f"sqlite:///{tmp_path / 'x.db'}?synchronous=normal") as found:
        await found.chains(runs=2, length=2, at_once=at_once)
        assert isinstance(found.real, SqliteStore)
        connection = found.real._writer._connection
        told: list[str] = []
        before = connection.total_changes
        connection.set_trace_callback(told.append)
        await found.chains_only(runs, length, at_once)
        connection.set_trace_callback(None)
        count = runs * length
        within("statements of SQLite for an activity", len(told) / count, statements)
        within("rows changed for an activity", (connection.total_changes - before) / count, rows)


async def test_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with counted(f"sqlite:///{path}?synchronous=normal") as found:
        await found.chains(runs=100, length=10, at_once=50)
    within("bytes of the file for an activity", path.stat().st_size / 1_000, 670)
