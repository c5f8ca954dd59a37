"""Drawn executions find planted bugs within a few hundred examples, shrink them to the short story, and print what reproduces it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from durable import Query, Signal
from durable.author import Workflow
from durable.errors import ActivityError, RunFailedError
from durable.history import CancelRequested, SignalReceived, TimerFired
from durable.testing import (
    Cancelled,
    Execution,
    ExecutionError,
    Failed,
    Waiting,
    assert_deterministic,
    assert_replays,
    executions,
    outcomes,
)
from tests.testing import planted
from tests.testing.planted import PaymentDeclined, approved, charge, item, note, refund, ship, status

EXAMPLES = 500
ORDER = st.just("o")
SHOP = {
    charge: outcomes("p", raises=[PaymentDeclined, ConnectionError]),
    ship: outcomes("t", raises=[ConnectionError]),
    refund: outcomes(),
}


def events(execution: Execution[Any], kind: type[Any]) -> int:
    """Return how many events of `kind` the history has."""
    return sum(isinstance(recorded.event, kind) for recorded in execution.history)


def hunted(strategy: st.SearchStrategy[Execution[Any]], holds: Callable[[Execution[Any]], bool]) -> Execution[Any]:
    """Return the shortest execution for which `holds` does not; its test failed with the story in its notes."""
    broken: list[Execution[Any]] = []

    @settings(max_examples=EXAMPLES, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))
    @given(strategy)
    def test(execution: Execution[Any]) -> None:
        if not holds(execution):
            broken.append(execution)
            raise AssertionError

    with pytest.raises(AssertionError) as caught:
        test()
    told = "\n".join(caught.value.__notes__)
    assert broken[-1].timeline() in told
    assert repr(broken[-1]) in told
    assert not holds(reproduced(broken[-1]))
    return broken[-1]


def reproduced(execution: Execution[Any]) -> Execution[Any]:
    """Run the line of code that a failing test prints, and check that it makes the same execution."""
    names = {name: value for name, value in vars(planted).items() if isinstance(value, Workflow)}
    again: Execution[Any] = eval(repr(execution), {"Execution": Execution, **names})
    assert again.timeline() == execution.timeline()
    assert [recorded.record for recorded in again.history] == [recorded.record for recorded in execution.history]
    assert repr(again) == repr(execution)
    return again


def is_settled(execution: Execution[Any]) -> bool:
    """Money is kept only for what was shipped; else it was asked for to be given back."""
    kept = execution.effects_of(charge) and not execution.calls_of(refund)
    return not kept or (execution.completed and execution.result != "refused")


def is_settled_if_told(execution: Execution[Any]) -> bool:
    """The same, where the workflow was told that the payment was made."""
    return is_settled(execution) or execution.calls_of(charge)[0].status != "completed"


def test_a_second_call_of_what_may_have_taken_effect() -> None:
    """Charging anew after a failure charges twice: the first call took effect, and its answer was lost."""
    found = hunted(executions(planted.charges_twice, ORDER, cancels=False), lambda e: e.effects_of(charge) <= 1)
    assert [call.effects > 0 for call in found.calls] == [True, True]
    assert found.crashes == 0
    assert found.calls[1].attempts[0].how == "returned"


def test_a_signal_that_is_lost_between_two_awaits() -> None:
    """Two signals, of which the second comes while the code awaits something else, and nothing more."""
    strategy = executions(planted.loses_a_signal, ORDER, activities={note: outcomes()}, signals=[item], cancels=False)
    found = hunted(strategy, lambda e: events(e, SignalReceived) < 2 or not isinstance(e.outcome, Failed))
    assert events(found, SignalReceived) == 2
    assert len(found.story.arrivals) == 2
    assert not found.story.crashes
    assert not found.story.activities
    assert len(found.history) <= 9


def test_a_swallowed_cancellation() -> None:
    """A cancellation, and a run that completes all the same."""
    strategy = executions(planted.swallows_cancellation, ORDER, activities={ship: outcomes("t")})
    found = hunted(strategy, lambda e: not (events(e, CancelRequested) and e.completed))
    assert len(found.story.arrivals) == 1
    assert not found.story.crashes
    assert not found.story.activities


def test_a_saga_without_a_refund_when_it_is_cancelled() -> None:
    """Charged, then cancelled, and the money is kept."""
    strategy = executions(planted.saga_without_refund_on_cancel, st.just(("o", 1)), activities=SHOP, signals=[approved])
    found = hunted(strategy, is_settled_if_told)
    assert found.outcome == Cancelled()
    assert len(found.story.arrivals) == 1
    assert not found.story.crashes


def test_a_saga_without_a_refund_when_shipping_fails() -> None:
    """Charged, approved, shipping fails for good, and the money is kept."""
    strategy = executions(
        planted.saga_without_refund_on_failure, st.just(("o", 1)), activities=SHOP, signals=[approved], cancels=False
    )
    found = hunted(strategy, is_settled_if_told)
    assert isinstance(found.outcome, Failed)
    assert isinstance(found.outcome.error, ActivityError)
    assert [call.status for call in found.calls] == ["completed", "failed"]
    assert [arrival.signal for arrival in found.story.arrivals] == ["approved"]
    with pytest.raises(RunFailedError, match="ship"):
        _ = found.result


def test_a_cancellation_while_an_activity_takes_effect() -> None:
    """The usual saga refunds once it was told of the payment; cancelled before that, it does not know of it."""
    strategy = executions(planted.saga, st.just(("o", 1)), activities=SHOP, signals=[approved])
    found = hunted(strategy, lambda e: is_settled(e) or e.calls_of(charge)[0].status != "cancelled")
    assert len(found.story.arrivals) == 1
    assert found.calls[0].effects == 1


def test_a_deadline_that_nobody_thought_of() -> None:
    """An activity that takes its time."""
    strategy = executions(planted.forgets_a_deadline, ORDER, cancels=False)
    found = hunted(strategy, lambda e: not (isinstance(e.outcome, Failed) and "too late" in str(e.outcome.error)))
    assert found.duration.total_seconds() == 3_600
    assert len(found.calls) == 1


BROKEN = [
    (planted.depends_on_a_global, {}),
    (planted.tells_a_global, {}),
    (planted.iterates_a_set, {"args": st.tuples(st.just(list("abcdefgh")))}),
    (planted.changed_by_a_query, {"queries": [status]}),
    (planted.result_of_a_global, {}),
    (planted.reads_a_file, {}),
]


@pytest.mark.parametrize(("workflow", "options"), BROKEN, ids=lambda value: getattr(value, "name", ""))
def test_what_no_replay_repeats_is_found_by_drawing(workflow: Workflow[..., Any], options: dict[str, Any]) -> None:
    """One line finds it; no property is needed."""
    with pytest.raises(ExecutionError) as caught:
        assert_deterministic(workflow, hash_seeds=(), **options)
    assert f"Timeline of {workflow.name}:" in str(caught.value)
    assert f"Execution.from_story({workflow.name}, '" in str(caught.value)
    assert caught.value.events <= 18


def test_an_order_that_differs_by_process_is_found() -> None:
    """A set of text has one order in each process: only others can show it."""
    with pytest.raises(ExecutionError, match="the order of a set, or hash"):
        assert_deterministic(planted.iterates_a_set_of_text, examples=20, hash_seeds=(0, 1, 2, 3))


@pytest.mark.parametrize("workflow", [planted.saga, planted.saga_strict, planted.ten_steps, planted.everything])
def test_correct_workflows_are_deterministic(workflow: Workflow[..., Any]) -> None:
    """Nothing is found where there is nothing."""
    signals: list[Signal[Any]] = [approved, item]
    queries: list[Query[Any]] = [status]
    assert_deterministic(workflow, signals=signals, queries=queries, examples=100, hash_seeds=(7,))


@given(execution=executions(planted.saga_strict, st.just(("o", 1)), activities=SHOP, signals=[approved]))
def test_a_correct_saga_settles_in_every_execution(execution: Execution[str]) -> None:
    """Whatever fails, comes late, comes twice or crashes."""
    assert is_settled(execution)
    assert_replays(execution)


@given(execution=executions(planted.everything, ORDER, signals=[approved, item], queries=[status]))
def test_what_is_drawn_is_made_again_by_its_line(execution: Execution[Any]) -> None:
    """Bit by bit, whatever happened in it."""
    reproduced(execution)
    assert execution.completed == (
        execution.outcome != Cancelled() and not isinstance(execution.outcome, Failed | Waiting)
    )
    assert execution.duration.total_seconds() >= 5 or not execution.completed or not events(execution, TimerFired)
