"""A module whose annotations are text, with names that are defined further down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from durable.codec import Signature, signature_of

if TYPE_CHECKING:
    from decimal import Decimal


async def ship(order: Later, *, fast: bool = False) -> list[Later]:
    return [order]


def broken(price: Decimal) -> None: ...


@dataclass
class Later:
    name: str
    next: Later | None = None


class Options(TypedDict):
    name: str
    size: NotRequired[int]


def local() -> tuple[Callable[..., Any], Signature, type]:
    """Return a function whose types exist in this function only."""

    @dataclass
    class Inner:
        value: int

    @dataclass
    class Outer:
        inner: Inner

    def fn(value: Outer, more: list[Inner]) -> Outer: ...

    return fn, signature_of(fn), Outer
