"""`durable doctor`: whether all is well, and what to do if not."""

from typing import TYPE_CHECKING, Any

import click

from ._exit import FAILED, OK
from ._output import console, fields, print_json, print_table, span
from ._settings import Settings, json_option, store_option

if TYPE_CHECKING:
    from durable import Finding, Health

_MARKS = {"ok": ("✓", "green"), "note": ("·", "dim"), "warning": ("!", "yellow"), "problem": ("✗", "bold red")}


@click.command("doctor")
@store_option
@json_option
@click.pass_obj
def doctor_command(settings: Settings, as_json: bool) -> int:
    """Look whether all is well, and say what to do.

    Looks at the store, the owners of its partitions and how far behind they are, live workers, stuck runs, parked tasks, and
    what no worker knows. Reads only. Exit code 1: something needs attention.
    """
    health = settings.with_client(lambda client: client.health())
    if as_json:
        print_json(_as_data(health))
    else:
        _print(health)
    return OK if health.ok else FAILED


def _as_data(health: "Health") -> dict[str, Any]:
    return {
        "ok": health.ok,
        **fields(health),
        "workers": [fields(worker) for worker in health.workers],
        "partitions": [fields(partition) for partition in health.partitions],
        "findings": [fields(finding) for finding in health.findings],
    }


def _print(health: "Health") -> None:
    from rich.text import Text

    out = console()
    runs = ", ".join(f"{count:,} {status}" for status, count in sorted(health.runs.items())) or "none"
    out.print(Text.assemble((health.store, "bold"), f", {health.partitions_total} partitions; runs: {runs}"))
    rows = [
        (worker.name, worker.queue, ", ".join(worker.workflows), ", ".join(worker.activities), ", ".join(worker.lacks))
        for worker in health.workers
    ]
    print_table(("worker", "queue", "workflows", "activities", "lacks"), rows, empty="no worker is running")
    behind = [
        (
            each.inbox,
            str(each.partition),
            each.owner or "nobody",
            "?" if each.unread_ms is None else span(each.unread_ms) if each.unread_ms else "",
            span(each.overdue_ms) if each.overdue_ms else "",
        )
        for each in health.partitions
    ]
    if behind:
        print_table(("queue", "partition", "owner", "oldest unread", "overdue"), behind, empty="")
    for finding in health.findings:
        out.print(_line(finding))


def _line(finding: "Finding") -> Any:
    from rich.text import Text

    mark, style = _MARKS[finding.level]
    text = Text.assemble((f"{mark} ", style), (f"{finding.check}: ", "bold"), finding.what)
    return text.append(f"\n    {finding.advice}", "dim") if finding.advice else text
