"""The virtual clock, and how an event loop is seen to have nothing left to run."""

import asyncio
import threading

import pytest

from durable.testing._clock import ManualClock, VirtualClock
from durable.testing._environment_loop import LoopView


async def test_waits_end_at_their_time_in_order() -> None:
    """`next_due` names the next; a jump wakes all that are due by then."""
    clock, woken = VirtualClock(1_000), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(f"{name} at {clock.now_ms()}")

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("c", 3), ("a", 1), ("b", 2))]
    view = LoopView(asyncio.get_running_loop())
    await view.until_empty()
    while (due_ms := clock.next_due()) is not None:
        clock.jump(due_ms)
        await view.until_empty()
    assert woken == ["a at 2000", "b at 3000", "c at 4000"]
    assert all(task.done() for task in tasks)


async def test_a_wait_ends_by_its_event_or_its_time() -> None:
    """And leaves nothing due behind."""
    clock, event = VirtualClock(0), asyncio.Event()
    view = LoopView(asyncio.get_running_loop())

    waiting = asyncio.create_task(clock.wait(event, 5))
    await view.until_empty()
    assert clock.next_due() == 5_000
    event.set()
    assert await waiting
    assert clock.next_due() is None

    event.clear()
    waiting = asyncio.create_task(clock.wait(event, 5))
    await view.until_empty()
    clock.jump(5_000)
    assert not await waiting
    assert not await clock.wait(event, 0)
    assert clock.monotonic() == 5.0


async def test_a_wait_that_is_cancelled_is_due_no_more() -> None:
    """Nor is a sleep."""
    clock = VirtualClock(0)
    view = LoopView(asyncio.get_running_loop())
    tasks = [asyncio.create_task(clock.wait(asyncio.Event(), 5)), asyncio.create_task(clock.sleep(3))]
    await view.until_empty()
    assert clock.next_due() == 3_000
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert clock.next_due() is None


async def test_setting_the_clock_wakes_those_who_wait_by_it_only() -> None:
    """They look again; a sleep goes on, and no time has passed."""
    clock = VirtualClock(0)
    view = LoopView(asyncio.get_running_loop())
    waiting, sleeping = asyncio.create_task(clock.wait(asyncio.Event(), 5)), asyncio.create_task(clock.sleep(5))
    await view.until_empty()
    clock.set(1_000_000)
    await view.until_empty()
    assert waiting.done()
    assert not sleeping.done()
    assert (clock.now_ms(), clock.monotonic()) == (1_000_000, 0)
    clock.jump(5_000)
    await sleeping
    assert clock.now_ms() == 1_005_000


def test_ids_grow_although_the_clock_is_set_back() -> None:
    """The latest run of a workflow id is the one with the greatest."""
    clock = VirtualClock(1_700_000_000_000)
    ids = [clock.new_id()]
    clock.set(1_600_000_000_000)
    ids.append(clock.new_id())
    clock.set(1_800_000_000_000)
    ids.append(clock.new_id())
    assert ids == sorted(set(ids))
    assert all(len(id_) == 26 for id_ in ids)


def test_there_is_no_upkeep() -> None:
    """Time would have to step through each round."""
    assert VirtualClock(0).upkeep_s(2.0) is None


async def test_a_loop_is_empty_only_when_every_chain_of_callbacks_has_ended() -> None:
    """However long it is."""
    loop, left = asyncio.get_running_loop(), 1_000

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)

    loop.call_soon(again)
    await LoopView(loop).until_empty()
    assert left == 0


async def test_io_that_has_come_is_not_passed_over() -> None:
    """The loop has looked for it before it is called empty."""
    loop = asyncio.get_running_loop()
    called: list[int] = []
    loop.call_soon(lambda: loop.call_soon_threadsafe(called.append, 1))
    await LoopView(loop).until_empty()
    assert called == [1]


async def test_another_loop_is_given_many_turns() -> None:
    """One that does not show what is ready."""
    loop, left = asyncio.get_running_loop(), 50
    view = LoopView(loop)
    view._ready = None

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)

    loop.call_soon(again)
    await view.until_empty()
    assert left == 0


async def test_a_loop_is_dead_when_nothing_could_wake_it() -> None:
    """A timer could, I/O could, and another thread could."""
    loop = asyncio.get_running_loop()
    view = LoopView(loop)
    assert view.is_dead()

    timer = loop.call_later(60, int)
    assert not view.is_dead()
    timer.cancel()
    assert view.is_dead()

    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    assert not view.is_dead()
    server.close()
    await server.wait_closed()
    assert view.is_dead()

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert not view.is_dead()
    stop.set()
    thread.join()
    assert view.is_dead()


async def test_of_a_loop_that_hides_itself_nothing_is_claimed() -> None:
    """It may wake at any time."""
    view = LoopView(asyncio.get_running_loop())
    view._loop = object()
    assert not view.is_dead()


@pytest.mark.parametrize("seconds", [1e-9, 0.0001, 0.001])
async def test_a_wait_is_at_least_a_millisecond(seconds: float) -> None:
    """Seconds are rounded: who waits for less than that would look again and again at one time."""
    clock = VirtualClock(0)
    task = asyncio.create_task(clock.sleep(seconds))
    await LoopView(asyncio.get_running_loop()).until_empty()
    assert clock.next_due() == 1
    clock.jump(1)
    await task


async def test_a_wait_of_the_manual_clock_counts_from_its_call() -> None:
    """Time that passes before the loop has come round once is part of it."""
    clock = ManualClock()
    waiting = asyncio.ensure_future(clock.wait(asyncio.Event(), 1.0))
    await asyncio.sleep(0)
    clock.advance("1 s")
    async with asyncio.timeout(10):
        assert not await waiting
