"""The frame of the command line: the group, its options, its errors and its exit codes.

Exit codes, for scripts:

- 0: it worked
- 1: it worked, and the answer is no: the run failed or is closed, nobody answered in time, `lint` found something,
  `replay` found a run that this code does not follow
- 2: the command was not understood, or the named module, workflow or value does not fit
- 3: no such run or task
- 4: the store cannot be reached, read or written, or is none of ours
- 5: a bug in this package, with its traceback
- 130: interrupted

What was asked for goes to standard output, everything else to standard error. With `--json` standard output holds
exactly one JSON document (of `bench` and `export`: one on each line).
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from .. import __version__
from ..errors import DurableError, RequestFailedError, RunOutcomeError
from ._exit import BUG, INTERRUPTED, OK, exit_code_of
from ._settings import DEFAULT_STORE, Settings

# Command -> its module and its line in the list. Only the command that is asked for is loaded, so `--help` is quick; a test
# holds the lines to what the commands say of themselves. The module's attribute is the command's name and "_command".
COMMANDS = {
    "bench": ("_bench", "Measure how quick a store is."),
    "cancel": ("_messages", "Ask the run ID to stop: its code may clean up."),
    "complete": ("_complete", "End the activity that TOKEN names with a result."),
    "demo": ("_demo", "Watch a shop survive the death of its worker."),
    "doctor": ("_doctor", "Look whether all is well, and say what to do."),
    "export": ("_export", "Export histories as JSON lines."),
    "fail": ("_complete", "End the attempt that TOKEN names with a failure."),
    "fork": ("_messages", "Start a new run from the history of the run ID."),
    "lint": ("_lint", "Find what workflow code must not do."),
    "list": ("_list", "List runs, newest first."),
    "patches": ("_versions", "List patches that open runs have recorded."),
    "parked": ("_parked", "Look at parked tasks, release or discard them."),
    "prune": ("_prune", "Remove closed runs that are old enough."),
    "query": ("_requests", "Ask the run ID a query, and print the answer."),
    "replay": ("_replay", "Replay histories with the code as it is now."),
    "retry": ("_messages", "Reopen the failed run ID at the point of failure."),
    "show": ("_show", "Show a run: its history and why it waits."),
    "signal": ("_messages", "Send a signal to the run ID."),
    "start": ("_start", "Start a run of a workflow."),
    "terminate": ("_messages", "End the run ID at once: its code does not run again."),
    "update": ("_requests", "Send the run ID an update, and print its result."),
    "versions": ("_versions", "List versions of workflows, with their open runs."),
    "worker": ("_worker", "Serve the functions marked @workflow and @activity."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has seen enough (`| head`). The interpreter must not flush into the closed pipe either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="durable")
@click.option(
    "--store",
    envvar="DURABLE_STORE",
    default=DEFAULT_STORE,
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Where the runs are kept.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def app(ctx: click.Context, store: str, debug: bool) -> None:
    """Run durable functions, and look after them.

    Exit codes: 0 it worked, 1 the run failed or the answer is no, 2 wrong usage, 3 not found, 4 the store is
    unreachable or bad, 5 a bug.
    """
    settings = ctx.ensure_object(Settings)
    settings.store, settings.debug = store, debug


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: each error becomes a line and a code."""
    settings = Settings()
    try:
        result: object = app.main(
            args=None if argv is None else list(argv), prog_name="durable", standalone_mode=False, obj=settings
        )
    except click.ClickException as error:
        if type(error) is click.ClickException:  # one of ours: a line, as for any other error
            click.secho(settings.redacted(f"durable: {error.message}"), fg="red", err=True)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("durable: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        return _reported(error, settings)
    return result if isinstance(result, int) else OK


def _reported(error: Exception, settings: Settings) -> int:
    """Print an error as people read it, without any password, and return its exit code."""
    code = exit_code_of(error)
    ours = isinstance(error, DurableError | TimeoutError) and code != BUG
    message = str(error) or type(error).__name__
    asked = isinstance(error, RunOutcomeError | RequestFailedError)
    if asked and error.__cause__ is not None and str(error.__cause__) not in message:
        message += f"\n  because: {type(error.__cause__).__name__}: {error.__cause__}"
    if settings.debug or not ours:
        click.echo(settings.redacted("".join(traceback.format_exception(error))).rstrip(), err=True)
    if not ours:
        message = f"a bug, please report it with the lines above: {type(error).__name__}: {message}"
    click.secho(settings.redacted(f"durable: {message}"), fg="red", err=True)
    return code
