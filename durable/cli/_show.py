"""`durable show`: one run as a readable timeline, with what is pending and why it waits."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from .._clock import SystemClock
from .._ids import checked_workflow_id
from ..errors import HistoryError
from ._output import as_json as value_as_json
from ._output import console, fields, memo_items, print_json, print_table, run_fields, short, span, when, when_ms
from ._settings import Settings, json_option, run_option, store_option
from ._timeline import Pending, Timeline, timeline_of, why_waiting

if TYPE_CHECKING:
    from durable import Client, RunDescription

    from ..client._asking import Handlers

_FIRST_SHOWN = 5  # events before the gap: how the run began
_LONG = 500  # a timeline of more lines is cut on a terminal, where the beginning would scroll away
_LAST_SHOWN = 100  # and this much of its end is left
_STYLES = {"good": "green", "bad": "red", "quiet": "dim"}


@dataclass(slots=True)
class _Loaded:
    """A run, its events as data, its activities that are parked, and the workers that are not there for it.

    `unread` says why there are no events.
    """

    run: "RunDescription"
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])
    timeline: Timeline = field(default_factory=Timeline)
    parked: list[str] = field(default_factory=list[str])
    absent: list[str] = field(default_factory=list[str])
    unread: str = ""
    takes: "Handlers | None" = None  # only if its worker was asked, and has answered


@click.command("show")
@click.argument("workflow_id", metavar="ID")
@run_option
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Of the history, show the first {_FIRST_SHOWN} events and the last N. On a terminal, one of over {_LONG} events is "
    f"cut to the last {_LAST_SHOWN} unless this is given. JSON has all of it.",
)
@click.option("--handlers", is_flag=True, help="Ask its worker which signals, queries and updates it takes now.")
@store_option
@json_option
@click.pass_obj
def show_command(
    settings: Settings, workflow_id: str, run_id: str | None, last: int | None, handlers: bool, as_json: bool
) -> None:
    """Show a run: its history, its pending activities, and why it waits."""
    loaded = settings.with_client(lambda client: _load(client, workflow_id, run_id, asks=handlers))
    run, timeline = loaded.run, loaded.timeline
    now_ms = SystemClock().now_ms()
    why = why_waiting(timeline, run.status, run.stuck, loaded.parked, loaded.absent, now_ms=now_ms)
    if as_json:
        print_json(
            {
                "run": run_fields(run),
                "why": why,
                "pending": [fields(pending) for pending in timeline.pending],
                "history": [{"seq": seq, **event} for seq, event in loaded.events],
                "unread": loaded.unread,
                **({"handlers": loaded.takes and asdict(loaded.takes)} if handlers else {}),
            }
        )
        return
    _print_run(run, why, _takes(loaded.takes) if handlers else [])
    if loaded.unread:
        click.secho(f"the history cannot be read: {loaded.unread}", fg="red", err=True)
    else:
        _print_lines(timeline, last)
    _print_pending(timeline.pending)


async def _load(client: "Client", workflow_id: str, run_id: str | None, *, asks: bool) -> _Loaded:
    from ..client._around import Around
    from ..client._asking import handlers_of
    from ..client._line import Line
    from ..client._offers import absent_workers

    handle = client.handle(workflow_id, run_id)
    run = await handle.describe()
    loaded = _Loaded(run)
    try:
        # As the events were stored, with the fields that this version does not know.
        loaded.events = [(one.seq, json.loads(one.record)) for one in await handle.history()]
    except HistoryError as error:
        loaded.unread = str(error)
    loaded.timeline = timeline_of(loaded.events)
    if run.status == "running":
        loaded.parked = [task.activity for task in await client.parked.list(workflow_id=run.workflow_id)]
        pending = [(one.queue, one.activity) for one in loaded.timeline.pending if one.activity and not one.local]
        loaded.absent = await absent_workers(
            client.store, run.queue, run.workflow, pending, pinned=run.version if run.pinned else None
        )
    if asks:
        line = Line(client.store, client.codec, checked_workflow_id(run.workflow_id), Around())
        loaded.takes = await handlers_of(line, await line.document(run.run_id))
    return loaded


def _takes(handlers: "Handlers | None") -> list[str]:
    """Return what the run takes, a line for each kind."""
    if handlers is None:
        return ["no worker said what it takes"]
    named = {"signals": handlers.signals, "queries": handlers.queries, "updates": handlers.updates}
    lines = [
        f"takes {kind} {', '.join(names).replace('*', 'of any other name')}" for kind, names in named.items() if names
    ]
    return lines or ["takes no signals, queries or updates now"]


def _print_run(run: "RunDescription", why: str, takes: Sequence[str]) -> None:
    from rich.text import Text

    from ._list import shown_status

    out = console()
    out.print(Text.assemble((run.workflow_id, "bold"), f"  {run.workflow}  ", shown_status(run)))
    closed = ""
    if run.closed_at is not None:
        took = round((run.closed_at - run.started_at).total_seconds() * 1000)
        closed = f", closed {when(run.closed_at)} after {span(took)}"
    version = f", {'pinned to ' * run.pinned}version {run.version}" if run.version else ""
    parent = f", child of {run.parent.workflow_id}" if run.parent is not None else ""
    times = f"started {when(run.started_at)}{closed}{parent}"
    out.print(Text(f"run {run.run_id} on queue {run.queue}{version}, {times}", style="dim"))
    for line in [*_origins(run), *_told(run), *takes]:
        out.print(Text(line, style="dim"))
    if run.status == "running":
        out.print(Text(why, style="magenta" if run.stuck else "cyan"))
    out.print()


def _origins(run: "RunDescription") -> list[str]:
    """Return where the run comes from, other than from its own start."""
    lines: list[str] = []
    if run.forked_from is not None:
        source = run.forked_from
        lines.append(f"forked from {source.workflow_id} (run {source.run_id}) after its event {source.event}")
    if run.retried_at is not None:
        times = "once" if run.retries == 1 else f"{run.retries} times, the last time"
        lines.append(f"reopened {times} {when(run.retried_at)}")
    return lines


def _told(run: "RunDescription") -> list[str]:
    """Return the run's attributes and memo, a line each."""
    lines: list[str] = []
    for what, items in (("attributes", run.attributes.items()), ("memo", memo_items(run))):
        told = ", ".join(f"{name}={_value(value)}" for name, value in items)
        if told:
            lines.append(f"{what}: {told}")
    return lines


