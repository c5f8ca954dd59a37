"""`durable versions` and `durable patches`: what open runs still need of the code."""

import click

from ._output import fields, print_json, print_table
from ._settings import Settings, json_option, store_option


@click.command("versions")
@click.option("--queue", help="Only versions on this task queue.")
@store_option
@json_option
@click.pass_obj
def versions_command(settings: Settings, queue: str | None, as_json: bool) -> None:
    """List versions of workflows, with their open runs.

    A pinned version with open runs and no worker is one whose workers went too early: start them again. One without open
    runs needs no workers any more.
    """
    uses = settings.with_client(lambda client: client.versions(queue=queue))
    if as_json:
        print_json([fields(use) for use in uses])
        return
    rows = [
        (
            use.queue,
            use.workflow,
            use.version or "",
            "yes" if use.pinned else "",
            str(use.open_runs),
            "yes" if use.served else "no",
        )
        for use in uses
    ]
    columns = ("queue", "workflow", "version", "pinned", "open runs", "served")
    print_table(columns, rows, empty="no open runs, and no workers")


@click.command("patches")
@click.option("--ids", is_flag=True, help="Name some of the runs.")
@store_option
@json_option
@click.pass_obj
def patches_command(settings: Settings, ids: bool, as_json: bool) -> None:
    """List patches that open runs have recorded.

    "patched" runs need the call of `patched` or `deprecate_patch`; "deprecated" ones need neither; those "without" may
    need the old way.
    """
    uses = settings.with_client(lambda client: client.patches())
    if as_json:
        print_json([fields(use) for use in uses])
        return
    columns = ["patch", "workflow", "patched", "deprecated", "without"]
    rows = [[use.patch, use.workflow, str(use.marked), str(use.deprecated), str(use.without)] for use in uses]
    if ids:
        columns += ["patched, for instance", "without, for instance"]
        rows = [
            [*row, ", ".join(use.marked_ids), ", ".join(use.without_ids)] for row, use in zip(rows, uses, strict=True)
        ]
    print_table(columns, rows, empty="no open run has recorded a patch")
