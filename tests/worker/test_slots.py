"""Slots are counted so that they neither leak nor multiply."""

from hypothesis import given
from hypothesis import strategies as st

from durable.worker._slots import Mode, Slots

MODES: list[Mode] = ["async", "thread", "process"]


async def test_a_pool_is_bounded_within_the_total() -> None:
    """Threads have a bound of their own, and all modes share the total."""
    slots = Slots(3, threads=2, processes=1)
    assert slots.reserve("thread")
    assert slots.reserve("thread")
    assert not slots.reserve("thread")
    assert slots.free_of("async") == 1
    assert slots.reserve("async")
    assert not slots.reserve("process")


@given(
    program=st.lists(st.tuples(st.sampled_from(["reserve", "confirm", "unreserve", "give"]), st.sampled_from(MODES)))
)
async def test_whatever_comes_back_is_free_again(program: list[tuple[str, Mode]]) -> None:
    """After any program of reservations, refusals and runs, giving all back leaves every slot free, and never more."""
    slots = Slots(4, threads=2, processes=1)
    reserved: list[Mode] = []
    running: list[Mode] = []
    for action, mode in program:
        if action == "reserve" and slots.reserve(mode):
            reserved.append(mode)
        elif action == "confirm" and reserved:
            chosen = reserved.pop()
            slots.confirm(chosen)
            running.append(chosen)  # as the engine does: which one of its reservations it gives back, it does not say
        elif action == "unreserve" and reserved:
            reserved.pop(0)
            slots.unreserve()
        elif action == "give" and running:
            slots.give(running.pop())
        assert 0 <= slots.free <= 4
        assert slots.free == 4 - len(reserved) - len(running)
    for _ in reserved:
        slots.unreserve()
    for mode in running:
        slots.give(mode)
    assert [slots.free_of(mode) for mode in MODES] == [4, 2, 1]
