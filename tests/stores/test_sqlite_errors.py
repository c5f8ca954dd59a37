"""Everything that can be wrong with a file, with real files: a clear error of ours, and nothing damaged."""

import asyncio
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable._clock import SystemClock
from durable.errors import (
    InvalidCallError,
    StoreFormatError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from durable.stores import Store, open_store
from durable.stores._protocol import Append, Lease
from durable.stores.sqlite import SqliteStore, _connection, _errors, _schema
from durable.testing.conformance._base import (
    INBOX,
    NAME,
    P,
    applied,
    commit,
    commit_of,
    document,
    entry,
    inbox_of,
    lease_for,
)


def url_of(path: Path, options: str = "") -> str:
    return f"sqlite:///{path}{options}"


async def make(path: Path) -> None:
    """Make a store with a run's worth of content."""
    async with open_store(url_of(path)) as store:
        await store.create(P, document(), [entry()])
        await applied(store, await lease_for(store), appends=[Append("history", 0, [b"1", b"2"])])


def change(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(sql)
    connection.close()


def content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


async def refused(path: Path, error: type[Exception], match: str) -> None:
    """Opening `path` raises `error`, and leaves every byte of it as it was."""
    before = content_of(path)
    with pytest.raises(error, match=match) as caught:
        await open_store(url_of(path))
    assert str(path) in str(caught.value)
    assert content_of(path) == before


# --- files that are not ours


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A store that a newer version has written is not touched by an older one."""
    path = tmp_path / "store.db"
    await make(path)
    change(path, "PRAGMA user_version=99")
    await refused(path, StoreFormatError, f"schema version 99.*up to {_schema.VERSION}: upgrade durable")


@pytest.mark.parametrize(
    "content", [b"order,price\n1,2\n" * 100, b"\x00" * 4096, b"S", b"SQLite format 4\0" + b"x" * 100]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Whatever a path leads to by mistake is not overwritten."""
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    await refused(path, StoreFormatError, "no SQLite database")


async def test_another_applications_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A database without our application id is not ours, unless it is empty."""
    path = tmp_path / "theirs.db"
    change(path, "CREATE TABLE orders (id INTEGER)")
    await refused(path, StoreFormatError, "another application")
    change(path, "PRAGMA application_id=77")
    await refused(path, StoreFormatError, "id 0x4d")
    assert os.listdir(tmp_path) == ["theirs.db"]


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder where a file is expected."""
    await refused(tmp_path, StoreFormatError, "is a folder")


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """As `mktemp` makes it."""
    path = tmp_path / "store.db"
    path.touch()
    await make(path)
    async with open_store(url_of(path)) as store:
        assert await store.read(P, "history") == [b"1", b"2"]


async def test_a_damaged_file_is_reported_as_such(tmp_path: Path) -> None:
    """Pages overwritten behind SQLite's back: the calls that meet them raise `StoreFormatError`, naming the file."""
    path = tmp_path / "store.db"
    await make(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreFormatError, match="not a sound SQLite database") as caught:
        async with open_store(url_of(path)) as store:
            await store.read(P, "history")
            await store.send(P, entry("e-2"))
    assert str(path) in str(caught.value)


# --- files that cannot be written


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to write everything, if this is root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody can look into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


async def test_a_read_only_file_is_refused(open_folder: Path) -> None:
    """`StoreReadOnlyError` when it is opened, not at the first write."""
    path = open_folder / "store.db"
    await make(path)
    path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    with as_nobody():
        await refused(path, StoreReadOnlyError, "cannot be written")


async def test_a_read_only_folder_is_refused(open_folder: Path) -> None:
    """SQLite keeps its log beside the file, so it must be able to write the folder."""
    await make(open_folder / "loaded.db")  # everything is imported by now
    path = open_folder / "store.db"
    await make(path)
    path.chmod(0o666)
    os.chmod(open_folder, 0o555)
    with as_nobody():
        await refused(path, StoreReadOnlyError, "its folder")
        with pytest.raises(StoreReadOnlyError, match="its folder"):
            await open_store(url_of(open_folder / "new.db"))


def limit_pages(store: Store, pages: int) -> None:
    """Let the file grow to `pages` pages and no further, as a full disk would."""
    assert isinstance(store, SqliteStore)
    store._writer._connection.execute(f"PRAGMA max_page_count={pages}")


async def test_a_full_disk_writes_nothing_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """`StoreFullError`: everything is rolled back; the same commit is applied once there is room."""
    path = tmp_path / "store.db"
    await make(path)
    async with open_store(url_of(path)) as store:
        lease = await lease_for(store)
        limit_pages(store, 1)
        big = commit_of(lease, appends=[Append("small", 0, [b"x"]), Append("history", 2, [b"x" * 500_000])])
        for _ in range(2):
            with pytest.raises(StoreFullError, match="make room"):
                await store.commit([big])
        assert await store.read(P, "history") == [b"1", b"2"]
        assert await store.read(P, "small") == []
        await applied(store, lease, appends=[Append("history", 2, [b"3"])])  # there is room for little things
        limit_pages(store, 1_000_000)
        assert await commit(store, lease, appends=[Append("history", 3, [b"x" * 500_000])]) is None
        assert len(await store.read(P, "history")) == 4


async def test_a_locked_file_is_unavailable_until_it_is_free(tmp_path: Path) -> None:
    """`StoreUnavailableError` after the busy timeout, naming the file and what to look for; then all goes on."""
    path = tmp_path / "store.db"
    await make(path)
    async with open_store(url_of(path, "?busy_timeout=50ms")) as store:
        lease = await lease_for(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"store\.db is locked by another process"):
            await applied(store, lease, appends=[Append("history", 2, [b"3"])])
        with pytest.raises(StoreUnavailableError, match="locked"):
            await open_store(url_of(path, "?busy_timeout=50ms"))
        assert await store.read(P, "history") == [b"1", b"2"]  # reads do not wait for writers
        other.execute("ROLLBACK")
        other.close()
        await applied(store, lease, appends=[Append("history", 2, [b"3"])])


async def test_a_file_locked_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """Other processes hold the lock for a few milliseconds all the time."""
    path = tmp_path / "store.db"
    await make(path)
    async with open_store(url_of(path)) as store:
        lease = await lease_for(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(commit(store, lease, appends=[Append("history", 2, [b"3"])]))
        await store.read(P, "history")
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        assert await waiting is None


def test_an_old_sqlite_is_named() -> None:
    """The statements need SQLite 3.35."""
    _errors.check_version((3, 35, 0))
    with pytest.raises(StoreUnavailableError, match=r"SQLite 3\.34\.1; 3\.35\.0 or newer"):
        _errors.check_version((3, 34, 1))


# --- what one call hands in


async def test_a_call_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    """Calls share a transaction; what is wrong with one of them must not fail the others, nor be written in part."""
    async with open_store(url_of(tmp_path / "store.db")) as store:
        lease = await lease_for(store)
        parts = [
            [Append("history", 0, [b"1"])],
            [Append("other", 0, [b"x"]), Append("bad\ud800", 0, [b"x"])],
            [Append("history", 1, [b"2"])],
            [Append("other", 0, [2**80])],
        ]
        calls = [store.commit([commit_of(lease, appends=each)]) for each in parts]  # type: ignore[arg-type]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[0] == answers[2] == [None]
        assert isinstance(answers[1], UnicodeEncodeError)
        assert isinstance(answers[3], OverflowError)
        assert await store.read(P, "history") == [b"1", b"2"]
        assert await store.read(P, "other") == []


async def test_two_creations_of_one_id_at_once_fail_one(tmp_path: Path) -> None:
    """The second one is refused by the file itself, and only that one."""
    async with open_store(url_of(tmp_path / "store.db")) as store:
        new = [document("d-01", f"order-{number}", request=f"r-{number}") for number in range(3)]
        calls = [store.create(P, each, [entry(f"e-{each.name}", each.name)]) for each in new]
        calls.append(store.create(P, document("d-02", "order-9", request="r-9"), [entry("e-9", "order-9")]))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [getattr(each, "id", type(each).__name__) for each in answers] == [
            "d-01",
            "NameTakenError",
            "NameTakenError",
            "d-02",
        ]
        assert [each.id for each in await inbox_of(store)] == ["e-order-0", "e-9"]


# --- opening and closing


async def test_close_waits_for_writes_under_way(tmp_path: Path) -> None:
    """`close`: wait for writes under way; what is asked for afterwards is refused."""
    path = tmp_path / "store.db"
    store = await open_store(url_of(path))
    lease = await lease_for(store)
    under_way = [asyncio.ensure_future(commit(store, lease, appends=[Append(f"h-{n}", 0, [b"x"])])) for n in range(50)]
    await asyncio.sleep(0)  # let them ask
    await store.close()
    assert await asyncio.gather(*under_way) == [None] * 50
    with pytest.raises(InvalidCallError, match="closed"):
        await store.read(P, "h-0")
    with pytest.raises(InvalidCallError, match="closed"):
        store.renew("s-1", 1, [], [])
    assert os.listdir(tmp_path) == ["store.db"]
    async with open_store(url_of(path)) as again:
        assert (await again.inspect.counts())["records"] == 50


async def test_a_cancelled_caller_does_not_disturb_the_others(tmp_path: Path) -> None:
    """Whoever stops waiting gets no answer; the call is carried out, and all others get theirs."""
    async with open_store(url_of(tmp_path / "store.db")) as store:
        lease = await lease_for(store)
        calls = [asyncio.ensure_future(commit(store, lease, appends=[Append(f"h-{n}", 0, [b"x"])])) for n in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[::2] == [None, None]
        assert isinstance(answers[1], asyncio.CancelledError)


async def test_a_page_that_is_too_large_for_one_value_is_read_all_the_same(tmp_path: Path) -> None:
    """Reads join records into one value, which SQLite limits; past that they go row by row."""
    async with open_store(url_of(tmp_path / "store.db")) as store:
        assert isinstance(store, SqliteStore)
        store._reader._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        records = [bytes([number]) * 2_000 for number in range(4)]
        await applied(store, await lease_for(store), appends=[Append("history", 0, records)])
        assert await store.read(P, "history") == records
        assert await store.read(P, "history", after=2, limit=1) == records[2:3]


# --- versions of the schema


def options(path: Path) -> _connection.Options:
    return _connection.Options(path, url_of(path))


def test_a_step_that_is_missing_is_made_and_the_content_kept(tmp_path: Path) -> None:
    """An older store is brought up to date, step by step."""
    path = tmp_path / "store.db"
    asyncio.run(make(path))
    connection = _connection.connect(options(path), reads_only=False)
    later = [*_schema.steps(), "CREATE TABLE extra (id INTEGER);\nINSERT INTO extra VALUES (7);"]
    assert _schema.prepare(connection, options(path), SystemClock(), later) == 8
    assert connection.execute("SELECT id FROM extra").fetchall() == [(7,)]
    assert connection.execute("PRAGMA user_version").fetchall() == [(_schema.VERSION + 1,)]
    assert connection.execute("SELECT count(*) FROM records").fetchall() == [(2,)]
    connection.close()


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    """All steps are one transaction."""
    path = tmp_path / "store.db"
    asyncio.run(make(path))
    connection = _connection.connect(options(path), reads_only=False)
    with pytest.raises(sqlite3.OperationalError):
        _schema.prepare(
            connection, options(path), SystemClock(), [*_schema.steps(), "CREATE TABLE extra (id);\nCREATE BANANA;"]
        )
    assert connection.execute("PRAGMA user_version").fetchall() == [(_schema.VERSION,)]
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchall() == [(0,)]
    connection.close()


async def test_a_new_file_can_be_made_by_many_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes the schema; the others wait and use it."""
    opened = await asyncio.gather(*(open_it(tmp_path / "store.db") for _ in range(6)))
    assert [store.partitions for store in opened] == [8] * 6
    await applied(opened[0], await lease_for(opened[0]), appends=[Append("history", 0, [b"1"])])
    assert await opened[5].read(P, "history") == [b"1"]
    for store in opened:
        await store.close()


async def open_it(path: Path) -> Store:
    return await open_store(url_of(path))


# --- settings that promise something


async def test_the_durability_mode_is_the_one_asked_for(tmp_path: Path) -> None:
    """`synchronous=FULL` by default, in WAL mode."""
    for text, expected in (("", 2), ("?synchronous=normal", 1), ("?synchronous=full", 2)):
        async with open_store(url_of(tmp_path / "store.db", text)) as store:
            assert isinstance(store, SqliteStore)
            connection = store._writer._connection
            assert connection.execute("PRAGMA synchronous").fetchall() == [(expected,)]
            assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


async def test_only_what_touches_a_topic_wakes_other_processes(tmp_path: Path) -> None:
    """Renewals come every second from every worker; they do not move the counter that other processes look at."""
    path = tmp_path / "store.db"
    async with open_store(url_of(path)) as store:
        lease = await lease_for(store)
        reader = sqlite3.connect(path, isolation_level=None)

        def counter() -> int:
            ((value,),) = reader.execute("SELECT value FROM settings WHERE name = 'seq'").fetchall()
            return int(value)

        before = counter()
        store.renew("s-1", 5_000, [lease], [])
        assert counter() == before
        await store.release([lease])
        assert counter() > before
        reader.close()


async def test_a_commit_by_another_handle_wakes_every_watch(tmp_path: Path) -> None:
    """Across processes a notification says only that something happened; every watch is woken."""
    async with open_store(url_of(tmp_path / "store.db")) as one, open_store(url_of(tmp_path / "store.db")) as two:
        watches = [one.watch(["anything"]), one.watch(["something else"])]
        async with asyncio.timeout(10):
            await two.create(P, document(), [entry()])
            assert await asyncio.gather(*(each.wait(None) for each in watches)) == [True, True]
            await two.send(P, entry("e-2", NAME))
            assert await watches[0].wait(None)
        assert [each.id for each in (await one.read_inboxes([(Lease(P, INBOX, "", 0), 0)], 9))[0]] == ["e-1", "e-2"]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of an open file")
async def test_a_file_that_is_moved_away_takes_no_more_writes(tmp_path: Path) -> None:
    """What it acknowledged would be lost to everybody else; put back, it goes on."""
    path, away = tmp_path / "x.db", tmp_path / "away"
    away.mkdir()

    def move(here: Path, there: Path) -> None:
        for file in here.glob("x.db*"):
            file.replace(there / file.name)

    async with open_store(url_of(path)) as store:
        await store.create(P, document(), [entry()])
        move(tmp_path, away)
        with pytest.raises(StoreUnavailableError, match="was moved, removed or replaced"):
            await store.send(P, entry("e-2"))
        await make(path)
        with pytest.raises(StoreUnavailableError, match=r"x\.db was moved, removed or replaced"):
            await store.send(P, entry("e-2"))
        move(away, tmp_path)
        await store.send(P, entry("e-2"))
        assert [one.id for one in await inbox_of(store)] == ["e-1", "e-2"]
