"""`durable list`: which runs there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ._filters import filter_options
from ._output import print_json, print_table, run_fields, short, terminal_columns, when
from ._settings import Settings, json_option, store_option

if TYPE_CHECKING:
    from durable import Client, RunDescription

COLORS = {
    "running": "cyan", "completed": "green", "failed": "red", "cancelled": "yellow", "terminated": "yellow",
    "timed_out": "red", "continued_as_new": "blue", "stuck": "magenta",
}  # fmt: skip

_COLUMNS = ("workflow id", "workflow", "status", "queue", "started", "closed")


@click.command("list")
@filter_options
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many, newest first."
)
@click.option("--before", metavar="RUN_ID", help="Only runs older than this one: the last of the page before.")
@click.option("--count", is_flag=True, help="Print how many there are of each status instead.")
@store_option
@json_option
@click.pass_obj
def list_command(
    settings: Settings, /, limit: int, before: str | None, count: bool, as_json: bool, **filters: Any
) -> None:
    """List runs, newest first."""
    if count:
        if before is not None:
            raise click.UsageError("--before is for pages of a list, and --count counts all")
        counts = settings.with_client(lambda client: client.count(**filters))
        _print_counts(counts, as_json=as_json)
        return
    runs = settings.with_client(lambda client: _list(client, limit, filters | {"before": before}))
    if as_json:
        print_json([run_fields(run) for run in runs])
        return
    rows = [_row(run) for run in runs]
    shown = _columns_that_fit(rows)
    print_table([_COLUMNS[n] for n in shown], [[row[n] for n in shown] for row in rows], empty="no runs found")
    if len(runs) == limit:
        click.echo(
            f"only the newest {limit} are shown; --limit shows more, --before {runs[-1].run_id} the next page", err=True
        )


async def _list(client: "Client", limit: int, filters: dict[str, Any]) -> "list[RunDescription]":
    return await client.list(limit=limit, **filters)


def _columns_that_fit(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """Return the columns that the terminal has room for: without the end, and the queue, rather than all of them folded."""
    width, shown = terminal_columns(), list(range(len(_COLUMNS)))
    needed = [max(len(str(cell)) for cell in column) for column in zip(_COLUMNS, *rows, strict=True)]
    for dropped in (_COLUMNS.index("closed"), _COLUMNS.index("queue")):
        if width is None or sum(needed[n] for n in shown) + 3 * len(shown) <= width:
            break
        shown.remove(dropped)
    return shown


def _row(run: "RunDescription") -> tuple[Any, ...]:
    return (
        short(run.workflow_id, 60),
        run.workflow,
        shown_status(run),
        run.queue,
        when(run.started_at),
        when(run.closed_at),
    )


def shown_status(run: "RunDescription") -> Any:
    """Return the status of a run in its color; a run that cannot go on says so."""
    from rich.text import Text

    text = f"{run.status} (stuck)" if run.stuck else run.status
    return Text(text, style=COLORS.get("stuck" if run.stuck else run.status, ""))


def _print_counts(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        rows = [(status, str(counts[status])) for status in sorted(counts)]
        print_table(("status", "runs"), rows, empty="no runs found")
