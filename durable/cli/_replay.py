"""`durable replay`: histories against the code as it is now."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._exit import FAILED, OK
from ._filters import filter_options
from ._find import served_by
from ._output import console, print_json, print_table
from ._progress import progress
from ._settings import Settings, json_option, store_option

if TYPE_CHECKING:
    from durable import Client

    from ..testing import ReplayResult

_SHOWN_MAX = 20  # differences; runs that differ in the same way are one
_IDS_MAX = 3  # of the runs that are alike
_SEEDS_MAX = 64  # each is a process, and two already find most


@click.command("replay")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[FILE_OR_FOLDER]...")
@click.option(
    "--module",
    "modules",
    multiple=True,
    required=True,
    metavar="MODULE[:NAME]",
    help="Where the workflows are. May be given several times.",
)
@click.option(
    "--hash-seeds",
    default=0,
    type=click.IntRange(0, _SEEDS_MAX),
    metavar="N",
    help="Replay in N processes of different hash seeds as well: finds what depends on the order of a set.",
)
@filter_options
@click.option(
    "--limit", default=1_000, show_default=True, type=click.IntRange(min=1), help="At most so many, newest first."
)
@click.option("-v", "--verbose", is_flag=True, help="Show values that have changed as well, which a replay allows.")
@store_option
@json_option
@click.pass_obj
def replay_command(
    settings: Settings,
    /,
    paths: Sequence[Path],
    modules: Sequence[str],
    hash_seeds: int,
    limit: int,
    verbose: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Replay histories with the code as it is now, and show where it does not follow them.

    Replays the files that `durable export` wrote, or without any the runs in the store that match the options. Reads
    only: no activity runs, nothing is written. Exit code 1: at least one run would be stuck with this code.
    """
    if paths and any(value is not None for value in filters.values()):
        raise click.UsageError("options like --status pick runs of a store; they do not go with files")
    workflows = [workflow for module in modules for workflow in served_by(module).workflows]
    if not workflows:
        raise click.UsageError(f"there is no workflow in {', '.join(modules)}")
    seeds = range(hash_seeds)
    if paths:
        results = _of_files(workflows, paths, seeds)
    else:
        results = _of_store(settings, workflows, seeds, {"limit": limit, **filters})
        if len(results) == limit:
            click.echo(f"only the newest {limit} are replayed; --limit replays more", err=True)
    if as_json:
        print_json({"ok": all(results), "runs": [_as_data(result) for result in results]})
    else:
        _print(results, verbose=verbose)
    return OK if all(results) else FAILED


def _of_files(workflows: Sequence[Any], paths: Sequence[Path], seeds: range) -> "list[ReplayResult]":
    from ..errors import InvalidCallError
    from ..testing import replay_files

    try:
        with progress("replaying") as show:
            return replay_files(workflows, paths, hash_seeds=seeds, on_progress=show)
    except InvalidCallError as error:  # a path without a history: a gate that checks nothing must not be open
        raise click.UsageError(str(error)) from None


def _of_store(
    settings: Settings, workflows: Sequence[Any], seeds: range, filters: dict[str, Any]
) -> "list[ReplayResult]":
    from ..testing import replay_all

    wanted = filters.pop("workflow")
    chosen = [workflow for workflow in workflows if wanted in (None, workflow.name)]
    if not chosen:
        names = ", ".join(sorted(workflow.name for workflow in workflows))
        raise click.UsageError(f"no workflow is named {wanted!r}; there are: {names}")
    limit = filters.pop("limit")

    async def all_of(client: "Client") -> "tuple[list[ReplayResult], int]":
        results = await replay_all(chosen, client, hash_seeds=seeds, limit=limit, on_progress=show, **filters)
        there = sum((await client.count(workflow=wanted, **filters)).values())
        names = {workflow.name for workflow in chosen}  # several versions may have one
        known = [sum((await client.count(workflow=name, **filters)).values()) for name in names]
        return results, there - sum(known)

    with progress("replaying") as show:
        results, others = settings.with_client(all_of)
    if others > 0:
        click.echo(f"{others} more runs are of workflows that are not in the named modules: passed over", err=True)
    return results


def _as_data(result: "ReplayResult") -> dict[str, Any]:
    import dataclasses

    return {"ok": result.ok, **dataclasses.asdict(result)}


def _print(results: "Sequence[ReplayResult]", *, verbose: bool) -> None:
    from rich.text import Text

    differing = [result for result in results if not result.ok]
    runs, bad, events = (Counter[str]() for _ in range(3))
    for result in results:
        runs[result.workflow] += 1
        events[result.workflow] += result.events
        bad[result.workflow] += not result.ok
    rows = [
        (
            name or "(unknown)",
            str(runs[name]),
            f"{events[name]:,}",
            Text(str(runs[name] - bad[name]), style="green"),
            Text(str(bad[name]), style="bold red" if bad[name] else "dim"),
        )
        for name in sorted(runs)
    ]
    print_table(("workflow", "runs", "events", "replay", "differ"), rows, empty="no runs found")
    alike: dict[object, list[ReplayResult]] = {}
    for result in differing:
        alike.setdefault(_kind_of(result), []).append(result)
    for same in list(alike.values())[:_SHOWN_MAX]:
        _print_difference(same)
    if len(alike) > _SHOWN_MAX:
        click.echo(f"and {len(alike) - _SHOWN_MAX} more differences; --json lists all", err=True)
    _print_drift(results, verbose=verbose)


def _kind_of(result: "ReplayResult") -> object:
    """What makes two differences alike: the same of both sides at the same line, whatever the numbers."""
    found = result.divergence
    assert found is not None
    said = (found.history, found.code or found.error) if found.kind != "unreadable" else (result.source, result.run_id)
    return (
        result.workflow,
        found.kind,
        *(re.sub(r"\b[0-9a-z]{26}\b|\(#\d+\)", "", text) for text in said),
        found.where,
    )


def _print_difference(same: "Sequence[ReplayResult]") -> None:
    from rich.text import Text

    first = same[0]
    assert first.divergence is not None
    title, *lines = str(first.divergence).splitlines()
    title = title.removesuffix(":")
    run = first.workflow_id or first.source
    out = console()
    more = f" and {len(same) - 1:,} more alike" if len(same) > 1 else ""
    out.print(Text.assemble(("✗ ", "bold red"), (run, "bold"), f" {first.workflow}  ", (title, "red"), (more, "red")))
    if first.source and first.workflow_id:
        out.print(Text(f"  file: {first.source}", style="dim"))
    for line in lines:
        label, colon, text = line.partition(": ")
        out.print(Text.assemble((label + colon, "dim"), (text, "green" if "history" in label else "")))
    if others := [one.workflow_id or one.source for one in same[1 : 1 + _IDS_MAX]]:
        out.print(Text(f"  alike: {', '.join(others)}{', …' if len(same) > 1 + _IDS_MAX else ''}", style="dim"))
    out.print()


def _print_drift(results: "Sequence[ReplayResult]", *, verbose: bool) -> None:
    changed = [(result, drift) for result in results for drift in result.drift]
    if not changed:
        return
    if verbose:
        rows = [
            (result.workflow_id, str(drift.seq), drift.what, drift.history, drift.code) for result, drift in changed
        ]
        print_table(("workflow id", "event", "values that have changed", "was", "is"), rows, empty="")
    else:
        runs = len({result.run_id for result, _ in changed})
        click.echo(
            f"{len(changed)} values have changed in {runs} run(s), which a replay allows; --verbose shows them",
            err=True,
        )
