"""Time limits pass in order, and cost nothing once their attempts have ended."""

import asyncio

from durable.testing._clock import ManualClock
from durable.worker._deadlines import Deadlines


async def test_deadlines_pass_in_order_of_time() -> None:
    """Whatever the order in which they were set, and a sooner one wakes the watcher up."""
    clock, live, heard = ManualClock(), {"a", "b", "c"}, asyncio.Queue[tuple[str, str]]()
    deadlines = Deadlines[str](clock, live.__contains__, lambda item, kind: heard.put_nowait((item, kind)))
    watcher = asyncio.ensure_future(deadlines.run())
    deadlines.push(30.0, "a", "late")
    await asyncio.sleep(0)
    deadlines.push(10.0, "b", "early")
    deadlines.push(20.0, "c", "middle")
    live.discard("c")
    for _ in range(10):  # until the watcher waits for the sooner one
        await asyncio.sleep(0)
    clock.advance(10)
    assert await heard.get() == ("b", "early")
    for _ in range(10):
        await asyncio.sleep(0)
    clock.advance(20)
    assert await heard.get() == ("a", "late")
    assert heard.empty()
    watcher.cancel()


async def test_ended_items_do_not_pile_up() -> None:
    """Many short attempts with long limits leave a bounded heap."""
    live: set[int] = set()
    deadlines = Deadlines[int](ManualClock(), live.__contains__, lambda _item, _kind: None)
    for number in range(20_000):
        live.add(number)
        deadlines.push(3600.0, number, "attempt")
        live.discard(number)
    assert len(deadlines._heap) <= 2_000
