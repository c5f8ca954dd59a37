"""The options that pick runs, shared by the commands that read several of them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from ._conditions import CONDITION_HELP, conditions_of
from ._values import moment_of

F = TypeVar("F", bound=Callable[..., Any])

STATUSES = ("running", "completed", "failed", "cancelled", "terminated", "timed_out", "continued_as_new")


def _moment(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    return None if value is None else moment_of(value)


def filter_options(command: F) -> F:
    """Add the options that `Client.list` knows, but for `limit` and `before`: `workflow`, `status`, `id_prefix`, the times, `stuck`, `attributes`."""
    for option in reversed(
        (
            click.option("--workflow", metavar="NAME", help="Only runs of this workflow."),
            click.option("--status", type=click.Choice(STATUSES), help="Only runs in this state."),
            click.option("--prefix", "id_prefix", metavar="TEXT", help="Only workflow ids that begin with this."),
            click.option(
                "--since",
                "started_after",
                metavar="WHEN",
                callback=_moment,
                help='A date, a time, or an age ("2 hours").',
            ),
            click.option(
                "--until", "started_before", metavar="WHEN", callback=_moment, help="The same, for the latest start."
            ),
            click.option(
                "--attribute",
                "attributes",
                multiple=True,
                metavar="CONDITION",
                callback=conditions_of,
                help=CONDITION_HELP,
            ),
            click.option(
                "--stuck/--not-stuck", default=None, help="Only runs that cannot go on, or only those that can."
            ),
        )
    ):
        command = option(command)
    return command
