"""Several processes on one file, and processes that die."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from durable.stores import open_store

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("_store_process.py")


def start(what: str, path: Path, name: str, count: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, str(SCRIPT), what, f"sqlite:///{path}", name, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> list[str]:
    try:
        out, err = process.communicate(timeout=50)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out.splitlines()


async def records(path: Path) -> list[str]:
    async with open_store(f"sqlite:///{path}") as store:
        return [record.decode() for record in await store.read(0, "history", limit=100_000)]


def is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


@pytest.mark.parametrize("kill_after", [1, 7, 40])
async def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path, kill_after: int) -> None:
    """SIGKILL in the middle of writing: every acknowledged record is there, in order, and the file is sound."""
    path = tmp_path / "store.db"
    process = start("write_forever", path, "victim")
    assert process.stdout is not None
    for _ in range(kill_after):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=20)
    acknowledged = kill_after + len(rest.splitlines())
    found = await records(path)
    assert found == [f"victim:{number}" for number in range(1, len(found) + 1)]
    assert len(found) >= acknowledged
    assert is_sound(path)


@pytest.mark.parametrize("what", ["take_turns", "fight"])
async def test_processes_that_write_to_one_stream_lose_and_double_nothing(tmp_path: Path, what: str) -> None:
    """Leases and expected positions hold across processes: each acknowledged record is in the stream once, in its writer's order."""
    path = tmp_path / "store.db"
    names = ["a", "b", "c"]
    processes = [start(what, path, name, 40) for name in names]
    acknowledged = {name: finish(process) for name, process in zip(names, processes, strict=True)}
    found = await records(path)
    assert Counter(found) == Counter(f"{name}:{number}" for name in names for number in range(1, 41))
    for name in names:
        assert acknowledged[name] == [str(number) for number in range(1, 41)]
        assert [each for each in found if each.startswith(name)] == [f"{name}:{number}" for number in range(1, 41)]
    assert is_sound(path)


async def test_a_process_that_ends_without_closing_does_not_hang(tmp_path: Path) -> None:
    """The threads are daemons; what was acknowledged is in the file."""
    path = tmp_path / "store.db"
    assert finish(start("leave_open", path, "careless")) == ["1"]
    assert await records(path) == ["careless:1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_must_open_the_store_anew(tmp_path: Path) -> None:
    """SQLite's connections do not survive a fork: using the parent's store in the child is refused."""
    (line,) = finish(start("fork", tmp_path / "store.db", "child"))
    assert "opened before a fork" in line
