"""Values as they are written on a command line."""

import inspect
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from .._clock import SystemClock
from .._duration import seconds
from ..errors import DecodeError

if TYPE_CHECKING:
    from ..author import Workflow


def value_of(text: str) -> Any:
    """Return `text` as JSON if it is JSON, else as it stands: `42` is a number, `'"42"'` and `blue` are text."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def arguments_of(workflow: "Workflow[..., Any]", texts: Sequence[str]) -> list[Any]:
    """Return the positional arguments of `workflow`, each by its declared type.

    Raises `click.UsageError` if their number is wrong or one does not fit its type.
    """
    parameters = [*workflow.signature.hints.parameters.values()]
    try:
        bound = inspect.Signature([p.replace(annotation=p.empty) for p, _ in parameters]).bind(*texts)
    except TypeError as error:
        declared = ", ".join(str(p) for p, _ in parameters)
        raise click.UsageError(f"{workflow.name}({declared}): {error}") from None
    hints = {p.name: hint for p, hint in parameters}
    values: list[Any] = []
    for parameter, _ in parameters:
        if parameter.name in bound.arguments:
            given = bound.arguments[parameter.name]
            every = given if parameter.kind is parameter.VAR_POSITIONAL else [given]
            values += [typed(text, hints[parameter.name], f"argument {parameter.name!r}") for text in every]
    return values


def message_value(message: object, name: str, text: str | None) -> list[Any]:
    """Return the value of a signal or update as the arguments that `Handle.signal` and `update` take after it.

    `message` is the contract, whose type the text must fit, or only its name: then the text must be JSON, since nothing says
    whether `yes` is meant as text. Raises `click.UsageError` if it is not.
    """
    if text is None:
        return []
    if not isinstance(message, str):
        return [typed(text, getattr(message, "type", Any), f"the value of {name}")]
    try:
        return [json.loads(text, parse_constant=_refuse_constant)]
    except ValueError:
        raise click.UsageError(
            f"the value of {name} is not JSON: {text!r}; quote text twice, as '{json.dumps(text)}', or name the "
            f"object as MODULE:NAME, and its declared type says what is meant"
        ) from None


def moment_of(text: str) -> datetime:
    """Return a moment: an ISO date or time (local unless it says its zone), or how long ago ("2 hours").

    Raises `click.BadParameter` if it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            ago = timedelta(seconds=seconds(text))
        except ValueError:
            raise click.BadParameter(
                f'expected a date, a time, or how long ago, like "2026-01-31" or "2 hours", got {text!r}'
            ) from None
        return datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC) - ago
    return moment.astimezone()


def duration(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """Return an option's value in seconds: a number of them, or text like "2 days". For `click.option(callback=...)`."""
    if text is None:
        return None
    try:
        return float(text) if text.strip().replace(".", "", 1).isdecimal() else seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def typed(text: str, hint: Any, what: str) -> Any:
    """Return `text` as a value of type `hint`: as JSON, else as text, since a text like 42 is JSON of another type."""
    from ..codec import JsonCodec, Payload

    forms = [json.dumps(value_of(text)), json.dumps(text)]
    first: DecodeError | None = None
    for form in forms:
        try:
            return JsonCodec().decode(Payload(form.encode()), hint, what=what)
        except DecodeError as error:
            first = first or error
    raise click.UsageError(f"{first}; got {text!r}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
