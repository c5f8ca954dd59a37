"""Attributes on the command line: conditions like `total>=5`, and values like `total=5`."""

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click

from ..errors import DurableError

if TYPE_CHECKING:
    from ..author import AttributeCondition

_CONDITION = re.compile(r"(?P<name>[\w.-]+)\s*(?:(?P<op>==|!=|<=|>=|\^=|~=|=|<|>)\s*(?P<value>.*))?", re.DOTALL)
_VALUE = re.compile(r"(?P<name>[^=]+)=(?P<value>.*)", re.DOTALL)
_OPS = {"==": "=", "^=": "prefix", "~=": "has"}
CONDITION_HELP = (
    "Only runs whose attribute fits: NAME=VALUE, with != < <= > >= as well, NAME^=TEXT (begins with), NAME~=TEXT (the list has "
    "it), or NAME (there is one). A number is one, '\"5\"' is text. May be given several times."
)


def conditions_of(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> Any:
    """Return the conditions that `texts` say, or None if there are none. For `click.option(callback=...)`."""
    return [_condition(text) for text in texts] or None


def attributes_of(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[Any, Any]:
    """Return the attributes that `texts` set, each NAME=VALUE: of the type that VALUE has as JSON, else text, or a time."""
    from ..author import Attribute

    result: dict[Any, Any] = {}
    for text in texts:
        name, value = _named(text)
        kind = cast("Any", list[str] if isinstance(value, list) else type(value))
        try:
            result[Attribute(name, kind)] = value
        except DurableError as error:
            raise click.BadParameter(f"{text!r}: {error}") from None
    return result


def memo_of(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    """Return the memo that `texts` make, each NAME=VALUE: JSON, else text."""
    from ._values import value_of

    result: dict[str, Any] = {}
    for text in texts:
        if (match := _VALUE.fullmatch(text)) is None:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}")
        result[match["name"]] = value_of(match["value"])
    return result


def _condition(text: str) -> "AttributeCondition":
    from ..author import AttributeCondition, stored_moment

    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"expected a condition like total>=5, customer=ada or tags~=urgent, got {text!r}")
    if match["op"] is None:
        return AttributeCondition(match["name"], "exists")
    op = _OPS.get(match["op"], match["op"])
    if op in ("prefix", "has"):
        return AttributeCondition(match["name"], op, _plain_text(match["value"]))
    value = _typed(match["value"])
    if isinstance(value, datetime):
        value = stored_moment(value)
    if isinstance(value, list):
        raise click.BadParameter(f"{text!r}: of a list, ask what it has, like {match['name']}~=urgent")
    if isinstance(value, bool) and op not in ("=", "!="):
        raise click.BadParameter(f"{text!r}: {value} is compared by = and != only")
    return AttributeCondition(match["name"], op, value)


def _named(text: str) -> tuple[str, Any]:
    match = _VALUE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"expected NAME=VALUE, got {text!r}")
    return match["name"].strip(), _typed(match["value"])


def _typed(text: str) -> Any:
    """Return a value as it is written: JSON of a kind that an attribute may have, a time with its zone, else text."""
    try:
        value = json.loads(text)
    except ValueError:
        return _moment(text)
    if isinstance(value, str | bool | int | float) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)  # pyright: ignore[reportUnknownVariableType]
    ):
        return value  # pyright: ignore[reportUnknownVariableType]
    return text


def _moment(text: str) -> datetime | str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if moment.tzinfo is None else moment


def _plain_text(text: str) -> str:
    value = _typed(text)
    return value if isinstance(value, str) else text
