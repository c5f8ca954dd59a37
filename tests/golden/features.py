"""The workflows whose histories are kept, and how each history came about. Neither may change: they stand for runs out there."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from durable._engine.execution import Execution
from durable._engine.fork import fork
from durable._log import Fork
from durable.author import (
    Attribute,
    Signal,
    Update,
    activity,
    deprecate_patch,
    external,
    info,
    local,
    now,
    patched,
    random,
    side_effect,
    sleep,
    upsert_attributes,
    uuid4,
    wait_condition,
    workflow,
)
from durable.history import WIRE, Origin, to_raw
from durable.retry import RetryPolicy
from tests.engine.harness import SteppedRun, payload
from tests.golden.calls import CALLS

number = Signal("number", int)
stop = Signal("stop")
raised = Update("raised", int, int)
watched = Update("watched", int, int)


@activity(retry=RetryPolicy(initial_interval=1, jitter=0, max_attempts=3))
async def double(n: int) -> int:
    return 2 * n


@activity(total_timeout="10s", queue_timeout="5s", timeout="1s", heartbeat_timeout="1s", queue="far")
async def limited(n: int) -> int:
    return n


WORLD: dict[str, Callable[..., Any]] = {"double": lambda n: 2 * n, "limited": lambda n: n}


@workflow
async def chain(n: int) -> int:
    total = n
    for _ in range(3):
        total = await double(total)
    return total


@workflow
async def fan_out(n: int) -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double(each)) for each in range(n)]  # type: ignore[arg-type]
    first = [await each for each in asyncio.as_completed([double(10), double(20)])]
    return [*(task.result() for task in tasks), *first]


customer = Attribute("customer", str)
total = Attribute("total", float)
due = Attribute("due", datetime)
tags = Attribute("tags", list[str])


@workflow(name="searchable", version="2", pinned=True)
async def searchable() -> list[str]:
    upsert_attributes({total: 1, due: now(), tags: ["a", "b"]})
    deprecate_patch("older")
    n = await double(1) if patched("newer") else 0
    upsert_attributes({total: n, customer: None})
    return [*info().attributes, *info().memo, str(info().version)]


@workflow
async def timers() -> str:
    await sleep("1 hour")
    try:
        async with asyncio.timeout(5):
            await double(1)
    except TimeoutError:
        await asyncio.sleep(0.25)
    return now().isoformat()


@workflow
async def signals() -> list[int]:
    got: list[int] = []
    done: list[bool] = []

    @stop.handler
    async def on_stop() -> None:
        await double(7)
        done.append(True)

    got.append(await number.receive())
    got.append(await number.receive(timeout=5, default=-1))
    async for value in number:
        got.append(value)
        if value == 0:
            break
    await wait_condition(lambda: bool(done))
    return got


@workflow
async def cancelled() -> int:
    try:
        return await double(1)
    finally:
        await double(2)


@workflow
async def markers() -> list[Any]:
    value = side_effect(_five)
    return [value, patched("new way"), random().random(), str(uuid4()), await double(value)]


@workflow
async def forking() -> list[int]:
    """Forked while its timer and its second activity are pending; with chance before and after that."""
    rng = random()
    first = await double(int(rng.random() * 1000))
    pause = asyncio.create_task(asyncio.sleep(30))
    second = await double(int(rng.random() * 1000))
    await pause
    return [first, second, int(rng.random() * 1000), int(uuid4().int % 1000)]


def _five() -> int:
    return 5


@workflow
async def failing() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(double(1))  # type: ignore[arg-type]
        group.create_task(double(2))  # type: ignore[arg-type]


@workflow
async def limits() -> str:
    try:
        await limited(1)
    except TimeoutError as error:
        return str(getattr(error, "kind", ""))
    return ""


@workflow
async def race() -> int:
    tasks = [asyncio.create_task(double(n)) for n in range(3)]  # type: ignore[arg-type]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return sum([await task for task in done])


@workflow
async def outward() -> str:
    await external("other").signal(number, 3)
    await external("other").cancel("no more")
    return "sent"


@workflow(timeout="1 minute")
async def overdue() -> None:
    await sleep("1 hour")


@workflow
async def nearby() -> int:
    return await local(double)(1) + await local(double)(2)


@workflow
async def updates() -> int:
    total = 0

    @raised.validator
    def check(n: int) -> None:
        if n < 0:
            raise ValueError(n)

    @raised.handler
    async def on_raised(n: int) -> int:
        nonlocal total
        if n == 13:
            raise KeyError(n)
        total += await double(n)
        return total

    @Update.dynamic
    async def on_other(name: str, value: Any) -> list[Any]:
        await sleep(1)
        return [name, value]

    @Signal.dynamic
    async def on_signal(name: str, value: Any) -> None:
        nonlocal total
        total += await double(len(name))

    @watched.handler(concurrent=True, unfinished="abandon")
    async def on_watched(n: int) -> int:
        await double(n)
        return n

    await stop.receive()
    return total


def _updates() -> SteppedRun:
    run = SteppedRun(updates).start()
    run.update(raised, -1)
    run.send(
        run.update_message(raised, 1), run.update_message(Update("other", str), "x"), run.update_message(raised, 13)
    )
    run.complete(1, 2)
    run.fire_next()
    run.signal(Signal("unknown", int), 1)
    run.complete(next(t.id for t in run.tasks.values()), 14)
    run.update(watched, 4)
    run.update(raised, 5)
    run.signal(stop)
    run.complete(next(t.id for t in run.tasks.values()), 10)
    return run


def _chain() -> SteppedRun:
    run = SteppedRun(chain, 1).start()
    run.complete(1, 2)
    run.fail(2, OSError("down"))
    run.fire_next_retry(2)
    return run.drive(WORLD)


def _signals() -> SteppedRun:
    run = SteppedRun(signals).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    run.signal(number, 3)
    run.signal(stop)
    run.complete(next(t.id for t in run.tasks.values()), 14)
    run.signal(number, 0)
    return run


def _cancelled() -> SteppedRun:
    run = SteppedRun(cancelled).start()
    run.cancel("enough")
    return run.drive(WORLD)


def _failing() -> SteppedRun:
    run = SteppedRun(failing).start()
    run.fail(2, TypeError("a bug"))
    return run


def _race() -> SteppedRun:
    run = SteppedRun(race).start()
    run.complete(2, 2)
    return run


def _terminated() -> SteppedRun:
    run = SteppedRun(cancelled).start()
    run.terminate()
    return run


def _outward() -> SteppedRun:
    run = SteppedRun(outward).start()
    run.delivered(1)
    run.delivered(2)
    return run


def _nearby() -> SteppedRun:
    run = SteppedRun(nearby).start()
    run.local(1, 2)
    run.local(2, 4)
    return run


def _searchable() -> SteppedRun:
    run = SteppedRun(searchable)
    given = {name: getattr(run.start_message, name) for name in run.start_message.__struct_fields__}
    given |= {"version": "2", "pinned": True, "attributes": {"customer": "ada"}, "memo": {"note": to_raw(payload("x"))}}
    run.start_message = type(run.start_message)(**given)
    return run.start().drive(WORLD)


def _timers() -> SteppedRun:
    run = SteppedRun(timers).start()
    for _ in range(3):
        run.fire_next()
    return run


def _limits() -> SteppedRun:
    run = SteppedRun(limits).start()
    run.fire_next()
    return run


def _overdue() -> SteppedRun:
    run = SteppedRun(overdue).start()
    run.fire_next()
    return run


class _HistoryOf:
    """What a fork asks of a store."""

    def __init__(self, run: SteppedRun) -> None:
        self.run = run

    def now_ms(self) -> int:
        return self.run.now_ms

    async def read(self, _partition: int, _stream: str, *, after: int, limit: int) -> list[bytes]:
        return self.run.history[after : after + limit]


def _forked() -> SteppedRun:
    source = SteppedRun(forking)
    source.execution = Execution("wf-0", "run-0", forking, source.codec)
    source.start_message = replace(source.start_message, run_id="run-0", headers={"user": "ada"})
    source.start()
    source.complete(1, 2)
    run = SteppedRun(forking)
    run.now_ms = source.now_ms = source.now_ms + 60_000
    origin = Origin(workflow_id="wf-0", run_id="run-0", event=len(source.history))
    message = replace(run.start_message, fork=Fork(origin=origin, partition=0))
    store: Any = _HistoryOf(source)
    decision = asyncio.run(fork(store, run.execution, message))
    source.dispose()
    run.history += [WIRE.encode(event) for event in decision.events]
    run.tasks.update({task_id: task for task_id, (task, _) in decision.tasks.items()})
    run.dues.update(decision.dues)
    return run.drive(WORLD)


FEATURES: dict[str, tuple[Any, Callable[[], SteppedRun]]] = {
    "chain": (chain, _chain),
    "fan_out": (fan_out, lambda: SteppedRun(fan_out, 3).start().drive(WORLD)),
    "timers": (timers, _timers),
    "signals": (signals, _signals),
    "cancelled": (cancelled, _cancelled),
    "terminated": (cancelled, _terminated),
    "markers": (markers, lambda: SteppedRun(markers).start().drive(WORLD)),
    "failing": (failing, _failing),
    "limits": (limits, _limits),
    "race": (race, _race),
    "outward": (outward, _outward),
    "overdue": (overdue, _overdue),
    "nearby": (nearby, _nearby),
    "searchable": (searchable, _searchable),
    "updates": (updates, _updates),
    "forked": (forking, _forked),
    **CALLS,
}
