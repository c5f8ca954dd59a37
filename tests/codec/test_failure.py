"""Exceptions as data and back: classes, messages, causes, groups and notes survive; nothing else leaks, nothing raises."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import Failure, PickleCodec, default_codec, exception_of, failure_of
from durable.errors import (
    ActivityError,
    ActivityTimeoutError,
    DurableError,
    InvalidCallError,
    NonDeterminismError,
    RemoteError,
)
from durable.retry import RetryPolicy

CODEC = default_codec()
SECRET = "hunter2-secret"
ID = UUID(int=5)


class PaymentError(Exception):
    pass


class PaymentDeclined(PaymentError):
    """The usual way to write an exception with data."""

    def __init__(self, order: UUID, amount: Decimal) -> None:
        super().__init__(f"order {order}: {amount} declined")
        self.order, self.amount = order, amount


@dataclass
class OutOfStock(Exception):
    sku: str
    missing: int
    until: timedelta | None = None


class Coded(Exception):
    """Its arguments say it all."""


class Computed(Exception):
    """Its constructor's parameter is not kept: it cannot be called again."""

    limit: Decimal

    def __init__(self, numbers: list[int]) -> None:
        super().__init__(f"sum {sum(numbers)}")
        self.limit = Decimal(sum(numbers))
        self.lock = open  # no data


class Busy(Exception):
    def __init__(self, retry_after: Any, retryable: Any = None) -> None:
        super().__init__("busy")
        self.retry_after, self.retryable = retry_after, retryable


