"""Where histories come from: files of JSON lines, records, events; one run or several."""

from __future__ import annotations

import gzip
import inspect
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from ..errors import DamagedRecordError, FutureVersionError, HistoryError, InvalidCallError
from ..history import RecordedEvent, RunStarted

HistorySource: TypeAlias = str | os.PathLike[str] | Iterable[bytes | str | RecordedEvent]
"""A path to JSON lines, or the records or events themselves: what `await handle.history()` returns, for instance."""


def one_history(source: HistorySource) -> list[RecordedEvent]:
    """Return the history in `source`.

    Raises `InvalidCallError` for something else, for none or for several; `HistoryError` naming the record that cannot be
    read; `OSError` for a file.
    """
    found = list(split(read_records(source)))
    if len(found) != 1:
        what = f"{source!r}" if isinstance(source, str | os.PathLike) else "what was given"
        raise InvalidCallError(
            f"expected the history of one run, got {len(found)} in {what}"
            + ("; `histories_in(path)` reads a file of several" if found else "")
        )
    return found[0]


def read_records(source: HistorySource) -> list[RecordedEvent]:
    """Return the events in `source`, numbered from 1 for each run. Raises as `one_history`."""
    if isinstance(source, str | os.PathLike):
        return list(_read_file(Path(source)))
    if inspect.isawaitable(source) or callable(getattr(source, "history", None)):
        raise InvalidCallError(f"expected a history, got {source!r}; pass `await handle.history()`")
    if not isinstance(source, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise InvalidCallError(f"expected a path, records or events, got {source!r}")
    return list(_numbered((None, item) for item in source))


def histories_in(path: str | os.PathLike[str]) -> Iterator[list[RecordedEvent]]:
    """Yield the history of each run in a file of JSON lines, in order. Raises `HistoryError` naming the line, or `OSError`."""
    return split(_read_file(Path(path)))


def history_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Yield the files that are named, and the `*.jsonl` and `*.jsonl.gz` files of the folders that are, with what is below them, sorted."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted([*path.rglob("*.jsonl"), *path.rglob("*.jsonl.gz")])
        else:
            yield path


def split(events: Iterable[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    """Yield the events of one run after the other. A run begins with its number 1."""
    current: list[RecordedEvent] = []
    for event in events:
        if event.seq == 1 and current:
            yield current
            current = []
        if event.seq != len(current) + 1:
            raise DamagedRecordError(f"expected event {len(current) + 1} of a history, got event {event.seq}")
        current.append(event)
    if current:
        yield current


def started(history: Sequence[RecordedEvent]) -> RunStarted:
    """Return the first event of a history. Raises `DamagedRecordError` if it is another one."""
    first = history[0].event if history else None
    if not isinstance(first, RunStarted):
        raise DamagedRecordError(f"the history does not begin with RunStarted but with {type(first).__name__}")
    return first


def _read_file(path: Path) -> Iterator[RecordedEvent]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        lines = ((f"{path}:{number}", line.strip()) for number, line in enumerate(file, 1))
        yield from _numbered((place, line) for place, line in lines if line)


def _numbered(items: Iterable[tuple[str | None, Any]]) -> Iterator[RecordedEvent]:
    """Read records: a `RunStarted` of another run begins a new history. `items` are records with their places."""
    seq, run_id = 0, None
    for place, item in items:
        if isinstance(item, RecordedEvent):
            yield item
            continue
        recorded = _read(seq + 1, item, place)
        if isinstance(recorded.event, RunStarted) and recorded.event.run_id != run_id:
            run_id = recorded.event.run_id
            recorded = RecordedEvent(1, recorded.event, recorded.record)
        seq = recorded.seq
        yield recorded


def _read(seq: int, item: object, place: str | None) -> RecordedEvent:
    if isinstance(item, str):
        item = item.encode()
    if not isinstance(item, bytes | bytearray | memoryview):
        raise InvalidCallError(f"expected records as bytes or text, or events, got {item!r}")
    try:
        return RecordedEvent.read(seq, bytes(cast(bytes, item)))
    except (DamagedRecordError, FutureVersionError) as error:
        raise cast(HistoryError, type(error)(f"{place}: {error}" if place else str(error))) from None