def _value(value: object) -> str:
    return value if isinstance(value, str) else short(value_as_json(value, indent=False))


def _print_lines(timeline: Timeline, last: int | None) -> None:
    from rich.text import Text

    previous = timeline.lines[0].at_ms if timeline.lines else 0
    rows: list[tuple[Any, ...]] = []
    for line in timeline.lines:
        style = "strike dim" if line.voided else _STYLES.get(line.mood, "")
        passed = f"+{span(line.at_ms - previous)}" if line.at_ms > previous else ""
        rows.append((str(line.seq), when_ms(line.at_ms), passed, Text(line.what, style=style), line.detail))
        previous = line.at_ms
    print_table(("#", "time", "", "what", ""), _cut(rows, last), empty="no events yet")


def _cut(rows: list[tuple[Any, ...]], last: int | None) -> list[tuple[Any, ...]]:
    """Return the first rows and the last ones, with one between them that says how many were left out."""
    if last is None:
        if len(rows) <= _LONG or not sys.stdout.isatty():
            return rows
        last = _LAST_SHOWN
    left_out = len(rows) - _FIRST_SHOWN - last
    if left_out < 2:  # the line that says so would take the place of the one that it is about
        return rows
    told = f"{left_out:,} events left out; --last N shows the last N"
    return [*rows[:_FIRST_SHOWN], ("…", "", "", told, ""), *rows[-last:]]


def _print_pending(pending: Sequence[Pending]) -> None:
    activities = [one for one in pending if one.activity]
    if not activities:
        return
    rows = [
        (
            f"{one.activity} #{one.id}",
            one.queue,
            str(one.attempt),
            when_ms(one.due_ms) if one.due_ms else "",
            one.last_failure,
        )
        for one in activities
    ]
    print_table(("pending activity", "queue", "attempt", "due", "last failure"), rows, empty="")
