"""What is compiled once for a declared type: how its values become JSON data and come back.

JSON data here means exact builtins only: None, bool, int within 64 bits, finite float, str, list, dict with str keys.
So one writer (orjson) is right for all of it, and any JSON tool can read what is stored.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

Convert = Callable[[Any], Any]

NoneType = type(None)
SCALARS: frozenset[type] = frozenset({NoneType, bool, int, float, str})
ALL_KINDS: frozenset[type] = SCALARS | {list, dict}

_SHOWN_KEY_CHARS_MAX = 30  # keys of mappings are data: only what looks like a field's name appears in an error


class Misfit(Exception):  # noqa: N818 - never leaves this package
    """A value does not fit its declared type. Never holds a value: types and the path to the place only.

    `unsupported` says that the value may well be of the declared type, but JSON cannot hold it.
    """

    def __init__(self, problem: str, *, unsupported: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.unsupported = problem, unsupported
        self.steps: list[str] = []  # innermost first

    def at(self, step: str) -> "Misfit":
        """Add the outer step `step` to the path; return self, to be raised."""
        self.steps.append(step)
        return self

    def __str__(self) -> str:
        return f"${''.join(reversed(self.steps))}: {self.problem}" if self.steps else self.problem


class Plan:
    """How values of one declared type are written (`dump`: value to JSON data) and read (`load`: JSON data to value).

    Both check, and raise `Misfit`. `kinds` are the classes of JSON data that `dump` ordinarily makes; a union puts a tag
    on whatever else comes out. `classes` are the exact classes that this plan is the first choice for within a union.
    `plain` says that msgspec reads the type by the same rules; `text` that every value is written as a str.
    """

    __slots__ = ("classes", "dump", "kinds", "load", "name", "plain", "text")

    def __init__(
        self, name: str, dump: Convert, load: Convert, *,
        kinds: Iterable[type] = ALL_KINDS, classes: Iterable[type] = (), plain: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.dump, self.load, self.plain = name, dump, load, plain
        self.kinds, self.classes = frozenset(kinds), tuple(classes)
        self.text = self.kinds == frozenset[type]({str})

    def late(self) -> "Plan":
        """Return a plan that looks this one up at each call: for types that contain themselves, while this one is built."""
        return Plan(
            self.name,
            lambda value: self.dump(value),
            lambda data: self.load(data),
            kinds=self.kinds,
            classes=self.classes,
        )


def type_name(cls: Any) -> str:
    """Return the name of a class as its author writes it: without module, without `<locals>`."""
    name: str = getattr(cls, "__qualname__", None) or str(cls)
    return "None" if cls is NoneType else name.rpartition("<locals>.")[2]


def hint_name(hint: Any) -> str:
    """Return a short text for any hint."""
    if isinstance(hint, type) and not getattr(hint, "__args__", None):
        return type_name(hint)
    return str(hint).replace("typing.", "")


def refuse(expected: str, value: Any) -> NoReturn:
    """Raise the `Misfit` that says what was expected and of which type `value` is."""
    raise Misfit(f"expected {expected}, got {type_name(type(value))}")


def key_step(key: Any, position: int | None = None) -> str:
    """Return the path step for an entry of a mapping: its key if that looks like a name, else its position."""
    if isinstance(key, str) and key.isidentifier() and len(key) <= _SHOWN_KEY_CHARS_MAX:
        return f".{key}"
    return "[key]" if position is None else f"[key {position}]"
