"""`durable prune`: remove closed runs that are old enough, by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._exit import FAILED, OK
from ._filters import STATUSES
from ._output import fields, print_json
from ._progress import progress
from ._settings import Settings, json_option, store_option
from ._values import duration

if TYPE_CHECKING:
    from durable import Client, Pruned

    from ..stores import Space


@click.command("prune")
@click.option(
    "--older-than", required=True, metavar="AGE", callback=duration, help='Closed so long ago: "30 days", "12 hours".'
)
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option(
    "--status", type=click.Choice([each for each in STATUSES if each != "running"]), help="Only runs that ended so."
)
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write each history to a file there before its run is removed; for `durable replay`.",
)
@click.option("--gzip", "compress", is_flag=True, help="Compress these files.")
@click.option("--dry-run", is_flag=True, help="Only count what would be removed.")
@click.option("--vacuum", is_flag=True, help="Give the space back to the disk at the end. Workers wait meanwhile.")
@store_option
@json_option
@click.pass_obj
def prune_command(
    settings: Settings,
    /,
    older_than: float,
    workflow: str | None,
    status: Any,
    archive: Path | None,
    compress: bool,
    dry_run: bool,
    vacuum: bool,
    as_json: bool,
) -> int:
    """Remove closed runs that are old enough: their records and histories.

    Works with and without workers, and goes by --older-than alone: the retention that a workflow or a worker asks for, "forever" too,
    counts for nothing here. An open run is never removed, nor a child whose parent still needs it. Exit code 1: some
    runs could not be archived, and are kept.
    """
    if compress and archive is None:
        raise click.UsageError("--gzip goes with --archive")
    if dry_run and vacuum:
        raise click.UsageError("--vacuum does not go with --dry-run")

    async def work(client: "Client") -> "tuple[Pruned, Space | None]":
        from durable import FolderArchive

        from ..stores import compact

        options: dict[str, Any] = {"older_than": older_than, "workflow": workflow, "status": status}
        with progress("removing") as show:
            total = 0
            if not dry_run:  # what it counts is little work beside what is done then, and gives the bar its end
                total = (await client.prune(**options, dry_run=True)).runs

            def moved(runs: int) -> None:
                return show(runs, max(runs, total))

            pruned = await client.prune(
                **options,
                archive=None if archive is None else FolderArchive(archive, compress=compress),
                dry_run=dry_run,
                on_progress=moved,
            )
        return pruned, await compact(client.store) if vacuum else None

    pruned, space = settings.with_client(work)
    if as_json:
        print_json({**fields(pruned), "dry_run": dry_run, "space": None if space is None else fields(space)})
    else:
        _print(pruned, space, dry_run=dry_run, vacuum=vacuum)
    return FAILED if pruned.failed else OK


def _print(pruned: "Pruned", space: "Space | None", *, dry_run: bool, vacuum: bool) -> None:
    for name, runs in sorted(pruned.by_workflow.items()):
        click.echo(f"{runs:>8,}  {name}")
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{pruned.runs:,} closed runs with {pruned.events:,} events {verb}", err=True)
    if pruned.needed:
        click.echo(f"{pruned.needed:,} kept: their parents have not recorded how they ended", err=True)
    if pruned.failed:
        click.echo(f"{pruned.failed:,} kept: they could not be read or archived; see the log above", err=True)
    if pruned.busy:
        click.echo(f"{pruned.busy} partitions passed over: workers remove old runs there; try again later", err=True)
    if space is not None:
        click.echo(
            f"the store takes {space.after / 1e6:,.1f} MB on disk now, and took {space.before / 1e6:,.1f} MB", err=True
        )
    elif vacuum:
        click.echo("this store has nothing to give back", err=True)
