"""Small workflow programs as data, and the one workflow that interprets them."""

import asyncio
from typing import Any

from hypothesis import strategies as st

from durable.author import Signal, activity, local, patched, random, side_effect, sleep, wait_condition, workflow
from durable.retry import RetryPolicy

signal = Signal("number", int)

Program = list[Any]  # of [kind, argument...]

_QUICK = RetryPolicy(initial_interval=1, jitter=0, max_attempts=3)


@activity(retry=_QUICK)
async def act(n: int) -> int:
    """Succeed, or fail for good, by the number."""
    if n % 7 == 6:
        raise ValueError(f"no {n}")
    return n * 2


@activity(retry=RetryPolicy(max_attempts=1))
async def near(n: int) -> int:
    """A local activity."""
    if n % 7 == 6:
        raise ValueError(f"no {n}")
    return n + 1


@workflow
async def interpret(program: Program) -> list[int]:
    """Run `program` and return what its parts gave."""
    log: list[int] = []
    await _run(program, log)
    return log


async def _run(program: Program, log: list[int]) -> None:
    for kind, *args in program:
        await _STEPS[kind](log, *args)


async def _act(log: list[int], n: int) -> None:
    try:
        log.append(await act(n))
    except Exception:
        log.append(-1)


async def _near(log: list[int], n: int) -> None:
    try:
        log.append(await local(near)(n))
    except Exception:
        log.append(-2)


async def _nap(log: list[int], n: int) -> None:
    await sleep(n)
    log.append(-3)


async def _hear(log: list[int], timeout: int | None) -> None:
    value = await signal.receive(timeout=timeout or 20, default=-4)
    log.append(value if value is not None else -4)


async def _gather(log: list[int], *parts: Program) -> None:
    logs: list[list[int]] = [[] for _ in parts]
    await asyncio.gather(*(_run(part, each) for part, each in zip(parts, logs, strict=True)))
    for each in logs:
        log.extend(each)


async def _race(log: list[int], *parts: Program) -> None:
    logs: list[list[int]] = [[] for _ in parts]
    tasks = [asyncio.create_task(_run(part, each)) for part, each in zip(parts, logs, strict=True)]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.append(len(pending))
    for each in logs:
        log.extend(each)


async def _finally(log: list[int], body: Program, cleanup: Program) -> None:
    try:
        await _run(body, log)
    finally:
        await _run(cleanup, log)


async def _bounded(log: list[int], seconds: int, body: Program) -> None:
    try:
        async with asyncio.timeout(seconds):
            await _run(body, log)
    except TimeoutError:
        log.append(-5)


async def _chance(log: list[int]) -> None:
    log.append(int(random().random() * 100))
    log.append(side_effect(_seven))
    log.append(int(patched("a")))


def _seven() -> int:
    return 7


async def _flag(log: list[int], n: int) -> None:
    done: list[int] = []

    async def set_later() -> None:
        await _act(done, n)

    task = asyncio.create_task(set_later())
    await wait_condition(lambda: bool(done))
    await task
    log.extend(done)


_STEPS: dict[str, Any] = {
    "act": _act, "near": _near, "nap": _nap, "hear": _hear, "gather": _gather, "race": _race, "finally": _finally,
    "bounded": _bounded, "chance": _chance, "flag": _flag,
}  # fmt: skip

_numbers = st.integers(0, 8)
_leaves = st.one_of(
    st.tuples(st.just("act"), _numbers),
    st.tuples(st.just("near"), _numbers),
    st.tuples(st.just("nap"), st.integers(0, 5)),
    st.tuples(st.just("hear"), st.one_of(st.none(), st.integers(1, 6))),
    st.tuples(st.just("chance")),
    st.tuples(st.just("flag"), _numbers),
).map(list)


def _nested(parts: Any) -> Any:
    bodies = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(
        st.lists(bodies, min_size=1, max_size=3).map(lambda each: ["gather", *each]),
        st.lists(bodies, min_size=2, max_size=3).map(lambda each: ["race", *each]),
        st.tuples(st.just("finally"), bodies, bodies).map(list),
        st.tuples(st.just("bounded"), st.integers(1, 6), bodies).map(list),
    )


programs = st.lists(st.recursive(_leaves, _nested, max_leaves=6), min_size=1, max_size=4)

events = st.lists(st.one_of(st.just("signal"), st.just("cancel"), st.just("wait"), st.just("wait")), max_size=6)
"""What happens to a run meanwhile. "wait": one second passes."""
