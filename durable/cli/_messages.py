"""`durable signal`, `cancel`, `terminate`, `retry` and `fork`: what one says to a run."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from ._find import message_or_name
from ._output import print_json
from ._settings import Settings, json_option, run_option, store_option
from ._values import message_value

if TYPE_CHECKING:
    from durable import Client, Handle, RunDescription


@click.command("signal")
@click.argument("workflow_id", metavar="ID")
@click.argument("name", metavar="[MODULE:]SIGNAL")
@click.argument("value", required=False)
@run_option
@store_option
@json_option
@click.pass_obj
def signal_command(
    settings: Settings, workflow_id: str, name: str, value: str | None, run_id: str | None, as_json: bool
) -> None:
    """Send a signal to the run ID.

    With MODULE:SIGNAL, VALUE is checked against the declared type: JSON if that fits, else text. By its name alone, VALUE
    must be JSON.
    """
    from ..author import Signal

    signal: Any = message_or_name(name, Signal)
    told = signal if isinstance(signal, str) else signal.name
    values = message_value(signal, f"signal {told}", value)
    _tell(
        settings,
        workflow_id,
        run_id,
        lambda handle: handle.signal(signal, *values),
        f"signalled {told}",
        as_json=as_json,
    )


@click.command("cancel")
@click.argument("workflow_id", metavar="ID")
@run_option
@store_option
@json_option
@click.pass_obj
def cancel_command(settings: Settings, workflow_id: str, run_id: str | None, as_json: bool) -> None:
    """Ask the run ID to stop: its code may clean up."""
    _tell(settings, workflow_id, run_id, lambda handle: handle.cancel(), "cancellation requested", as_json=as_json)


@click.command("terminate")
@click.argument("workflow_id", metavar="ID")
@click.option("--reason", default="", help="Why; it is kept in the history.")
@run_option
@store_option
@json_option
@click.pass_obj
def terminate_command(settings: Settings, workflow_id: str, reason: str, run_id: str | None, as_json: bool) -> None:
    """End the run ID at once: its code does not run any more."""
    _tell(
        settings, workflow_id, run_id, lambda handle: handle.terminate(reason), "termination requested", as_json=as_json
    )


@click.command("retry")
@click.argument("workflow_id", metavar="ID")
@run_option
@store_option
@json_option
@click.pass_obj
def retry_command(settings: Settings, workflow_id: str, run_id: str | None, as_json: bool) -> None:
    """Reopen the failed run ID at the point of failure, with the code as it is now."""
    _tell(settings, workflow_id, run_id, lambda handle: handle.retry(), "reopened", as_json=as_json)


@click.command("fork")
@click.argument("workflow_id", metavar="ID")
@click.option(
    "--at", type=int, default=None, metavar="N", help="The event to fork after (default: the last that goes on)."
)
@click.option("--id", "new_id", default=None, metavar="NEW", help="The new run's workflow id (default: a new one).")
@run_option
@store_option
@json_option
@click.pass_obj
def fork_command(
    settings: Settings, workflow_id: str, at: int | None, new_id: str | None, run_id: str | None, as_json: bool
) -> None:
    """Start a new run from the history of the run ID."""

    async def work(client: "Client") -> "RunDescription":
        handle = await client.handle(workflow_id, run_id).fork(at=at, id=new_id)
        return await handle.describe()

    run = settings.with_client(work)
    if as_json:
        print_json({"workflow_id": run.workflow_id, "run_id": run.run_id, "forked_from": run.forked_from})
    else:
        after = f" after event {run.forked_from.event}" if run.forked_from is not None else ""
        click.echo(f"{run.workflow_id}: forked from {workflow_id}{after}")


def _tell(
    settings: Settings,
    workflow_id: str,
    run_id: str | None,
    say: "Callable[[Handle[Any]], Awaitable[Any]]",
    done: str,
    *,
    as_json: bool,
) -> None:
    async def work(client: "Client") -> None:
        await say(client.handle(workflow_id, run_id))

    settings.with_client(work)
    if as_json:
        print_json({"workflow_id": workflow_id, "done": done})
    else:
        click.echo(f"{workflow_id}: {done}")
