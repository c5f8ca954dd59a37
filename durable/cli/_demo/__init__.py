"""`durable demo`: a shop's orders on a SQLite file, a worker that is killed on the way, and the proof that nothing was lost."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from ._play import Play, State
from ._report import as_data, holds, show
from ._sample import Sample, find_sample
from ._screen import LiveScreen, PlainScreen
from ._stage import Stage

INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended


@click.command("demo")
@click.option("--orders", "lines", type=click.IntRange(min=1), metavar="N", help="Read the first N lines only.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep store and ledger in DIR."
)
@click.option(
    "--kills", type=click.IntRange(0, 20), default=2, show_default=True, help="How often the worker is killed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.pass_context
def demo_command(ctx: click.Context, lines: int | None, keep: Path | None, kills: int, as_json: bool) -> None:
    """Watch a shop survive the death of its worker.

    Takes 1,200 orders of a shop, some with bad data, through reserve, charge, confirm, ship and notify on an embedded
    SQLite file, kills the worker with SIGKILL on the way, and proves from an outside ledger that every order ended and none
    was charged twice. Takes about half a minute and leaves nothing behind.

    Exit code: 0 if the proof holds, 1 if not, 130 if it was interrupted.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise click.BadParameter(f"{keep} is not empty", param_hint="--keep")
    _end_as_by_ctrl_c()
    # Into a pipe or a log, lines are wide enough for the tables.
    console = Console(quiet=as_json, highlight=False, width=None if sys.stdout.isatty() else 120)
    state = State(kills_planned=kills)
    try:
        good = _perform(console, state, Path(find_sample()), lines, keep, as_json)
    except KeyboardInterrupt:
        console.print("\nInterrupted. The worker is gone" + ("." if keep else ", and so are all files."))
        ctx.exit(INTERRUPTED)
    ctx.exit(0 if good else 1)


def _perform(console: Console, state: State, folder: Path, lines: int | None, keep: Path | None, as_json: bool) -> bool:
    sample = Sample(folder)
    entries = list(sample.read_orders(lines=lines))
    orders = [entry for entry in entries if sample.is_order(entry)]
    with Stage(folder, keep) as stage:
        ledger = sample.open_ledger(stage.ledger_path)
        try:
            _introduce(console, len(entries), state.kills_planned)
            with _screen(console, state) as screen:
                bad = len(entries) - len(orders)
                screen.event(
                    f"{len(entries):,} lines read: {len(orders):,} orders go to the shop, {bad} are turned away as bad data"
                )
                play = Play(stage, sample, state, screen, ledger)
                outcomes = asyncio.run(play.run(orders))
                screen.event("all orders have ended; now the ledger is held against them")
            audit = sample.audit(ledger, entries, outcomes)
        finally:
            ledger.close()
        if as_json:
            click.echo(json.dumps(as_data(audit, state), indent=2))
        else:
            show(console, audit, state)
            _say_where(console, stage, keep)
    return holds(audit, state)


def _screen(console: Console, state: State) -> LiveScreen | PlainScreen:
    return (
        LiveScreen(console, state)
        if console.is_terminal and not console.is_dumb_terminal
        else PlainScreen(console, state)
    )


def _introduce(console: Console, lines: int, kills: int) -> None:
    fate = {0: "left alone", 1: "killed once", 2: "killed twice"}.get(kills, f"killed {kills} times")
    console.print()
    console.print(f" [bold]durable demo[/]  [dim]{lines:,} orders · one SQLite file · one worker, {fate} on the way[/]")


def _say_where(console: Console, stage: Stage, keep: Path | None) -> None:
    if keep is None:
        console.print(" [dim]All files are removed. To look around in them:[/] durable demo --keep DIR")
        return
    console.print(f" Store and ledger are in {stage.folder}. Look around:", soft_wrap=True)
    console.print(f"   durable list --store {stage.store_url}", soft_wrap=True)
    console.print(f"   durable show A-100001 --store {stage.store_url}", soft_wrap=True)


def _end_as_by_ctrl_c() -> None:
    """Let a polite kill and a closed terminal clear up as Ctrl-C does, even where a shell's `&` has Ctrl-C ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None:
            signal.signal(number, interrupt)
