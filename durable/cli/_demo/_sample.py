"""Finds the sample shop that the demo plays: in the wheel beside the package, in a checkout beside the package's folder."""

import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import click


class Order(Protocol):
    """An order that the shop takes."""

    @property
    def id(self) -> str: ...


class Outcome(Protocol):
    """How an order ended."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Money(Protocol):
    """What moved in one currency, in its smallest unit."""

    @property
    def charged(self) -> int: ...
    @property
    def refunded(self) -> int: ...
    @property
    def shipped(self) -> int: ...


class Audit(Protocol):
    """What the sample's audit found: see `samples/orders/audit.py`."""

    @property
    def read(self) -> int: ...
    @property
    def bad(self) -> Mapping[str, int]: ...
    @property
    def ended(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def ended_once(self) -> int: ...
    @property
    def charged(self) -> int: ...
    @property
    def charged_twice(self) -> int: ...
    @property
    def charged_without_end(self) -> int: ...
    @property
    def cut_calls(self) -> int: ...
    @property
    def repeated_effects(self) -> int: ...
    @property
    def failed_calls(self) -> int: ...
    @property
    def money(self) -> Mapping[str, Money]: ...
    @property
    def problems(self) -> Sequence[str]: ...


class Ledger(Protocol):
    """The outside ledger."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...
    def close(self) -> None: ...


class Sample:
    """The parts of the sample that the demo uses. Its modules are ordinary top-level ones, as a user's would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if str(folder) not in sys.path:
            sys.path.insert(
                0, str(folder)
            )  # first: the folder that the user stands in may hold modules of the same names
        orders, ledger, feed, audit = (importlib.import_module(name) for name in ("orders", "ledger", "feed", "audit"))
        self.is_order: Callable[[object], bool] = lambda entry: isinstance(entry, orders.Order)
        self.read_orders: Callable[..., Iterator[Any]] = orders.read_orders
        self.open_ledger: Callable[[Path], Ledger] = ledger.Ledger
        self.feed: Callable[..., Awaitable[dict[str, Outcome]]] = feed.feed
        self.audit: Callable[[Ledger, Sequence[Any], Mapping[str, Outcome]], Audit] = audit.audit


def find_sample() -> Path:
    """Return the folder of the sample shop. Raises `click.ClickException` if it was not installed."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_samples" / "orders", package.parent / "samples" / "orders"):
        if (folder / "orders.jsonl").is_file():
            return folder
    raise click.ClickException(f"the sample orders are missing from this installation (looked in and beside {package})")
