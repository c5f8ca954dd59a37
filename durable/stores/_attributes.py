"""Attributes: typed values that documents are found by, and the conditions that a filter sets for them."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

AttributeValue: TypeAlias = str | int | float | bool | tuple[str, ...]
"""A text, a number (`int` of 64 bits or `float`, compared as numbers), a flag, or a tuple of texts. A bool is no number."""

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "prefix", "has", "exists"]

INT_MIN, INT_MAX = -(2**63), 2**63 - 1  # what SQLite holds and indexes as a number without losing digits
OPERATORS: tuple[Operator, ...] = get_args(Operator)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What an attribute must be: `Condition("customer", "=", "c-7")`. A document without the attribute never matches.

    - "=", "!=": the same value, or another one *of the same type*;
    - "<", "<=", ">", ">=": of texts, by code points, or of numbers;
    - "prefix": a text that begins with the text `value`;
    - "has": a tuple that contains the text `value`;
    - "exists": any value; `value` is None.

    A value of another type than `value` never matches, also not by "!="; `int` and `float` are one type, `bool` another.
    Making one raises `ValueError` for an unknown operator or a number out of range, and `TypeError` for a value of a type that
    the operator does not take.
    """

    name: str
    op: Operator
    value: AttributeValue | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.op not in OPERATORS:
            raise ValueError(f"unknown operator {self.op!r}; expected one of {', '.join(OPERATORS)}")
        if (self.value is None) != (self.op == "exists"):
            expected = "no value" if self.op == "exists" else "a value"
            raise TypeError(f"attribute {self.name!r}: {self.op!r} takes {expected}, got {self.value!r}")
        if self.value is None:
            return
        check_value(self.name, self.value)
        kind = kind_of(self.value)
        if self.op in ("prefix", "has") and kind != "text":
            raise TypeError(f"attribute {self.name!r}: {self.op!r} takes a text, got {self.value!r}")
        if self.op in _ORDER and kind not in ("text", "number"):
            raise TypeError(f"attribute {self.name!r}: {self.op!r} takes a text or a number, got {self.value!r}")

    def holds(self, attributes: Mapping[str, AttributeValue]) -> bool:
        """Return whether these attributes satisfy the condition."""
        found, op, value = attributes.get(self.name), self.op, self.value
        if found is None or value is None:
            return found is not None
        if op == "has":
            return isinstance(found, tuple) and value in found
        if kind_of(found) != kind_of(value):
            return False
        if op == "=":
            return found == value
        if op == "!=":
            return found != value
        if op == "prefix":
            return isinstance(found, str) and isinstance(value, str) and found.startswith(value)
        return _ORDER[op](found, value)


Kind: TypeAlias = Literal["text", "number", "flag", "list"]


def kind_of(value: AttributeValue) -> Kind:
    """Return the type of `value`, as far as comparing is concerned."""
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "list" if isinstance(value, tuple) else "number"


def check_attributes(attributes: Mapping[str, AttributeValue | None]) -> None:
    """Raise unless each can be stored: `TypeError` for one of another type, `ValueError` for a number or text out of range."""
    for name, value in attributes.items():
        _check_name(name)
        if value is not None:
            check_value(name, value)


def merged(
    attributes: Mapping[str, AttributeValue], changes: Mapping[str, AttributeValue | None]
) -> Mapping[str, AttributeValue]:
    """Return `attributes` with `changes` made: None removes one."""
    return {name: value for name, value in {**attributes, **changes}.items() if value is not None}


def check_value(name: str, value: object) -> None:
    """Raise unless `value` can be stored: see `check_attributes`."""
    what = f"attribute {name!r}"
    if isinstance(value, str):
        _check_text(what, value)
    elif isinstance(value, tuple):
        for each in value:  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(each, str):
                raise TypeError(f"{what}: expected a tuple of texts, got {each!r} in {value!r}")
            _check_text(what, each)
    elif isinstance(value, float):
        if math.isnan(value):
            raise ValueError(f"{what}: expected a number, got {value!r}, which nothing equals")
    elif not isinstance(value, int):
        raise TypeError(f"{what}: expected str, int, float, bool or a tuple of str, got {value!r}")
    elif not INT_MIN <= value <= INT_MAX:
        raise ValueError(f"{what}: expected a whole number of 64 bits ({INT_MIN} to {INT_MAX}), got {value!r}")


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"expected the name of an attribute, got {name!r}")
    _check_text("the name of an attribute", name)


def _check_text(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{what}: expected text that can be encoded, got {text!r} with half of a surrogate pair"
        ) from None
