"""`executions(updates=...)`: updates at any time, repeated, lost with a worker, held, refused and carried out."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from durable import Signal, Update, activity, sleep, workflow
from durable.testing import Completed, Execution, ExecutionError, assert_deterministic, executions, outcomes
from durable.testing.strategies import Updated


class OverdrawnError(Exception):
    """Declared by `take`."""


put = Update("put", int, int)
take = Update("take", int, int, raises=[OverdrawnError])
late = Update("late", int, int)
close = Signal("close")


@activity
async def book(n: int) -> int:
    return n


@workflow
async def account() -> int:
    balance = 0

    @put.validator
    def check(n: int) -> None:
        if n <= 0:
            raise ValueError("not a deposit")

    @put.handler
    async def on_put(n: int) -> int:
        nonlocal balance
        await book(n)
        balance += n
        return balance

    @take.handler
    async def on_take(n: int) -> int:
        nonlocal balance
        await book(-n)
        if n > balance:
            raise OverdrawnError(balance)
        balance -= n
        return balance

    await sleep(10)

    @late.handler
    def on_late(n: int) -> int:
        return -n

    await close.receive()
    return balance


SMALL = st.integers(-2, 5)
BOOKED = {book: outcomes(st.just(0))}
WHOLE = executions(
    account,
    activities=BOOKED,
    signals=[close],
    updates={put: SMALL, take: st.integers(1, 5), late: SMALL, Update("unknown", int): SMALL},
    cancels=False,
)


@settings(max_examples=150, deadline=None)
@given(execution=WHOLE)
def test_the_books_balance(execution: Execution[int]) -> None:
    """What was put and taken is what is left, whatever came twice, crashed or was refused."""
    if not isinstance(execution.outcome, Completed):
        return
    done = [updated for updated in execution.updates if updated.status == "completed"]
    assert execution.result >= 0
    for updated in execution.updates:
        assert updated.status in ("completed", "failed", "rejected"), updated
        if updated.status == "rejected":
            assert updated.update in ("put", "late", "unknown")
        if updated.status == "failed":
            assert updated.update == "take"
            assert isinstance(updated.error, OverdrawnError)
    assert sum(updated.update in ("put", "take") for updated in done) == len(execution.calls_of(book)) - sum(
        updated.status == "failed" for updated in execution.updates
    )


def test_every_fate_of_an_update_is_met() -> None:
    """Also those of updates that come too early, or that nobody handles."""
    met: set[tuple[str, str]] = set()

    @settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(execution=WHOLE)
    def collect(execution: Execution[int]) -> None:
        met.update((updated.update, updated.status) for updated in execution.updates)

    collect()
    assert met >= {
        ("put", "completed"), ("put", "rejected"), ("take", "completed"), ("take", "failed"), ("late", "completed"),
        ("unknown", "rejected"), ("unknown", "held"),
    }  # fmt: skip


def test_a_story_with_an_update_makes_the_same_execution_again() -> None:
    """The story is text; the timeline tells of the update."""
    execution = Execution.from_story(
        account,
        '{"args":[[],{}],"otherwise":{"book":0},"arrivals":[{"after":1,"update":"put","value":4},{"after":2,"signal":"close"}]}',
    )
    assert execution.result == 4
    assert execution.updates == (Updated("put", 1, "completed", 4),)
    assert "update put (request-0): 4" in execution.timeline()
    assert "ends update request-0 with 4" in execution.timeline()
    assert Execution.from_story(account, str(execution.story)).history == execution.history


def test_a_handler_that_no_replay_repeats_is_found() -> None:
    """It asks for something else when it is run again."""
    asked = [0]

    @workflow
    async def forgetful() -> None:
        @put.handler
        async def on_put(n: int) -> int:
            asked[0] += 1
            if asked[0] % 3:
                await book(n)
            return n

        await close.receive()

    with pytest.raises(ExecutionError, match="request-"):
        assert_deterministic(forgetful, signals=[close], updates={put: SMALL}, examples=100, hash_seeds=())


def test_what_is_no_update_is_refused() -> None:
    """Naming what was expected."""
    with pytest.raises(InvalidArgument, match="updates: expected a list of Update"):
        executions(account, updates=[close])  # type: ignore[list-item]
