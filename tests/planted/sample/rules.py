"""What must be true of every execution of the sample workflows: properties as a user writes them."""

from collections.abc import Callable
from typing import Any

import shop
from hypothesis import strategies as st
from shop import PaymentDeclined, approved, charge, item, note, progress, refund, ship

from durable.history import CancelRequested, SignalReceived
from durable.testing import Cancelled, Execution, TimedOut, Waiting, executions, outcomes
from durable.testing.simulation._runs import RunModel

ORDER = st.just("o")
PARTS = st.lists(st.sampled_from(["bolt", "cable", "lamp", "manual", "nut", "plug", "screw"]), max_size=6)
SHOP = {
    charge: outcomes("p", raises=[PaymentDeclined, ConnectionError]),
    ship: outcomes("t", raises=[ConnectionError]),
    refund: outcomes(),
    note: outcomes(),
}
DRAWN: dict[str, dict[str, Any]] = {
    "checkout": {"args": st.just(("o", 1)), "signals": [approved]},
    "deliver": {"args": ORDER},
    "collect": {"args": ORDER, "signals": {item: st.integers(0, 9)}, "queries": [progress]},
    "listen": {"args": ORDER, "signals": {item: st.integers(0, 9)}},
    "pack": {"args": st.tuples(ORDER, PARTS)},
    "race": {"args": ORDER},
    "endless": {"args": ORDER},
}
"""How executions of each workflow are drawn."""


def events(execution: Execution[Any], kind: type[Any]) -> list[Any]:
    """Return the events of a kind."""
    return [recorded.event for recorded in execution.history if isinstance(recorded.event, kind)]


def is_charged_once(execution: Execution[Any]) -> bool:
    """No execution takes the money twice."""
    return execution.effects_of(charge) <= 1


def is_settled(execution: Execution[Any]) -> bool:
    """Whoever was charged, as far as the workflow was told, has the parcel or the money."""
    told = any(call.status == "completed" for call in execution.calls_of(charge))
    waits = isinstance(execution.outcome, Waiting)
    shipped = execution.completed and execution.result != "refused"
    return not told or waits or shipped or bool(execution.calls_of(refund))


def can_be_cancelled(execution: Execution[Any]) -> bool:
    """Who is asked to cancel does so."""
    return not events(execution, CancelRequested) or not execution.completed


def loses_no_item(execution: Execution[Any]) -> bool:
    """What was sent is in the result."""
    sent = [event.value for event in events(execution, SignalReceived)]
    return not execution.completed or [str(value).encode() for value in execution.result] == [bytes(v) for v in sent]


def keeps_the_order(execution: Execution[Any]) -> bool:
    """Signals are read in the order in which they came."""
    sent = [int(bytes(event.value)) for event in events(execution, SignalReceived)]
    return not execution.completed or execution.result == sent[:2]


def drops_repeats(execution: Execution[Any]) -> bool:
    """What comes twice under one request is recorded once."""
    requests = [event.request for event in events(execution, SignalReceived)]
    return len(requests) == len(set(requests))


def has_said_all(execution: Execution[Any]) -> bool:
    """Whatever was begun has been done when the workflow returns."""
    return not execution.completed or all(call.status == "completed" for call in execution.calls)


def has_a_sound_history(execution: Execution[Any]) -> bool:
    """Each event follows from those before it."""
    run = RunModel("run", 0)
    return not any(run.add(recorded.event) for recorded in execution.history)


def gives_up_in_time(execution: Execution[Any]) -> bool:
    """No call is tried more often than its policy says."""
    return all(len(call.attempts) <= 3 for call in execution.calls_of(ship))


def ends_in_time(execution: Execution[Any]) -> bool:
    """The time limit is kept."""
    if isinstance(execution.outcome, Cancelled):
        return True
    return isinstance(execution.outcome, TimedOut) and execution.duration.total_seconds() == 3_600


RULES: dict[str, tuple[str, Callable[[Execution[Any]], bool]]] = {
    rule.__name__: (name, rule)
    for name, rule in [
        ("checkout", is_charged_once),
        ("checkout", is_settled),
        ("deliver", can_be_cancelled),
        ("collect", loses_no_item),
        ("listen", keeps_the_order),
        ("listen", drops_repeats),
        ("pack", has_said_all),
        ("race", has_a_sound_history),
        ("deliver", gives_up_in_time),
        ("endless", ends_in_time),
    ]
}
"""The properties, each with the workflow that it is about."""


def drawn(rule: str) -> tuple[st.SearchStrategy[Execution[Any]], Callable[[Execution[Any]], bool]]:
    """Return the executions that `rule` is about, and the rule."""
    name, holds = RULES[rule]
    return executions(getattr(shop, name), activities=SHOP, **DRAWN[name]), holds
