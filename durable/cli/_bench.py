"""`durable bench`: how quick a store is under this package, beside how quick it is on its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ._output import as_json as as_json_text
from ._output import print_table
from ._progress import progress
from ._settings import Settings, store_option

if TYPE_CHECKING:
    from .._clock import Clock
    from ..testing.benchmark import Figure, Line, Part, Place

NAMES = ("W1", "W2", "W3", "W4", "W5", "W6")
_COLUMNS = ("", "workload", "figure", "result", "floor", "of the floor", "CPU µs each")


@click.command("bench")
@click.argument("names", nargs=-1, metavar="[WORKLOAD]...", type=click.Choice(NAMES, case_sensitive=False))
@click.option("--passes", default=3, show_default=True, type=click.IntRange(min=1), help="Print the median of so many.")
@click.option("--full", is_flag=True, help="Four times as much work in each pass.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on each line, for each figure.")
@store_option
@click.pass_obj
def bench_command(settings: Settings, names: Sequence[str], passes: int, full: bool, as_json: bool) -> None:
    """Measure how quick a store is.

    Runs workloads that do nothing (all of W1 to W6, or the named ones) with one worker, on a new file in the folder of
    the store or in a new namespace on its server; the store itself is not touched, and nothing is left. Beside each figure is
    the floor: the same rows or entries written with nothing around them.

    W1 one activity, 200 runs at once. W2 chains of 10, 50 runs at once. W3 100 activities at once, in 5 runs. W4 one run
    at a time. W5 one long run. W6 signals.
    """
    from .._clock import SystemClock
    from ..testing.benchmark import IN_ONE_PROCESS, place_of

    wanted = {name.upper() for name in names} or set(NAMES)
    workloads = [each for each in IN_ONE_PROCESS if each.name in wanted]
    parts = [(each.name, part) for each in workloads for part in each.parts("full" if full else "quick")]
    clock = SystemClock()
    place = place_of(settings.store, clock)
    try:
        lines = _measured(parts, place, clock, passes, settings.shown_store)
    finally:
        place.close()
    if as_json:
        for line in lines:
            click.echo(as_json_text(line.as_data(), indent=False))
        return
    titles = {each.name: each.title for each in workloads}
    print_table(_COLUMNS, [_row(line, titles[line.workload]) for line in lines], empty="nothing was measured")


def _measured(
    parts: "Sequence[tuple[str, Part]]", place: "Place", clock: "Clock", passes: int, store: str
) -> "list[Line]":
    from ..testing.benchmark import lines_of, one_pass

    lines: list[Line] = []
    with progress("measuring") as advance:
        for number, (name, part) in enumerate(parts):
            figures: list[Sequence[Figure]] = []
            for turn in range(passes):
                advance(number * passes + turn, len(parts) * passes)
                figures.append(one_pass(part, place, clock))
            lines += lines_of(name, store, figures)
    return lines


def _row(line: "Line", title: str) -> tuple[str, ...]:
    from ..testing.benchmark import number

    figure = ", ".join(filter(None, (line.part, line.figure)))
    floor = f"{number(line.floor)} {line.unit}" if line.floor is not None else ""
    return (line.workload, title, figure, f"{number(line.value)} {line.unit}", floor, line.shown_ratio, line.shown_cpu)