class Nasty(Exception):
    """All that is asked of it raises, even what ends a process."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        raise SystemExit(name)

    def __reduce__(self) -> Any:
        raise ValueError


class Batch(ExceptionGroup):
    pass


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


def over_the_wire(exc: BaseException, *known: type[BaseException], codec: Any = CODEC) -> BaseException:
    wire = json.loads(json.dumps(failure_of(exc, codec, known=known).as_wire()))
    return exception_of(Failure.from_wire(wire), known, codec)


KNOWN: list[tuple[BaseException, Callable[[Any], Any]]] = [
    (PaymentDeclined(ID, Decimal("1.50")), lambda e: (e.args, e.order, e.amount)),
    (OutOfStock("a", 3, timedelta(days=1)), lambda e: (e.args, e.sku, e.missing, e.until)),
    (Coded("a", 1, None), lambda e: e.args),
    (Coded(), lambda e: e.args),
    (Computed([1, 2]), lambda e: (e.args, e.limit)),
    (PaymentError("no"), lambda e: e.args),
    (ValueError("bad"), lambda e: e.args),
    (KeyError("key"), lambda e: e.args),
    (ZeroDivisionError(), lambda e: e.args),
    (FileNotFoundError(2, "No such file", "a.txt"), lambda e: (e.errno, e.strerror, e.filename)),
    (TimeoutError(), lambda e: e.args),
    (StopAsyncIteration(1), lambda e: e.args),
    (ActivityError("failed", activity="charge", attempt=3), lambda e: (e.args, e.activity, e.attempt)),
    (ActivityTimeoutError("late", activity="charge", attempt=1, kind="queue"), lambda e: (e.args, e.activity, e.attempt, e.kind)),
    (NonDeterminismError("no", history="a", code="b", where="c", hint="d"), lambda e: (e.args, e.history, e.code, e.where, e.hint)),
    (RemoteError("gone", type="x.Y", traceback="tb"), lambda e: (e.args, e.type, e.traceback, e.message)),
    (InvalidCallError("no"), lambda e: e.args),
]  # fmt: skip


@pytest.mark.parametrize(("exc", "data"), KNOWN, ids=[type(exc).__name__ for exc, _ in KNOWN])
def test_a_known_class_comes_back_as_itself(exc: BaseException, data: Callable[[Any], Any]) -> None:
    """Declared, built-in and our own classes: same class, same text, same data."""
    back = over_the_wire(raised(exc), PaymentDeclined, OutOfStock, Coded, Computed, PaymentError)
    assert type(back) is type(exc)
    assert str(back) == str(exc)
    assert data(back) == data(exc)


def test_an_unknown_class_comes_back_as_a_description() -> None:
    """Nothing is imported: a class that was not declared is described."""
    failure = failure_of(raised(Coded("a")), CODEC)
    back = exception_of(failure, (), CODEC)
    assert isinstance(back, RemoteError)
    assert back.type == f"{__name__}.Coded"
    assert str(back) == f"{__name__}.Coded: a"
    assert "raised(exc)" not in back.traceback
    assert "in raised" in back.traceback
    assert "raise exc" in back.traceback


def test_a_subclass_of_a_declared_class() -> None:
    """It is raised as itself if it is loaded here, else as the declared class, so that `except` finds it."""
    assert type(over_the_wire(PaymentDeclined(ID, Decimal(1)), PaymentError)) is PaymentDeclined
    elsewhere = Failure(
        type="other.CardExpired", message="expired", bases=("CardExpired", "PaymentError", "Exception", "BaseException")
    )
    back = exception_of(elsewhere, (PaymentError,), CODEC)
    assert type(back) is PaymentError
    assert str(back) == "expired"


def test_a_class_that_changed_keeps_its_name_and_message() -> None:
    """Constructor data that does not fit any more is given up, the class and the text are not."""
    failure = failure_of(PaymentDeclined(ID, Decimal(1)), CODEC, known=(PaymentDeclined,))
    changed = Failure.from_wire({**failure.as_wire(), "payload": {"how": "init", "data": {"order": 1, "other": []}}})
    for payload in (changed.payload, {"how": "nothing"}, [], {"data": 1}):
        back = exception_of(Failure.from_wire({**failure.as_wire(), "payload": payload}), (PaymentDeclined,), CODEC)
        assert type(back) is PaymentDeclined
        assert str(back) == str(PaymentDeclined(ID, Decimal(1)))


@pytest.mark.parametrize("cls", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_a_process_is_never_made_from_data(cls: type[BaseException]) -> None:
    """Whoever writes to a store must not be able to stop a worker."""
    assert type(over_the_wire(cls("x"))) is RemoteError


def test_a_type_that_names_no_exception_is_only_described() -> None:
    """A name from the data leads to nothing but known exception classes."""
    for name in ("builtins.print", "os.system", "builtins.object", "durable.errors.Any", "", "builtins.ValueError2"):
        payload = {"how": "args", "data": ["touch /tmp/x"]}
        assert type(exception_of(Failure(type=name, message="m", payload=payload), (), CODEC)) is RemoteError


def test_causes_are_kept() -> None:
    """`raise ... from`, the implicit context, and its suppression."""
    try:
        try:
            try:
                raise KeyError("inner")
            except KeyError as inner:
                raise ValueError("middle") from inner
        except ValueError:
            raise RuntimeError("outer")  # noqa: B904 - the implicit context is meant
    except RuntimeError as error:
        back = over_the_wire(error)
    assert isinstance(back.__cause__, ValueError)
    assert isinstance(back.__cause__.__cause__, KeyError)
    assert back.__cause__.__cause__.__cause__ is None
    hidden = RuntimeError("x")
    hidden.__context__, hidden.__suppress_context__ = ValueError("y"), True
    assert failure_of(hidden, CODEC).cause is None


def test_notes_are_kept() -> None:
    """Notes come along, with a bound on their number and length."""
    error = ValueError("x")
    for note in ("first", "second \ud800", "x" * 5_000, *["more"] * 20):
        error.add_note(note)
    notes = over_the_wire(error).__notes__
    assert notes[:2] == ["first", "second \\ud800"]
    assert len(notes[2]) < 1_100


def test_groups_are_kept() -> None:
    """An exception group comes back as one, nested, with its members as themselves."""
    group = ExceptionGroup(
        "two", [ValueError("a"), ExceptionGroup("in", [PaymentDeclined(ID, Decimal(1)), Coded("c")])]
    )
    back = over_the_wire(raised(group), PaymentDeclined)
    assert isinstance(back, ExceptionGroup)
    assert back.message == "two"
    first, second = back.exceptions
    assert (type(first), str(first)) == (ValueError, "a")
    assert isinstance(second, ExceptionGroup)
    assert [type(e) for e in second.exceptions] == [PaymentDeclined, RemoteError]
    assert type(over_the_wire(Batch("b", [ValueError("a")]), Batch)) is Batch
    assert type(over_the_wire(Batch("b", [ValueError("a")]))) is ExceptionGroup
    assert type(over_the_wire(BaseExceptionGroup("b", [KeyboardInterrupt()]))) is ExceptionGroup


def test_cycles_end() -> None:
    """A cause that leads back to its effect is cut."""
    first, second = ValueError("first"), KeyError("second")
    first.__context__, second.__context__ = second, first
    failure = failure_of(first, CODEC)
    assert failure.cause is not None
    assert failure.cause.type == "builtins.KeyError"
    assert failure.cause.cause is None
    alone = ValueError("alone")
    alone.__cause__ = alone
    assert failure_of(alone, CODEC).cause is None


def test_everything_is_bounded() -> None:
    """Long chains, large groups, huge messages and deep stacks make a failure that can still be recorded."""
    error: Exception = ValueError("x" * 10_000_000)
    for _ in range(100):
        outer = ValueError("x" * 100_000)
        outer.__cause__ = error
        error = outer
    group = ExceptionGroup("g", [error, *[raised(ValueError("y" * 100_000)) for _ in range(1_000)]])
    text = json.dumps(failure_of(group, CODEC).as_wire())
    assert len(text) < 1_000_000
    assert failure_of(ValueError("x" * 10_000), CODEC).message.endswith("... (1,808 more characters)")

    def recurse() -> None:
        recurse()

    try:
        recurse()
    except RecursionError as error:
        trace = failure_of(error, CODEC).traceback
    assert "outer frames left out" in trace
    assert trace.count("in recurse") + trace.count("Previous line repeated") <= 31
    assert len(trace) <= 16_384


def test_no_values_leak() -> None:
    """A failure holds the message and source lines, neither locals nor the arguments of a class that was not declared."""

    def leak(password: str) -> None:
        local = password * 2
        raise Busy(None, retryable=local)

    try:
        leak(SECRET)
    except Busy as error:
        error.context = SECRET  # type: ignore[attr-defined]
        assert SECRET not in json.dumps(failure_of(error, CODEC).as_wire())


def test_weird_exceptions_do_no_harm() -> None:
    """Whatever an exception raises when it is asked, its failure is made."""
    failure = failure_of(raised(Nasty()), CODEC, known=(Nasty,))
    assert failure.message == "<str() of it raised KeyboardInterrupt>"
    assert type(exception_of(failure, (Nasty,), CODEC)) in (Nasty, RemoteError)
    surrogates = failure_of(OSError("\udcff"), CODEC)
    assert surrogates.message == "\\udcff"
    odd = ValueError("x")
    odd.__notes__ = 7  # type: ignore[assignment]
    assert failure_of(odd, CODEC).notes == ()
    assert type(over_the_wire(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"))) in (UnicodeDecodeError, RemoteError)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2000),
        ("1 min", 60_000),
        (timedelta(milliseconds=5), 5),
        (0, 0),
        (None, None),
        (-1, None),
        ("soon", None),
        ([], None),
    ],
)
def test_retry_after_is_taken_leniently(value: Any, expected: int | None) -> None:
    """A duration in any of our notations is the next delay; anything else says nothing."""
    assert failure_of(Busy(value), CODEC).retry_after_ms == expected


def test_retryable_is_kept() -> None:
    """The exception's own word, if it is a yes or a no."""
    assert failure_of(Busy(None, retryable=False), CODEC).retryable is False
    assert failure_of(Busy(None, retryable="no"), CODEC).retryable is None
    assert failure_of(DurableError("x"), CODEC).retryable is False
    assert failure_of(ValueError("x"), CODEC).retryable is None


