"""How close the engine comes to its store: chains of activities on SQLite, against bare sqlite3 writing the same rows.

    python -m tests.benchmarks.chain [--runs 2000] [--length 10] [--at-once 50] [--rounds 5] [--synchronous full]

Each round runs the workflows with one worker in this process. Then bare `sqlite3` makes the same row writes again in a new
file of the same schema and settings, in the order in which so many runs at once make them: records and tasks inserted, tasks
and inbox entries deleted, documents inserted and closed; 100 row writes to a transaction, each kind by one `executemany`.
The figure is the ratio of the two rates in the same round; quote the median.
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
from itertools import zip_longest
from pathlib import Path
from typing import Any

from durable import Client, Worker, activity, workflow
from durable._log import ActivityTask, write_task
from durable.history import WIRE, ActivityCompleted, ActivityScheduled

BATCH = 100  # row writes in a transaction of the floor


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
    async with (
        Client.connect(f"sqlite:///{path}?synchronous={synchronous}") as client,
        Worker(client, workflows=[chain], activities=[step]),
    ):
        await client.execute(chain, id="warm-up")(length)
        slots = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with slots:
                result = await client.execute(chain, id=f"chain-{number}")(length)
                assert result == 90 * length, result

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(runs)))
        return runs * length / (time.perf_counter() - began)


def run_floor(source: Path, path: Path, *, length: int, at_once: int, synchronous: str) -> float:
    """Return the activities a second at which bare sqlite3 makes the row writes that led to what is in `source`."""
    lives = [list(life) for life in _lives(source)]
    writes = [
        write for first in range(0, len(lives), at_once) for write in _interleaved(lives[first : first + at_once])
    ]
    database = _empty_copy(source, path, synchronous)
    began = time.perf_counter()
    for first in range(0, len(writes), BATCH):
        _write(database, writes[first : first + BATCH])
    rate = len(lives) * length / (time.perf_counter() - began)
    database.close()
    return rate


Write = tuple[str, tuple[Any, ...]]  # a statement of `_STATEMENTS` and its parameters
Life = Iterator[list[Write]]  # what a run writes, step by step

_STATEMENTS = {
    "document": "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "entry": "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)",
    "entry read": "DELETE FROM inbox WHERE seq = ?",
    "record": "INSERT INTO records VALUES (?, ?, ?, ?)",
    "task done": "DELETE FROM tasks WHERE id = ?",
    "task": "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "closed": "UPDATE documents SET state = ?, open = 0, closed_ms = ? WHERE id = ? AND partition = ?",
}


def _lives(source: Path) -> Iterator[Life]:
    with sqlite3.connect(source) as database:
        documents = database.execute("SELECT * FROM documents").fetchall()
        columns = [column[1] for column in database.execute("PRAGMA table_info(documents)")]
        query = "SELECT * FROM records WHERE partition = ? AND stream = ? ORDER BY seq"
        for number, row in enumerate(documents, 1):
            document = dict(zip(columns, row, strict=True))
            records = database.execute(query, (document["partition"], document["id"])).fetchall()
            yield _life(number, row, document, records)


def _life(number: int, row: tuple[Any, ...], document: dict[str, Any], records: list[tuple[Any, ...]]) -> Life:
    """Yield what one run writes in each step, from its start to its end."""
    partition, run_id = document["partition"], document["id"]
    opened = tuple(1 if name == "open" else None if name == "closed_ms" else value for name, value in document.items())
    entry = (number, partition, document["inbox"], document["request"], document["name"], records[0][3])
    yield [("document", opened), ("entry", entry)]
    step: list[Write] = [("entry read", (number,))]
    tasks: list[str] = []
    for record in records:
        event = WIRE.decode(record[3])
        if event.role == "inbound" and len(step) > 1:
            yield step
            step = []
        step.append(("record", record))
        if isinstance(event, ActivityCompleted):
            step.append(("task done", (tasks.pop(0),)))
        elif isinstance(event, ActivityScheduled):
            task = _task_row(document, event, record[2])
            tasks.append(task[0])
            step.append(("task", task))
    step.append(("closed", (document["state"], document["closed_ms"], run_id, partition)))
    yield step


def _task_row(document: dict[str, Any], event: ActivityScheduled, seq: int) -> tuple[Any, ...]:
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
    owner = document["request"]  # as long as a session's id
    # id, partition, seq, queue, kind, inbox, name, owner, ready, deliveries, parked, data, details, cancelled
    return (
        task.id,
        document["partition"],
        seq,
        task.queue,
        task.kind,
        task.inbox,
        task.name,
        owner,
        0,
        1,
        None,
        task.data,
        None,
        0,
    )


def _interleaved(lives: Sequence[list[list[Write]]]) -> Iterator[Write]:
    for steps in zip_longest(*lives, fillvalue=()):
        for step in steps:
            yield from step


def _empty_copy(source: Path, path: Path, synchronous: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    with sqlite3.connect(source) as old:
        for (sql,) in old.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"):
            database.execute(sql)
    return database


def _write(database: sqlite3.Connection, writes: Sequence[Write]) -> None:
    database.execute("BEGIN IMMEDIATE")
    by_kind: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in _STATEMENTS}
    for kind, parameters in writes:
        by_kind[kind].append(parameters)
    for kind, rows in by_kind.items():
        if rows:
            database.executemany(_STATEMENTS[kind], rows)
    database.execute("COMMIT")


def measure(*, runs: int, length: int, at_once: int, synchronous: str) -> Round:
    """Run one round in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        used, bare = Path(folder, "engine.db"), Path(folder, "floor.db")
        engine = asyncio.run(run_engine(used, runs=runs, length=length, at_once=at_once, synchronous=synchronous))
        return Round(engine, run_floor(used, bare, length=length, at_once=at_once, synchronous=synchronous))


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
