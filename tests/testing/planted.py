"""Workflows with one bug each, as people write them, and the same without it."""

import asyncio
from typing import Any

from durable import Query, RetryPolicy, Signal, activity, local, now, sleep, wait_condition, workflow
from durable.errors import ActivityError

approved = Signal("approved", bool)
item = Signal("item", int)
status = Query("status", str)


class PaymentDeclined(Exception):
    """The bank says no."""


@activity(raises=[PaymentDeclined], timeout="30s")
async def charge(order: str, cents: int) -> str: ...


@activity(retry=RetryPolicy(max_attempts=3, jitter=0))
async def ship(order: str) -> str: ...


@activity
async def refund(payment: str) -> None: ...


@activity
async def note(text: str) -> None: ...


@activity(name="quick", retry=RetryPolicy(max_attempts=2))
async def quick(n: int) -> int: ...


# --- a call that is made again although the first one may have taken effect


@workflow
async def charges_twice(order: str) -> str:
    try:
        return await charge(order, 100)
    except ActivityError:
        return await charge(order, 100)  # the bug: another call has another idempotency key


# --- a signal that is lost between two awaits


@workflow
async def loses_a_signal(order: str) -> int:
    got: list[int] = []

    @item.handler
    def take(value: int) -> None:
        got.append(value)

    await wait_condition(lambda: got)
    first = got[-1]
    await note("one came")
    got.clear()  # the bug: what came meanwhile goes too
    await wait_condition(lambda: got, timeout="1 day")
    return first + got[-1]


# --- order by identity


class Step:
    """Hashed by where it lies in memory."""

    def __init__(self, name: str) -> None:
        self.name = name


@workflow
async def iterates_a_set(names: list[str]) -> None:
    for step in {Step(name) for name in names}:  # the bug
        await note(step.name)


@workflow
async def iterates_a_set_of_text(order: str) -> None:
    for name in {"parcel", "letter", "pallet"}:  # the bug: the order depends on the process
        await note(name)


# --- state outside of the run

SEEN: list[str] = []


@workflow
async def depends_on_a_global(order: str) -> str:
    SEEN.append(order)
    if len(SEEN) % 2:  # the bug: stands for a clock, a cache, a setting
        await note("odd")
    return await ship(order)


@workflow
async def tells_a_global(order: str) -> None:
    SEEN.append(order)
    await note(f"number {len(SEEN)}")  # the bug: other arguments on replay


@workflow
async def result_of_a_global(order: str) -> int:
    await note(order)
    SEEN.append(order)
    return len(SEEN)  # the bug


@workflow
async def reads_a_file(order: str) -> str:
    await note(order)
    return open(__file__).readline()  # noqa: ASYNC230 - the bug


# --- cancellation


@workflow
async def swallows_cancellation(order: str) -> str:
    for _ in range(3):
        try:
            return await ship(order)
        except BaseException:  # the bug: CancelledError is among them
            await sleep("1 min")
    return "gave up"


# --- a saga


@workflow
async def saga(order: str, cents: int) -> str:
    payment = await charge(order, cents)
    try:
        if not await approved.receive(timeout="2 days", default=False):
            await refund(payment)
            return "refused"
        return await ship(order)
    except BaseException:
        await refund(payment)
        raise


@workflow
async def saga_strict(order: str, cents: int) -> str:
    try:  # around the charge too: cancelled or failed, it may have taken effect all the same
        await charge(order, cents)
        if await approved.receive(timeout="2 days", default=False):
            return await ship(order)
    except BaseException:
        await refund(order)
        raise
    await refund(order)
    return "refused"


@workflow
async def saga_without_refund_on_cancel(order: str, cents: int) -> str:
    payment = await charge(order, cents)
    try:
        if not await approved.receive(timeout="2 days", default=False):
            await refund(payment)
            return "refused"
        return await ship(order)
    except Exception:  # the bug: a cancellation is no Exception
        await refund(payment)
        raise


@workflow
async def saga_without_refund_on_failure(order: str, cents: int) -> str:
    payment = await charge(order, cents)
    try:
        if not await approved.receive(timeout="2 days", default=False):
            await refund(payment)
            return "refused"
    except BaseException:
        await refund(payment)
        raise
    return await ship(order)  # the bug: outside of the try


# --- a query that changes the run


@workflow
async def changed_by_a_query(order: str) -> int:
    asked: list[int] = []

    @status.handler
    def answer() -> str:
        asked.append(1)  # the bug
        return "asked"

    await ship(order)
    if asked:
        await note("somebody asked")
    return len(asked)


# --- races


@workflow
async def takes_the_first(order: str) -> str:
    one, two = asyncio.ensure_future(ship(order)), asyncio.ensure_future(charge(order, 1))  # type: ignore[arg-type]
    done, pending = await asyncio.wait([one, two], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return next(iter(done)).result()


@workflow
async def forgets_a_deadline(order: str) -> str:
    begun = now()
    tracking = await ship(order)
    assert (now() - begun).total_seconds() < 3_600, "too late"  # the bug: retries may take longer
    return tracking


# --- correct ones


@workflow
async def ten_steps(order: str) -> int:
    total = 0
    for number in range(10):
        total += await quick(number)
    return total


@workflow
async def everything(order: str) -> Any:
    seen: list[int] = []

    @item.handler
    async def take(value: int) -> None:
        seen.append(value)
        await note(str(value))

    @status.handler
    def answer() -> str:
        return f"{len(seen)} items"

    numbers = await asyncio.gather(quick(1), local(quick)(2), return_exceptions=True)
    try:
        async with asyncio.timeout(60):
            tracking = await ship(order)
    except TimeoutError:
        tracking = "late"
    yes = await approved.receive(timeout="2 days", default=False)
    await sleep(5)
    return [str(numbers[0]), tracking, yes, len(seen)]