def test_bases_are_what_a_retry_policy_takes() -> None:
    """The class itself and all its bases, by plain name."""
    failure = failure_of(PaymentDeclined(ID, Decimal(1)), CODEC)
    assert failure.bases == ("PaymentDeclined", "PaymentError", "Exception", "BaseException")
    assert RetryPolicy(non_retryable=[PaymentError]).gives_up(1, failure.bases)
    assert RetryPolicy().gives_up(1, failure_of(UnboundLocalError("x"), CODEC).bases)
    assert not RetryPolicy().gives_up(1, failure.bases)


def test_never_a_pickle_within_a_failure() -> None:
    """Constructor data that JSON cannot hold is left out, even where pickles are allowed."""
    codec = PickleCodec(b"0123456789abcdef")
    failure = failure_of(Coded(object()), codec, known=(Coded,))
    assert failure.payload is None
    assert type(exception_of(failure, (Coded,), codec)) is Coded


FIELDS = [
    "type",
    "message",
    "bases",
    "traceback",
    "cause",
    "group",
    "notes",
    "retryable",
    "retry_after_ms",
    "payload",
    "how",
    "data",
    "new",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8),
    max_leaves=15,
)  # fmt: skip


@given(data=json_values)
def test_any_data_makes_a_failure_and_an_exception(data: Any) -> None:
    """Reading never raises: unknown fields are passed over, wrong ones left empty."""
    failure = Failure.from_wire(data)
    assert isinstance(exception_of(failure, (PaymentDeclined,), CODEC), BaseException)
    assert Failure.from_wire(json.loads(json.dumps(failure.as_wire()))) == failure


@given(
    text=st.text(), number=st.integers(), until=st.none() | st.timedeltas(), notes=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=3),
)  # fmt: skip
def test_failures_come_back(text: str, number: int, until: timedelta | None, notes: list[str]) -> None:
    """A failure is its wire form, and a dataclass exception comes back field by field."""
    exc = OutOfStock(text.encode("utf-8", "replace").decode(), number, until)
    for note in notes:
        exc.add_note(note)
    failure = failure_of(exc, CODEC, known=(OutOfStock,))
    assert Failure.from_wire(json.loads(json.dumps(failure.as_wire()))) == failure
    assert over_the_wire(exc, OutOfStock) == exc


def test_a_failure_of_a_rebuilt_exception_is_the_same() -> None:
    """An activity's failure may travel on through a workflow to a client."""
    exc = ActivityError("charge failed", activity="charge", attempt=2)
    exc.__cause__ = PaymentDeclined(ID, Decimal(1))
    once = over_the_wire(exc, PaymentDeclined)
    twice = over_the_wire(once, PaymentDeclined)
    assert failure_of(twice, CODEC, known=(PaymentDeclined,)) == failure_of(exc, CODEC, known=(PaymentDeclined,))
