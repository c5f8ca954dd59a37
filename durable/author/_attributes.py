"""`Attribute`: a typed key that runs are found by."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NoReturn, TypeVar, cast, get_args, get_origin, overload

from .. import _limits
from .._ids import checked_name
from .._runtime.commands import record_attributes
from .._runtime.context import require_run
from ..errors import DefinitionError, InvalidCallError, InvalidIdError, PayloadTooLargeError
from ..history import AttributeValue

T = TypeVar("T")
D = TypeVar("D")

INT_MAX = 2**53 - 1  # what every store and every reader of JSON keeps exactly

_NAME = re.compile(r"[\w.-]+")
_TYPES: dict[object, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    datetime: "datetime",
    list: "list[str]",
}


@dataclass(frozen=True, slots=True)
class AttributeCondition:
    """A condition on an attribute, made by comparing one: `total >= 5`. For `Client.list` and `Client.count` only.

    `op` is "=", "!=", "<", "<=", ">", ">=", "prefix", "has" or "exists". A run without the attribute meets no condition.
    """

    name: str
    op: str
    value: AttributeValue | None = None

    def __bool__(self) -> NoReturn:
        raise InvalidCallError(
            f"a condition on attribute {self.name!r} is for `client.list(attributes=[...])`, it is neither true nor "
            "false; in workflow code compare `info().attributes[...]`; write conditions one by one, without `and`"
        )


class Attribute(Generic[T]):
    """A typed key that runs are found by: `customer = Attribute("customer", str)`. The type is one of `str`, `int`,
    `float`, `bool`, `datetime` (with a time zone; to the microsecond) and `list[str]`.

    Set it by `client.start(..., attributes={customer: "ada"})` and `upsert_attributes`, read it by `info().attributes`
    and `describe().attributes`, and find runs by conditions: `customer == "ada"`, `total >= 5`, `due < datetime(...)`,
    `tags.has("urgent")`, `customer.startswith("a")`, `customer.exists()`.

    Raises `InvalidIdError` for a name that is not made of letters, digits, "_", "-" and ".", `DefinitionError` for
    another type.
    """

    def __init__(self, name: str, type: type[T]) -> None:  # noqa: A002 - the field's name
        self.name = checked_attribute_name(name)
        self.kind = _kind_of(name, type)

    def __repr__(self) -> str:
        return f"Attribute({self.name!r}, {self.kind})"

    __hash__ = object.__hash__  # `==` makes a condition: as keys of a dict, two are the same if they are one object

    def __eq__(self, value: object) -> AttributeCondition:  # type: ignore[override]
        """Return the condition that the attribute has this value."""
        self._refuse_for("list[str]", "==", "has(...)")
        return AttributeCondition(self.name, "=", self.stored(value))

    def __ne__(self, value: object) -> AttributeCondition:  # type: ignore[override]
        """Return the condition that the attribute has another value."""
        self._refuse_for("list[str]", "!=", "has(...)")
        return AttributeCondition(self.name, "!=", self.stored(value))

    def __lt__(self, value: T) -> AttributeCondition:
        return self._compared("<", value)

    def __le__(self, value: T) -> AttributeCondition:
        return self._compared("<=", value)

    def __gt__(self, value: T) -> AttributeCondition:
        return self._compared(">", value)

    def __ge__(self, value: T) -> AttributeCondition:
        return self._compared(">=", value)

    def startswith(self, prefix: str) -> AttributeCondition:
        """Return the condition that the text begins with `prefix`. Raises `InvalidCallError` unless the type is `str`."""
        if self.kind != "str":
            raise InvalidCallError(f"attribute {self.name!r} is of type {self.kind}: only a str begins with something")
        return AttributeCondition(self.name, "prefix", _text(prefix, self))

    def has(self, item: str) -> AttributeCondition:
        """Return the condition that the list holds `item`. Raises `InvalidCallError` unless the type is `list[str]`."""
        if self.kind != "list[str]":
            raise InvalidCallError(
                f"attribute {self.name!r} is of type {self.kind}: only a list[str] has items; use =="
            )
        return AttributeCondition(self.name, "has", _text(item, self))

    def exists(self) -> AttributeCondition:
        """Return the condition that the run has this attribute."""
        return AttributeCondition(self.name, "exists")

    def stored(self, value: object) -> AttributeValue:
        """Return `value` as it is stored.

        Raises `InvalidCallError` for a value of another type, and `PayloadTooLargeError` for a text that is too long.
        """
        return _STORED[self.kind](value, self)

    def read(self, value: AttributeValue) -> T:
        """Return a stored value. Raises `InvalidCallError` for one that an attribute of another type has left there."""
        return cast("T", _READ[self.kind](value, self))

    def _compared(self, op: str, value: object) -> AttributeCondition:
        self._refuse_for("list[str]", op, "has(...)")
        self._refuse_for("bool", op, "==")
        return AttributeCondition(self.name, op, self.stored(value))

    def _refuse_for(self, kind: str, op: str, instead: str) -> None:
        if self.kind == kind:
            raise InvalidCallError(
                f"attribute {self.name!r} is of type {kind}, which `{op}` does not compare: use {instead}"
            )


class Attributes(Mapping[str, AttributeValue]):
    """The attributes of a run, by name as they are stored, or by `Attribute` with their type: `attributes[customer]`."""

    def __init__(self, values: Mapping[str, AttributeValue]) -> None:
        self._values = dict(values)

    @overload
    def __getitem__(self, key: Attribute[T]) -> T: ...
    @overload
    def __getitem__(self, key: str) -> AttributeValue: ...
    def __getitem__(self, key: Any) -> Any:
        """Return the value. Raises `KeyError` if there is none, `InvalidCallError` if it is of another type."""
        if isinstance(key, Attribute):
            return key.read(self._values[key.name])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return self._values[key]

    @overload
    def get(self, key: Attribute[T], /) -> T | None: ...
    @overload
    def get(self, key: Attribute[T], /, default: D) -> T | D: ...
    @overload
    def get(self, key: str, /) -> AttributeValue | None: ...
    @overload
    def get(self, key: str, /, default: D) -> AttributeValue | D: ...
    def get(self, key: Any, /, default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the value, or `default` if there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return (key.name if isinstance(key, Attribute) else key) in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


def upsert_attributes(values: Mapping[Attribute[Any], Any]) -> None:
    """Set attributes of the current run: `upsert_attributes({customer: "ada", due: None})`. None removes one.

    Clients see them once the step is recorded; `info().attributes` at once. Works in workflow code only; on replay the
    recorded values are taken. Raises `InvalidCallError` for a value of another type, and `PayloadTooLargeError` for
    attributes that are too many or too large together (see Limits): the run keeps the ones it had.
    """
    run = require_run("upsert_attributes")
    changed = stored_attributes(values, removable=True)

    def check() -> None:
        kept = {name: value for name, value in {**run.attributes, **changed}.items() if value is not None}
        check_attributes_size(kept)

    record_attributes(run, changed, check)


def stored_attributes(given: object, *, removable: bool = False) -> dict[str, AttributeValue | None]:
    """Return attributes as they are stored, by name. `removable`: None is a value.

    Raises `InvalidCallError` for what is no mapping of `Attribute`s, and as `Attribute.stored` does.
    """
    if not isinstance(given, Mapping):
        raise InvalidCallError(f"attributes: expected {{Attribute: value}}, got {given!r}")
    result: dict[str, AttributeValue | None] = {}
    for key, value in cast("Mapping[object, object]", given).items():
        if not isinstance(key, Attribute):
            raise InvalidCallError(f'attributes: expected Attribute("name", type) as a key, got {key!r}')
        name = key.name
        if name in result:
            raise InvalidCallError(f"attributes: {name!r} is given twice, by two Attribute objects of one name")
        result[name] = None if value is None and removable else key.stored(value)  # pyright: ignore[reportUnknownMemberType]
    return result


def attributes_at_start(given: Mapping[Attribute[Any], Any] | None) -> dict[str, AttributeValue]:
    """Return the attributes that a run begins with, as they are stored. Raises as `stored_attributes` and `check_attributes_size`."""
    if given is None:
        return {}
    values = {name: value for name, value in stored_attributes(given).items() if value is not None}
    check_attributes_size(values)
    return values


def check_attributes_size(values: Mapping[str, AttributeValue]) -> None:
    """Raise `PayloadTooLargeError` if a run's attributes are too many, or too large together."""
    if len(values) > _limits.ATTRIBUTES_MAX:
        raise PayloadTooLargeError(f"a run may have {_limits.ATTRIBUTES_MAX} attributes, these are {len(values)}")
    size = sum(_size(name) + _size(value) for name, value in values.items())
    if size > _limits.ATTRIBUTES_BYTES_MAX:
        raise PayloadTooLargeError(
            f"the attributes of a run may take {_limits.ATTRIBUTES_BYTES_MAX} bytes, these take {size}; "
            "what nobody looks for belongs into the memo"
        )


