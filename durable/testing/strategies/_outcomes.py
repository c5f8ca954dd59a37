"""What may become of an activity: its results, its failures, how long it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import msgspec
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument, ResolutionFailed
from hypothesis.strategies import SearchStrategy
from msgspec import structs

from ..._duration import Duration, milliseconds
from ..._runtime.options import ActivityCall
from ...author import Workflow
from ...codec import Codec, Failure, failure_of
from ...errors import CodecError
from ...history import to_raw
from ._story import UNSET, Ends, Fate, Oddity

FATES_MAX = 5  # attempts of an activity whose fate is drawn; later ones succeed at once
BEATS_MAX = 2  # heartbeats of a deferred attempt: one that says something, and one that says only that it goes on
HOLDERS_SHARE = 3  # how often what only holders of tokens do is there, for each time that all the rest is
_OUTAGE = ConnectionError("an outage")  # what may happen to every activity, where nobody says what else does


class _Infer:
    def __repr__(self) -> str:
        return "inferred from the activity's return type"


INFER: Any = _Infer()


@dataclass(frozen=True)
class Outcomes:
    """What may become of an activity. Made by `outcomes`."""

    returns: Any = INFER
    raises: tuple[Any, ...] = ()
    takes: SearchStrategy[Any] | None = None
    times_out: bool | None = None
    defers: bool | None = None


def outcomes(
    returns: Any = INFER,
    *,
    raises: Sequence[Any] = (),
    takes: SearchStrategy[Any] | Duration | None = None,
    times_out: bool | None = None,
    defers: bool | None = None,
) -> Outcomes:
    """Return what may become of an activity.

    `returns` is a strategy for its results, one value, or a function from the call's arguments to the value; left out, the
    strategy comes from the return type. `raises` are exception classes, exceptions, or strategies for exceptions: those that
    the activity declares fail at once, others are retried by its real policy, and may go on until that gives up. `takes`
    are durations of an attempt; one that reaches the attempt's time limit runs into it. `times_out` says whether attempts may hang until a
    time limit ends them (left out: if the activity has one). `defers` says whether attempts may end by `complete_later()`: the holder
    of their token says heartbeats and how they end, perhaps too late, twice, or before the code has ended (left out: if the
    activity's code names `complete_later`).
    """
    duration = takes if takes is None or isinstance(takes, SearchStrategy) else st.just(takes)
    return Outcomes(returns, tuple(raises), duration, times_out, defers)


def durations(shortest: Duration = 0, longest: Duration = "1 hour") -> SearchStrategy[timedelta]:
    """Return a strategy for durations of all magnitudes from `shortest` to `longest`; it shrinks to `shortest`."""
    low, high = milliseconds(shortest, what="shortest"), milliseconds(longest, what="longest")
    if low > high:
        raise ValueError(f"expected shortest <= longest, got {shortest!r} and {longest!r}")
    magnitudes = [digit * 10**power for power in range(13) for digit in (1, 2, 5)]
    steps = [low, *(ms for ms in magnitudes if low < ms < high), *([high] if high > low else [])]
    return st.sampled_from([timedelta(milliseconds=ms) for ms in steps])


@dataclass(frozen=True)
class Prospects:
    """What is drawn for one activity: the fates of its first attempts, and what it returns after them (None: computed)."""

    fates: SearchStrategy[list[Fate]]
    otherwise: SearchStrategy[msgspec.Raw] | None


def prospects_of(
    call: ActivityCall,
    given: Outcomes | None,
    codec: Codec,
    *,
    duplicates: bool,
    defers: bool = False,
    ends: Sequence[Ends] = (),
    own: bool = False,
) -> Prospects:
    """Return what is drawn for the activity `call`; what is not `given` is inferred; `defers` is what its code says of that.

    `ends` are those that only children have; `own`: a child's own code may be run.

    Raises `InvalidArgument` naming the activity.
    """
    if given is None:
        given = Outcomes(raises=(*call.options.raises, _OUTAGE))
    returns = None if is_computed(given.returns) else _values(call, given.returns, codec)
    failures = [_failures(call, error, codec) for error in given.raises]
    takes = given.takes if given.takes is not None else durations()
    defers = given.defers if given.defers is not None else defers
    kinds = _shapes(len(failures), _stuck(call, given), duplicates=duplicates, defers=defers)
    shapes = st.sampled_from(
        [*kinds, *((Fate(ends=end), None) for end in ends), *([(Fate(own=True), None)] * len(kinds) if own else [])]
    )

    @st.composite
    def fate(draw: Any) -> Fate:
        shape, which = cast("tuple[Fate, int | None]", draw(shapes))
        takes_ms = milliseconds(draw(takes))
        value = UNSET if returns is None else draw(returns)  # in any case: so that a shape shrinks to a simpler one
        if shape.own:
            return shape
        if which is not None:
            failure = draw(failures[which])
            always = shape.always and Failure.from_wire(failure).retryable is not False
            return structs.replace(shape, takes_ms=takes_ms, failure=failure, always=always)
        if shape.stuck and not shape.odd:
            value = UNSET
        return structs.replace(shape, takes_ms=takes_ms, value=value)

    return Prospects(st.lists(fate(), max_size=FATES_MAX), returns)


_GOOD_SHARE = 1  # of attempts that go well, in either way, for each that goes wrong in one of its ways


def _shapes(failures: int, stuck: Sequence[Any], *, duplicates: bool, defers: bool) -> list[tuple[Fate, int | None]]:
    """Return the kinds of fates, simplest first, as often as they should be drawn; with the number of the failure, if it is one.

    One choice for all of it: each choice that Hypothesis makes costs as much as a step of the run.
    """
    endings = (False, True, True)  # once, or until the policy gives up: that is what code forgets
    failed = [(Fate(always=always), which) for always in endings for which in range(failures)]
    late: tuple[Oddity, ...] = ("", "late") if duplicates else ("",)
    hung = [(Fate(stuck=kind, odd=odd, always=always), None) for odd in late for always in endings for kind in stuck]
    share = max(1, _GOOD_SHARE * (len(failed) + len(hung)))
    # Half of what goes well would take effect even if the run gave it up: where it does not, that changes nothing.
    good = [(Fate(odd=odd), None) for odd in late for _ in range(share)]
    odd: tuple[Oddity, ...] = ("twice", "lost") if duplicates else ()
    drawn: list[tuple[Fate, int | None]] = [*good, *failed, *hung, *((Fate(odd=oddity), None) for oddity in odd)]
    return drawn if not defers else drawn + _deferred(drawn, duplicates=duplicates)


def _deferred(drawn: Sequence[tuple[Fate, int | None]], *, duplicates: bool) -> list[tuple[Fate, int | None]]:
    """Return what may become of attempts that are left to others: the same as of `drawn` ones, and what only their holders do."""
    same: list[tuple[Fate, int | None]] = [
        (structs.replace(fate, later="ends", beats=number % (BEATS_MAX + 1)), which)
        for number, (fate, which) in enumerate(drawn)
        if fate.odd != "lost" and fate.stuck != "queued"
    ]
    more: list[tuple[Fate, int | None]] = [(Fate(later="stops"), None), (Fate(later="stops", beats=1), None)]
    if duplicates:  # else all comes in its order
        failed = sorted({which for _, which in drawn if which is not None})
        more += [(Fate(later="first"), which) for which in (None, *failed)]
        more += [(Fate(later="first", beats=BEATS_MAX), None)]
    return same + more * HOLDERS_SHARE


def is_computed(returns: Any) -> bool:
    """Return whether `returns` is a function from arguments to the value."""
    return callable(returns) and not isinstance(returns, SearchStrategy)


def inferred(hint: Any, what: str, advice: str) -> SearchStrategy[Any]:
    """Return a strategy for values of type `hint`. Raises `InvalidArgument` with `advice` if there is none."""
    if hint is Any or hint is object or hint is inspect.Parameter.empty:
        raise InvalidArgument(f"{what} has no declared type to draw from; {advice}")
    strategy: SearchStrategy[Any] = st.none() if hint is None else st.from_type(hint)
    try:
        strategy.validate()
    except (ResolutionFailed, InvalidArgument) as error:
        raise InvalidArgument(f"{what}: no values can be drawn for {hint!r} ({error}); {advice}") from None
    return strategy


def as_strategy(value: Any) -> SearchStrategy[Any]:
    """Return `value` if it is a strategy, else the one that always draws it."""
    if not isinstance(value, SearchStrategy):
        return st.just(value)
    strategy: SearchStrategy[Any] = value  # pyright: ignore[reportUnknownVariableType]
    return strategy


def encodable(values: SearchStrategy[Any], encode: Callable[[Any], Any], *, drop: bool) -> SearchStrategy[Any]:
    """Return `values`, encoded. With `drop` those that cannot be encoded are left out, as befits what was only inferred."""
    if not drop:
        return values.map(encode)

    def attempt(value: Any) -> Any:
        try:
            return encode(value)
        except CodecError:
            return None

    return values.map(attempt).filter(lambda raw: raw is not None)


def _values(call: ActivityCall, returns: Any, codec: Codec) -> SearchStrategy[msgspec.Raw]:
    what = f"the result of activity {call.name!r}"

    def encode(value: Any) -> msgspec.Raw:
        return to_raw(call.signature.encode_result(codec, value, what=what))

    if returns is not INFER:
        return encodable(as_strategy(returns), encode, drop=False)
    hint = getattr(call.signature, "result", Any)
    advice = f"pass activities={{{call.name}: outcomes(returns=...)}}"
    return encodable(inferred(hint, what, advice), encode, drop=True)


def _failures(call: ActivityCall, error: Any, codec: Codec) -> SearchStrategy[dict[str, Any]]:
    raises = call.options.raises

    def encode(drawn: Any) -> dict[str, Any]:
        if not isinstance(drawn, Exception):
            raise InvalidArgument(f"outcomes of activity {call.name!r}: expected exceptions in raises, got {drawn!r}")
        failure = failure_of(drawn, codec, known=raises)
        if raises and isinstance(drawn, raises):
            failure = replace(failure, retryable=False)
        return failure.as_wire()

    if isinstance(error, SearchStrategy):
        return as_strategy(error).map(encode)
    return st.just(encode(_instance(call, error) if isinstance(error, type) else error))


def _instance(call: ActivityCall, cls: type[Any]) -> Any:
    for args in ((), (f"drawn for {call.name}",)):
        try:
            return cls(*args)
        except TypeError:
            continue
    raise InvalidArgument(
        f"outcomes of activity {call.name!r}: {cls.__name__} cannot be made without arguments; put an instance into raises"
    )


def _stuck(call: ActivityCall, given: Outcomes) -> list[Any]:
    options = call.options
    runs_out = any(
        limit is not None for limit in (options.timeout_ms, options.heartbeat_timeout_ms, options.total_timeout_ms)
    )
    waits = options.queue_timeout_ms is not None
    if given.times_out is not None:
        runs_out, waits = given.times_out, given.times_out and waits
    return [*(["running"] if runs_out else []), *(["queued"] if waits else [])]


def by_name(activities: Mapping[Any, Any]) -> dict[str, Outcomes]:
    """Return outcomes by the name of their activity or child; a strategy stands for its results. Raises `InvalidArgument`."""
    found: dict[str, Outcomes] = {}
    for key, value in activities.items():
        name = key if isinstance(key, str) else getattr(key, "name", None)
        if isinstance(key, Workflow):
            name = f"child {name}"
        if not isinstance(name, str):
            raise InvalidArgument(f"activities: expected activities or their names as keys, got {key!r}")
        if isinstance(value, SearchStrategy):
            value = Outcomes(returns=as_strategy(value))
        if not isinstance(value, Outcomes):
            raise InvalidArgument(
                f"activities: expected outcomes(...) or a strategy for results of {name!r}, got {value!r}"
            )
        found[name] = value
    return found
