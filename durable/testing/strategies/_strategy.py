"""The strategy that draws whole executions.

All that is drawn is drawn before the run begins, so it does not depend on what the code does: a workflow that is not
deterministic cannot confuse Hypothesis, and each part of a story shrinks by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from ..._runtime.options import ActivityCall
from ...author import Activity, Query, Signal, Update, Workflow
from ...codec import Codec, default_codec, untyped_signature
from ...history import to_raw
from ._children import as_activity, child_name, is_child
from ._deferred import defers
from ._discovery import activities_in, children_in
from ._execution import Execution
from ._outcomes import Outcomes, Prospects, as_strategy, by_name, encodable, inferred, prospects_of
from ._play import play
from ._story import Arrival, Crash, Ends, Fate, How, Story

R = TypeVar("R")
T = TypeVar("T")
Content = SearchStrategy[dict[str, Any]]
"""Draws what arrives, without when: the fields of an `Arrival`."""

SIGNALS_MAX, UPDATES_MAX, QUERIES_MAX, CRASHES_MAX = 5, 5, 5, 3  # in one execution: more only makes stories longer
_STEPS_MAX = 20  # of a run at which something may arrive; what comes later arrives when nothing else happens

_AFTER = [1] * 6 + [2] * 5 + [3] * 4 + [0] * 3 + [*range(4, 9)] * 2 + [*range(9, _STEPS_MAX)]
_HOWS: tuple[How, ...] = ("", "with", "between")
# One choice for when and how, instead of three: each choice that Hypothesis makes costs as much as a step of the run.
# Simple ones come first, and early ones are there more often: few runs have many steps.
_WHEN = [
    Arrival(after=after, how=how, twice=twice) for twice in (False, False, True) for how in _HOWS for after in _AFTER
]
_CRASHES = [
    Crash(step=step, lost=lost, down=down)
    for down in range(3)
    for lost in (False, True)
    for step in (*range(1, 13), *range(5))
]


@dataclass(frozen=True)
class Plan:
    """What `executions` was asked for, checked."""

    workflow: Workflow[..., Any]
    codec: Codec
    outcomes: dict[str, Outcomes]
    known: dict[str, ActivityCall]
    prospects: dict[str, Prospects]
    stories: SearchStrategy[Story]
    duplicates: bool
    cancels: bool
    max_events: int
    name: str
    workflows: tuple[Workflow[..., Any], ...] = ()
    own: frozenset[str] = frozenset()
    met: dict[str, Prospects] = field(default_factory=dict[str, Prospects])  # activities that only runs asked for

    def drawn(self, draw: Any) -> Execution[Any]:
        """Draw a story and return the execution that it makes. Raises `ExecutionError`."""

        def fresh(call: ActivityCall) -> tuple[list[Fate], msgspec.Raw | None]:
            prospects = self.met.get(call.name)
            if prospects is None:
                given = self.outcomes.get(call.name)
                ends = _ends_of(call, self.cancels)
                prospects = prospects_of(call, given, self.codec, duplicates=self.duplicates, ends=ends)
                self.met[call.name] = prospects
            return draw(prospects.fates), None if prospects.otherwise is None else draw(prospects.otherwise)

        return play(
            self.workflow,
            draw(self.stories),
            codec=self.codec,
            outcomes=self.outcomes,
            known=self.known,
            fresh=fresh,
            name=self.name,
            max_events=self.max_events,
            workflows=self.workflows,
            own=self.own,
        )


class _Shown:
    """Makes the timeline only if Hypothesis wants to print it."""

    def __init__(self, execution: Execution[Any]) -> None:
        self.execution = execution

    def __repr__(self) -> str:
        return self.execution.timeline()


def executions(
    workflow: Workflow[..., R],
    args: SearchStrategy[Any] | tuple[Any, ...] | None = None,
    *,
    activities: Mapping[Any, Any] | None = None,
    signals: Mapping[Signal[Any], Any] | Sequence[Signal[Any]] = (),
    queries: Mapping[Query[Any], Any] | Sequence[Query[Any]] = (),
    updates: Mapping[Update[Any, Any], Any] | Sequence[Update[Any, Any]] = (),
    cancels: bool = True,
    crashes: bool = True,
    duplicates: bool = True,
    max_events: int = 1_000,
    codec: Codec | None = None,
    workflows: Sequence[Workflow[..., Any]] = (),
) -> SearchStrategy[Execution[R]]:
    """Return a strategy for finished executions of `workflow`, which tries what its surroundings may do to it.

    `args` draws the arguments: tuples of positional ones, or the only one; left out, they are drawn by their types.
    `workflows` are children whose own code is run, as executions in `children` with activities of their own, whose fates are drawn like
    those of the parent's; where `activities` says what else becomes of such a child, either is drawn. `activities` maps activities (or
    names) to `outcomes(...)` or a strategy for results; what is left out is inferred: results by the
    return type, the declared errors, and outages. Child workflows count as activities: they are keys like these, and their code
    is not run. A child that is asked to cancel ends by that, or all the same as it would have; the start of one that was given an id
    may be refused, and others may cancel or terminate it. `signals` maps signals to
    strategies for values, or lists signals; `updates` does so for updates. `queries` lists queries, or maps them to strategies
    for argument tuples. `cancels`: a cancellation may come at any time, and one of a child, or its termination. `crashes`: the
    worker may die at any commit, and the run is replayed. `duplicates`: results and requests may come twice or late, and a
    worker may die after an activity took effect. A run that records `max_events` is broken off, and reported as waiting.

    The engine's own step decides, in virtual time. Every execution is replayed at its crashes and at its end; one that does not
    replay, is stuck, or is changed by a query raises `ExecutionError` with its timeline. It shrinks to the shortest story.

    Raises `InvalidArgument` naming the activity or argument for which nothing can be drawn.
    """
    plan = plan_of(
        workflow, args, activities=activities, signals=signals, queries=queries, updates=updates, cancels=cancels,
        crashes=crashes, duplicates=duplicates, max_events=max_events, codec=codec, workflows=workflows,
    )  # fmt: skip

    @st.composite
    def drawn_execution(draw: Any) -> Execution[R]:
        execution: Execution[R] = plan.drawn(draw)
        note(_Shown(execution))
        return execution

    return drawn_execution()


def plan_of(
    workflow: Workflow[..., Any],
    args: Any,
    *,
    activities: Mapping[Any, Any] | None,
    signals: Mapping[Signal[Any], Any] | Sequence[Signal[Any]],
    queries: Mapping[Query[Any], Any] | Sequence[Query[Any]],
    updates: Mapping[Update[Any, Any], Any] | Sequence[Update[Any, Any]],
    cancels: bool,
    crashes: bool,
    duplicates: bool,
    max_events: int,
    codec: Codec | None,
    workflows: Sequence[Workflow[..., Any]] = (),
) -> Plan:
    """Return the plan for `executions`. Raises as it does."""
    if not isinstance(workflow, Workflow):
        raise InvalidArgument(f"expected a workflow, got {workflow!r}; decorate it with @workflow")
    codec = codec or default_codec()
    outcomes = by_name(activities or {})
    found, children = _known(workflow, workflows, activities or {})
    known = {name: item.call for name, item in found.items()}
    with_code = {child_name(each.name) for each in workflows}
    own = frozenset(with_code - outcomes.keys())
    for key in activities or {}:
        if isinstance(key, Workflow):
            child: Workflow[..., Any] = key  # pyright: ignore[reportUnknownVariableType]
            children[child.name] = child
    known |= {call.name: call for call in (as_activity(children[name]) for name in sorted(children))}
    deferring = {item.name for item in found.values() if defers(item.fn)}
    prospects = {
        name: prospects_of(
            call,
            outcomes.get(name),
            codec,
            duplicates=duplicates,
            defers=name in deferring,
            ends=_ends_of(call, cancels),
            own=name in with_code,
        )
        for name, call in known.items()
        if name not in own
    }
    stories = st.builds(
        _story,
        _arguments(workflow, args, codec),
        st.fixed_dictionaries({name: each.fates for name, each in prospects.items()}),
        st.fixed_dictionaries({name: each.otherwise for name, each in prospects.items() if each.otherwise is not None}),
        _arrivals(_signals(signals, codec), SIGNALS_MAX, twice=duplicates),
        _arrivals(_updates(updates, codec), UPDATES_MAX, twice=duplicates),
        _arrivals(_queries(queries, codec), QUERIES_MAX, twice=False),
        _cancellations() if cancels else st.just([]),
        st.lists(_one_of_many(_CRASHES), max_size=CRASHES_MAX) if crashes else st.just([]),
    )
    return Plan(
        workflow,
        codec,
        outcomes,
        known,
        prospects,
        stories,
        duplicates,
        cancels,
        max_events,
        workflow.fn.__name__,
        tuple(workflows),
        own,
    )


def _known(
    workflow: Workflow[..., Any], workflows: Sequence[Workflow[..., Any]], given: Mapping[Any, Any]
) -> tuple[dict[str, Activity[..., Any]], dict[str, Workflow[..., Any]]]:
    """Return the activities and the children that the code of these workflows refers to, or that are `given`."""
    found = activities_in(workflow.fn)
    for each in workflows:
        found |= activities_in(each.fn)
    for key in given:
        if isinstance(key, Activity):
            item: Activity[..., Any] = key  # pyright: ignore[reportUnknownVariableType]
            found[item.name] = item
    children = children_in(workflow.fn)
    for each in workflows:
        children |= {each.name: each, **children_in(each.fn)}
    return found, children


def _ends_of(call: ActivityCall, cancels: bool) -> tuple[Ends, ...]:
    """Return how `call` may end if it is a child, other than by its code."""
    if not is_child(call):
        return ()
    return ("refused", "cancelled", "terminated") if cancels else ("refused",)


def _story(
    args: msgspec.Raw,
    fates: dict[str, list[Fate]],
    otherwise: dict[str, msgspec.Raw],
    signals: list[Arrival],
    updates: list[Arrival],
    queries: list[Arrival],
    cancellations: list[Arrival],
    crashes: list[Crash],
) -> Story:
    arrivals = sorted([*signals, *updates, *queries, *cancellations], key=lambda arrival: arrival.after)
    return Story(args=args, activities=fates, otherwise=otherwise, arrivals=arrivals, crashes=crashes)


def _arguments(workflow: Workflow[..., Any], args: Any, codec: Codec) -> SearchStrategy[msgspec.Raw]:
    what = f"workflow {workflow.name}"

    def encode(drawn: Any) -> msgspec.Raw:
        values: Any = drawn if type(drawn) is tuple else (drawn,)  # pyright: ignore[reportUnknownVariableType]
        return to_raw(workflow.signature.encode_call(codec, values, {}, what=what))

    if args is not None:
        return encodable(as_strategy(args), encode, drop=False)
    return encodable(_typed_arguments(workflow.signature, what), encode, drop=True)


def _typed_arguments(signature: Any, what: str) -> SearchStrategy[Any]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return st.tuples(
        *(
            inferred(hint, f"argument {name!r} of {what}", "pass args=st.tuples(...)")
            for name, (parameter, hint) in signature.hints.parameters.items()
            if parameter.kind in positional and parameter.default is inspect.Parameter.empty
        )
    )


def _signals(signals: Any, codec: Codec) -> list[Content]:
    def one(signal: Signal[Any], values: SearchStrategy[Any] | None) -> Content:
        def encode(value: Any) -> dict[str, Any]:
            return {"signal": signal.name, "value": to_raw(signal.encode(codec, value))}

        if values is not None:
            return encodable(values, encode, drop=False)
        advice = "pass signals={signal: strategy}"
        return encodable(inferred(signal.type, f"signal {signal.name!r}", advice), encode, drop=True)

    return [one(signal, values) for signal, values in _items(signals, Signal, "signals")]


def _updates(updates: Any, codec: Codec) -> list[Content]:
    def one(update: Update[Any, Any], values: SearchStrategy[Any] | None) -> Content:
        def encode(value: Any) -> dict[str, Any]:
            return {"update": update.name, "value": to_raw(update.encode(codec, value))}

        if values is not None:
            return encodable(values, encode, drop=False)
        advice = "pass updates={update: strategy}"
        return encodable(inferred(update.type, f"update {update.name!r}", advice), encode, drop=True)

    return [one(update, values) for update, values in _items(updates, Update, "updates")]


def _queries(queries: Any, codec: Codec) -> list[Content]:
    signature = untyped_signature()

    def one(query: Query[Any], args: SearchStrategy[Any] | None) -> Content:
        def encode(drawn: Any) -> dict[str, Any]:
            call = signature.encode_call(codec, drawn, {}, what=f"query {query.name}")
            return {"query": query.name, "value": to_raw(call)}

        return encodable(args if args is not None else st.just(()), encode, drop=False)

    return [one(query, args) for query, args in _items(queries, Query, "queries")]


def _items(given: Any, cls: type[Any], what: str) -> list[tuple[Any, Any]]:
    """Return pairs of a message and the strategy for its values, or None where it is to be inferred."""
    pairs: list[tuple[Any, Any]]
    if isinstance(given, Mapping):
        mapping: Mapping[Any, Any] = given  # pyright: ignore[reportUnknownVariableType]
        pairs = list(mapping.items())
    else:
        pairs = [(item, None) for item in cast("Iterable[Any]", given)]
    for message, values in pairs:
        if not isinstance(message, cls) or not (values is None or isinstance(values, SearchStrategy)):
            raise InvalidArgument(
                f"{what}: expected a list of {cls.__name__} or a dict from {cls.__name__} to strategies, got {given!r}"
            )
    return pairs


def _arrivals(contents: list[Content], count_max: int, *, twice: bool) -> SearchStrategy[list[Arrival]]:
    if not contents:
        return st.just([])
    when = _one_of_many([each for each in _WHEN if twice or not each.twice])
    return st.lists(st.builds(_arrival, st.one_of(contents), when), max_size=count_max)


def _arrival(content: dict[str, Any], when: Arrival) -> Arrival:
    return replace(when, **content)


def _cancellations() -> SearchStrategy[list[Arrival]]:
    often = len(_WHEN) // 2  # a run that is cancelled tells little of its rest
    return _one_of_many([*([] for _ in range(often)), *([when] for when in _WHEN if not when.twice)])


def _one_of_many(values: list[T]) -> SearchStrategy[T]:
    """Return `st.sampled_from(values)` whose description is not as long as `values`."""
    return st.sampled_from(range(len(values))).map(values.__getitem__)