def checked_attribute_name(name: object) -> str:
    """Return `name` if it can be an attribute's. Raises `InvalidIdError`."""
    checked = checked_name(name, "attribute name")
    if _NAME.fullmatch(checked) is None or len(checked.encode()) > _limits.ATTRIBUTE_NAME_BYTES_MAX:
        raise InvalidIdError(
            f"an attribute name is made of letters, digits, '_', '-' and '.', at most "
            f"{_limits.ATTRIBUTE_NAME_BYTES_MAX} bytes, got {checked[:200]!r}"
        )
    return checked


def stored_moment(moment: datetime) -> str:
    """Return a time as text of fixed width, in UTC: it compares as the times do."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}-{utc:%m-%dT%H:%M:%S.%f}Z"


def _kind_of(name: str, given: object) -> str:
    kind = "list[str]" if get_origin(given) is list and get_args(given) == (str,) else ""
    if not kind and given is not list and isinstance(given, type):
        kind = _TYPES.get(given, "")
    if not kind:
        raise DefinitionError(
            f"attribute {name!r}: expected one of {', '.join(_TYPES.values())} as its type, got {given!r}"
        )
    return kind


def _text(value: object, attribute: Attribute[Any]) -> str:
    if not isinstance(value, str):
        raise _wrong(value, attribute, "a str")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidCallError(f"attribute {attribute.name!r}: {value!r} is no valid Unicode") from None
    if size > _limits.ATTRIBUTE_BYTES_MAX:
        raise PayloadTooLargeError(
            f"attribute {attribute.name!r}: a text may be {_limits.ATTRIBUTE_BYTES_MAX} bytes long, "
            f"this one has {size}: {value[:40]!r}..."
        )
    return str(value)


def _whole(value: object, attribute: Attribute[Any]) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(value, attribute, "an int")
    if abs(value) > INT_MAX:
        raise InvalidCallError(f"attribute {attribute.name!r}: expected an int of at most 53 bits, got {value!r}")
    return int(value)


def _number(value: object, attribute: Attribute[Any]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, attribute, "a float")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidCallError(f"attribute {attribute.name!r}: expected a finite number, got {value!r}")
    return number


def _truth(value: object, attribute: Attribute[Any]) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, attribute, "True or False")
    return value


def _moment(value: object, attribute: Attribute[Any]) -> str:
    if not isinstance(value, datetime):
        raise _wrong(value, attribute, "a datetime")
    if value.tzinfo is None:
        raise InvalidCallError(
            f"attribute {attribute.name!r}: expected a datetime with a time zone, got {value!r}; "
            "write datetime(2026, 1, 31, tzinfo=UTC), for instance"
        )
    try:
        return stored_moment(value)
    except OverflowError:
        raise InvalidCallError(f"attribute {attribute.name!r}: {value!r} is out of the range of years in UTC") from None


def _items(value: object, attribute: Attribute[Any]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise _wrong(value, attribute, "a list of str")
    every = cast("Iterable[object]", sorted(value) if isinstance(value, set | frozenset) else value)  # pyright: ignore
    return tuple(_text(item, attribute) for item in every)


def _wrong(value: object, attribute: Attribute[Any], expected: str) -> InvalidCallError:
    return InvalidCallError(
        f"attribute {attribute.name!r}: expected {expected}, got {value!r} of type {type(value).__name__}"
    )


def _read_as(
    kinds: tuple[type, ...], make: Callable[[Any], object]
) -> Callable[[AttributeValue, Attribute[Any]], object]:
    def read(value: AttributeValue, attribute: Attribute[Any]) -> object:
        if type(value) in kinds:
            try:
                return make(value)
            except ValueError:
                pass
        raise InvalidCallError(f"attribute {attribute.name!r} is {value!r} here, which is no {attribute.kind}")

    return read


def _size(value: AttributeValue) -> int:
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return len(value.encode()) if isinstance(value, str) else 8


_STORED: dict[str, Callable[[object, Attribute[Any]], AttributeValue]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _truth,
    "datetime": _moment,
    "list[str]": _items,
}
_READ: dict[str, Callable[[AttributeValue, Attribute[Any]], object]] = {
    "str": _read_as((str,), str),
    "int": _read_as((int,), int),
    "float": _read_as((int, float), float),
    "bool": _read_as((bool,), bool),
    "datetime": _read_as((str,), datetime.fromisoformat),
    "list[str]": _read_as((tuple, list), list),
}
