"""How data is printed: as one JSON document, or for people."""

import base64
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ..errors import DurableError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from durable import RunDescription


def print_json(value: object) -> None:
    """Print `value` as one JSON document."""
    click.echo(as_json(value))


def as_json(value: object, *, indent: bool = True) -> str:
    """Return any value as JSON; what JSON does not know becomes text."""
    import orjson

    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, default=_plain, option=options).decode()


def _plain(value: Any) -> object:
    import msgspec

    kind: type[Any] = value.__class__
    if issubclass(kind, msgspec.Raw):
        return msgspec.json.decode(value)
    if issubclass(kind, msgspec.Struct):
        return msgspec.json.decode(msgspec.json.encode(value))
    if hasattr(kind, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if hasattr(kind, "__attrs_attrs__"):
        return {attribute.name: getattr(value, attribute.name) for attribute in value.__attrs_attrs__}
    if issubclass(kind, bytes):
        return base64.b64encode(value).decode()
    if issubclass(kind, timedelta):
        return value.total_seconds()
    if issubclass(kind, Mapping):
        return dict(value)
    if issubclass(kind, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def fields(value: Any) -> dict[str, object]:
    """Return the fields of a dataclass instance by name, as they are."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def run_fields(run: "RunDescription") -> dict[str, object]:
    """Return a run as data; a value of its memo that this program cannot read is told by its error."""
    return {**fields(run), "memo": dict(memo_items(run))}


def memo_items(run: "RunDescription") -> Iterator[tuple[str, object]]:
    """Yield the names and values of a run's memo."""
    for name in run.memo:
        try:
            yield name, run.memo[name]
        except DurableError as error:
            yield name, f"<{error}>"


def console() -> "Console":
    """Return a console on standard output. Into a pipe it prints plain, unwrapped lines."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def terminal_columns() -> int | None:
    """Return how wide the terminal is; None if standard output is none, and lines may be as long as they are."""
    return console().width if sys.stdout.isatty() else None


def table(*columns: str) -> "Table":
    """Return an empty table in the style of all our tables."""
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def print_table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]", *, empty: str) -> None:
    """Print a table; if there are no rows, print `empty` to standard error. Into a pipe each row is one line."""
    from rich.text import Text

    every = list(rows)
    if not every:
        click.echo(empty, err=True)
    elif sys.stdout.isatty():
        result = table(*columns)
        for row in every:
            result.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        console().print(result)
    else:
        _print_plain(columns, [[" ".join(str(cell).split()) for cell in row] for row in every])


def _print_plain(columns: Sequence[str], rows: "Sequence[Sequence[str]]") -> None:
    """Print a table for programs such as `grep`: no folded cell, nothing behind the last one. It is quick at any length."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [columns, *rows]
    padded = [
        "   ".join(cell + " " * (w - cell_len(cell)) for cell, w in zip(line, widths, strict=True)) for line in lines
    ]
    padded.insert(1, "─" * (sum(widths) + 3 * (len(widths) - 1)))
    click.echo("".join(f"\n {line.rstrip()}" for line in padded).removeprefix("\n") + "\n")


def when(moment: datetime | None) -> str:
    """Return a moment as people read it, in local time."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def when_ms(at_ms: int) -> str:
    """Return a moment given in ms since the epoch as people read it, in local time, with its milliseconds."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S.") + f"{at_ms % 1000:03d}"


def span(ms: int) -> str:
    """Return a duration in ms as people read it: "340 ms", "12.5 s", "3 h 5 min", "2 d 1 h"."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, hours, days = ms // 60_000 % 60, ms // 3_600_000 % 24, ms // 86_400_000
    units = [f"{days} d" * bool(days), f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)]
    return " ".join([unit for unit in units if unit][:2])


def short(text: str, width: int = 100) -> str:
    """Return `text` on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
