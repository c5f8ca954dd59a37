"""How close the engine comes to its store: chains of activities on SQLite, against bare sqlite3 writing the same rows.

    python -m tests.benchmarks.chain [--runs 2000] [--length 10] [--at-once 50] [--rounds 5] [--synchronous full]

Each round runs the workflows with one worker in this process, then writes the rows that they left (records, tasks, inbox
entries, documents) with `sqlite3.executemany` into a new file of the same schema, in transactions of 100 activities. The
figure is the ratio of the two rates in the same round; quote the median. Both files are in the same folder.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable import Client, Worker, activity, workflow
from durable._log import ActivityTask, write_task
from durable.history import WIRE, ActivityScheduled

BATCH = 100  # activities per transaction of the floor


@activity
async def step(number: int, text: str) -> int:
    """Does nothing, with a payload of about 100 bytes."""
    return number + len(text)


@workflow
async def chain(length: int) -> int:
    """Awaits `length` activities, one after the other."""
    number = 0
    for _ in range(length):
        number = await step(number, "x" * 90)
    return number


@dataclass(frozen=True)
class Round:
    """Activities a second: of the engine, of the bare rows, and the one over the other."""

    engine: float
    floor: float

    @property
    def ratio(self) -> float:
        return self.engine / self.floor


async def run_engine(path: Path, *, runs: int, length: int, at_once: int, synchronous: str) -> float:
    """Return the activities a second of `runs` chains, `at_once` at a time, on a new file at `path`."""
    async with Client.connect(f"sqlite:///{path}?synchronous={synchronous}") as client:
        async with Worker(client, workflows=[chain], activities=[step]):
            await client.execute(chain, id="warm-up")(length)
            slots = asyncio.Semaphore(at_once)

            async def one(number: int) -> None:
                async with slots:
                    result = await client.execute(chain, id=f"chain-{number}")(length)
                    assert result == 90 * length, result

            began = time.perf_counter()
            await asyncio.gather(*(one(number) for number in range(runs)))
            return runs * length / (time.perf_counter() - began)


def run_floor(source: Path, path: Path, *, length: int, synchronous: str) -> float:
    """Return the activities a second at which bare sqlite3 writes the rows that `source` was left with, and their tasks."""
    runs = list(_rows_by_run(source))
    database = _empty_copy(source, path, synchronous)
    began = time.perf_counter()
    per_transaction = max(1, BATCH // length)
    for first in range(0, len(runs), per_transaction):
        _write(database, runs[first : first + per_transaction])
    rate = len(runs) * length / (time.perf_counter() - began)
    database.close()
    return rate


@dataclass
class _RunRows:
    document: tuple[Any, ...]
    records: list[tuple[Any, ...]]
    tasks: list[tuple[Any, ...]]
    inbox: tuple[Any, ...]


def _rows_by_run(source: Path) -> Iterator[_RunRows]:
    with sqlite3.connect(source) as database:
        documents = database.execute("SELECT * FROM documents").fetchall()
        columns = [column[1] for column in database.execute("PRAGMA table_info(documents)")]
        for number, row in enumerate(documents, 1):
            document = dict(zip(columns, row, strict=True))
            query = "SELECT * FROM records WHERE partition = ? AND stream = ? ORDER BY seq"
            records = database.execute(query, (document["partition"], document["id"])).fetchall()
            tasks = [_task_row(document, record[3], record[2]) for record in records]
            entry = (number, document["partition"], "default", document["request"], document["name"], records[0][3])
            yield _RunRows(row, records, [task for task in tasks if task], entry)


def _task_row(document: dict[str, Any], record: bytes, seq: int) -> tuple[Any, ...]:
    event = WIRE.decode(record)
    if not isinstance(event, ActivityScheduled):
        return ()
    body = ActivityTask(
        workflow=document["kind"],
        workflow_id=document["name"],
        run_id=document["id"],
        id=event.id,
        activity=event.activity,
        args=event.args,
        scheduled_ms=event.at,
    )
    task = write_task(body, queue=event.queue, inbox="default")
    session = document["request"]
    # id, partition, seq, queue, kind, inbox, name, owner, ready, deliveries, parked, data, details
    return (task.id, document["partition"], seq, task.queue, task.kind, task.inbox, task.name, session, 0, 1, None, task.data, None)


def _empty_copy(source: Path, path: Path, synchronous: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    with sqlite3.connect(source) as old:
        for (sql,) in old.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"):
            database.execute(sql)
    return database


def _write(database: sqlite3.Connection, runs: Sequence[_RunRows]) -> None:
    """One transaction: all that these runs write in their life, each table at once."""
    database.execute("BEGIN IMMEDIATE")
    database.executemany(_insert("documents", 12), [run.document for run in runs])
    database.executemany(_insert("inbox", 6), [run.inbox for run in runs])
    database.executemany(_insert("records", 4), [record for run in runs for record in run.records])
    database.executemany(_insert("tasks", 13), [task for run in runs for task in run.tasks])
    database.executemany("DELETE FROM tasks WHERE id = ?", [(task[0],) for run in runs for task in run.tasks])
    database.executemany("DELETE FROM inbox WHERE seq = ?", [(run.inbox[0],) for run in runs])
    closed = [(run.document[6], run.document[1], run.document[0]) for run in runs]
    database.executemany("UPDATE documents SET state = ?, open = 0 WHERE id = ? AND partition = ?", closed)
    database.execute("COMMIT")


def _insert(table: str, columns: int) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - names of our own


def measure(*, runs: int, length: int, at_once: int, synchronous: str) -> Round:
    """Run one round in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        used, bare = Path(folder, "engine.db"), Path(folder, "floor.db")
        engine = asyncio.run(run_engine(used, runs=runs, length=length, at_once=at_once, synchronous=synchronous))
        return Round(engine, run_floor(used, bare, length=length, synchronous=synchronous))


def main() -> None:
    """Print each round and the medians; `--json` for machines."""
    parser = argparse.ArgumentParser(description="chains of activities on SQLite, against bare sqlite3")
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--synchronous", choices=["full", "normal"], default="full")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rounds = []
    for number in range(1, args.rounds + 1):
        result = measure(runs=args.runs, length=args.length, at_once=args.at_once, synchronous=args.synchronous)
        rounds.append(result)
        if not args.json:
            print(
                f"round {number}: engine {result.engine:8,.0f}/s  bare sqlite3 {result.floor:8,.0f}/s  "
                f"ratio {result.ratio:.0%}",
                flush=True,
            )
    ratio = statistics.median(r.ratio for r in rounds)
    engine, floor = statistics.median(r.engine for r in rounds), statistics.median(r.floor for r in rounds)
    if args.json:
        print(json.dumps({"engine": engine, "floor": floor, "ratio": ratio, "rounds": args.rounds}))
    else:
        print(f"median:  engine {engine:8,.0f}/s  bare sqlite3 {floor:8,.0f}/s  ratio {ratio:.0%}")


if __name__ == "__main__":
    main()
