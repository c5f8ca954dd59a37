"""What is written of a run before it is forgotten: its history as JSON lines, as `durable export` writes it."""

from __future__ import annotations

import asyncio
import gzip
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import orjson

from .. import _limits
from .._log import Status, read_run
from ..stores import Document, Store

_ID_CHARS_MAX = (
    150  # of a workflow id in a file's name: with the rest it stays below the 255 bytes of most file systems
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRun:
    """A closed run that is about to be forgotten, with its whole history. Times are aware, in UTC.

    `records` are the events as they are stored, in order: one JSON object each, if the codec makes JSON.
    """

    workflow_id: str
    run_id: str
    workflow: str
    queue: str
    status: Status
    started_at: datetime
    closed_at: datetime
    first_run_id: str
    records: tuple[bytes, ...]

    def lines(self) -> bytes:
        """Return the history as JSON lines, one event a line: what `durable export` writes and `durable replay` reads."""
        return b"".join(map(json_line, self.records))


Archive = Callable[[ArchivedRun], Awaitable[None] | None]
"""What is called with each run before it is forgotten: a function or a coroutine function. If it raises, the run stays."""


class FolderArchive:
    """Writes each run to a file of its own below `folder`: one folder for each workflow, `<workflow id>.<run id>.jsonl` in it.

    With `compress` the files are gzip-compressed, and end with `.jsonl.gz`. A file is there whole or not at all: it is
    written under another name, forced to the disk, and renamed. A run that is archived again (the process died before it was
    forgotten) gives the same file. The folder is made if there is none. Raises `OSError` if it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], *, compress: bool = False) -> None:
        self.folder, self.compress = Path(folder), compress

    async def __call__(self, run: ArchivedRun) -> None:
        """Write `run`; on return the file outlives a power cut. Blocks no event loop."""
        await asyncio.to_thread(self._write, run)

    def __repr__(self) -> str:
        return f"FolderArchive({str(self.folder)!r}, compress={self.compress})"

    def path_of(self, run: ArchivedRun) -> Path:
        """Return where the file of `run` is."""
        folder = self.folder / quote(run.workflow, safe=" ")[:_ID_CHARS_MAX]
        return folder / history_file(run.workflow_id, run.run_id, compressed=self.compress)

    def _write(self, run: ArchivedRun) -> None:
        path = self.path_of(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = gzip.compress(run.lines(), mtime=0) if self.compress else run.lines()
        # Not *.jsonl: whoever reads the folder meanwhile passes it over.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)  # a temporary file is its maker's alone
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
        _force(path.parent)


def _force(folder: Path) -> None:
    """Force the names in `folder` to the disk, where that can be done: on Windows a folder cannot be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def history_file(workflow_id: str, run_id: str, *, compressed: bool = False) -> str:
    """Return the name of the file of a run's history."""
    return f"{quote(workflow_id, safe=' ')[:_ID_CHARS_MAX]}.{run_id}.jsonl" + (".gz" if compressed else "")


def json_line(record: bytes) -> bytes:
    """Return a record as one line."""
    if b"\n" in record:  # a codec of the user's own may write JSON over several lines
        record = orjson.dumps(orjson.loads(record))
    return record + b"\n"


def archive_of(given: Archive | str | os.PathLike[str] | None) -> Archive | None:
    """Return what archives: what was given, or a `FolderArchive` for a folder or its URL (`file:///srv/archive?compress=gzip`).

    Raises `ValueError` for a URL that is not understood, and `TypeError` for anything else.
    """
    if given is None or callable(given):
        return given
    if not isinstance(given, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise TypeError(f"archive: expected a function, a folder or its file:// URL, got {given!r}")
    if isinstance(given, os.PathLike) or "://" not in given:
        if not os.fspath(given):
            raise ValueError("archive: the name of the folder is empty")
        return FolderArchive(given)
    url = urlsplit(given)
    options = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    if url.scheme != "file" or url.netloc not in ("", "localhost") or not url.path.strip("/") or url.fragment:
        raise ValueError(f'archive: expected a folder, or a URL like "file:///srv/archive", got {given!r}')
    if options not in ({}, {"compress": "gzip"}):
        raise ValueError(f"archive: the only option is ?compress=gzip, got {given!r}")
    return FolderArchive(unquote(url.path), compress=bool(options))


async def archived_run(store: Store, partition: int, document: Document) -> ArchivedRun:
    """Return the closed run of `document` with its history. Raises `DamagedRecordError`, and what the store raises."""
    run, records = read_run(document), list[bytes]()
    while page := await store.read(partition, document.id, after=len(records), limit=_limits.HISTORY_PAGE_EVENTS):
        records += page
    return ArchivedRun(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        workflow=run.workflow,
        queue=run.queue,
        status=run.status,
        started_at=_moment(run.started_ms),
        closed_at=_moment(run.closed_ms or 0),
        first_run_id=run.first_run_id,
        records=tuple(records),
    )


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
