"""`durable export`: histories as JSON lines, the records as they are stored."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._exit import OK
from ._filters import filter_options
from ._progress import progress
from ._settings import Settings, run_option, store_option

if TYPE_CHECKING:
    from durable import Client, RunDescription


@click.command("export")
@click.argument("workflow_ids", nargs=-1, metavar="[ID]...")
@run_option
@filter_options
@click.option(
    "--limit", default=1_000, show_default=True, type=click.IntRange(min=1), help="At most so many, newest first."
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write one file for each run there, not to standard output.",
)
@store_option
@click.pass_obj
def export_command(
    settings: Settings,
    /,
    workflow_ids: Sequence[str],
    run_id: str | None,
    limit: int,
    folder: Path | None,
    **filters: Any,
) -> int:
    """Export histories as JSON lines: one event a line, as it is stored; for `durable replay`.

    Exports the latest runs of each ID, or all runs that match the options.
    """
    if workflow_ids and any(value is not None for value in filters.values()):
        raise click.UsageError("either name the runs by their ids, or pick them by the options, not both")
    if run_id is not None and len(workflow_ids) != 1:
        raise click.UsageError("--run needs the one ID that it is a run of")

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)

    async def export(client: "Client") -> tuple[int, int]:
        if workflow_ids:
            runs = [await client.handle(each, run_id).describe() for each in workflow_ids]
        else:
            runs = await client.list(limit=limit, **filters)
        with progress("exporting") as show:
            return await _write_all(client, runs, folder, show)

    found, empty = settings.with_client(export)
    where = f" to {folder}" if folder is not None else ""
    begun = f"; {empty} that nobody has begun yet passed over" if empty else ""
    click.echo(f"{found} {'history' if found == 1 else 'histories'} exported{where}{begun}", err=True)
    if not workflow_ids and found + empty == limit:
        click.echo(f"only the newest {limit} are exported; --limit exports more", err=True)
    return OK


async def _write_all(
    client: "Client", runs: "Sequence[RunDescription]", folder: Path | None, show: Callable[[int, int], None]
) -> tuple[int, int]:
    """Write each run's history; return how many there were, and how many runs had none yet."""
    from .._retention import history_file, json_line

    found = empty = 0
    for number, run in enumerate(runs, 1):
        history = await client.handle(run.workflow_id, run.run_id).history()
        text = b"".join(json_line(event.record) for event in history)
        if not history:
            empty += 1
        elif folder is None:
            click.echo(text, nl=False)
        else:
            (folder / history_file(run.workflow_id, run.run_id)).write_bytes(text)
        found += bool(history)
        show(number, len(runs))
    return found, empty
