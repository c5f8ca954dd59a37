"""`durable start`: start a run, and wait for it if asked."""

import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from .._clock import SystemClock
from ..errors import RunAlreadyOpenError, WorkflowIdUsedError
from ._conditions import attributes_of, memo_of
from ._find import workflow_or_name
from ._output import as_json, print_json
from ._settings import Settings, json_option, store_option
from ._values import arguments_of, duration, value_of

if TYPE_CHECKING:
    from durable import Client, Handle


@click.command("start")
@click.argument("workflow", metavar="MODULE:WORKFLOW")
@click.argument("args", nargs=-1)
@click.option("--id", "workflow_id", help="The workflow id. [default: the workflow's name and an id of its own]")
@click.option("--queue", help="The task queue whose workers are to run it.")
@click.option(
    "--run-timeout", metavar="DURATION", callback=duration, help='End the run as timed out after this, like "2 days".'
)
@click.option(
    "--execution-timeout",
    metavar="DURATION",
    callback=duration,
    help="The same for all runs together that continue this one as new.",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "use-existing", "terminate-existing"]),
    help="What to do if a run of the id is open. [default: fail]",
)
@click.option(
    "--reuse",
    type=click.Choice(["allow", "after-failure", "never"]),
    help="Whether an id may be used again once its run is closed. [default: allow]",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    callback=attributes_of,
    help="What the run is found by: a number, true or false, a list like '[\"a\"]', a time with its zone, or text.",
)
@click.option(
    "--memo", multiple=True, metavar="NAME=VALUE", callback=memo_of, help="What is shown of the run: JSON, or text."
)
@click.option("--version", help="The pinned version of a workflow by name that is to run it.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it; exit code 1 if the run fails.")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=duration,
    help="With --wait: give up waiting after this (the run goes on).",
)
@store_option
@json_option
@click.pass_obj
def start_command(settings: Settings, /, workflow: str, args: tuple[str, ...], **options: Any) -> None:
    """Start a run of a workflow.

    Each of ARGS is read as JSON if it is JSON and fits the declared type, else as text. Without a module, WORKFLOW is
    the name that a worker somewhere knows.
    """
    target: Any = workflow_or_name(workflow)
    values = [value_of(text) for text in args] if isinstance(target, str) else arguments_of(target, args)
    settings.with_client(lambda client: _start(client, target, values, options), creates=True)


async def _start(client: "Client", target: Any, values: list[Any], options: dict[str, Any]) -> None:
    name = target if isinstance(target, str) else target.name
    given: str | None = options["workflow_id"]
    chosen: dict[str, Any] = {"id": f"{name}-{SystemClock().new_id()}" if given is None else given}
    plain = ("queue", "run_timeout", "execution_timeout", "version", "attributes", "memo")
    chosen |= {key: options[key] for key in plain if options[key] is not None}
    policies = {key: options[key] for key in ("on_conflict", "reuse") if options[key] is not None}
    chosen |= {key: value.replace("-", "_") for key, value in policies.items()}
    start: Callable[..., Awaitable[Handle[Any]]] = client.start(target, **chosen)
    try:
        handle = await start(*values)
    except RunAlreadyOpenError as error:
        open_run: Handle[Any] = error.handle
        raise click.ClickException(
            f"a run of workflow id {open_run.workflow_id!r} is open (run {open_run.run_id}); "
            f"look at it with `durable show {shlex.quote(open_run.workflow_id)}`, or take another --id"
        ) from error
    except WorkflowIdUsedError as error:
        raise click.ClickException(
            f"workflow id {error.workflow_id!r} was used (run {error.run_id}, {error.status}), and --reuse does not allow another "
            f"run; look at it with `durable show {shlex.quote(error.workflow_id)}`, or take another --id"
        ) from error
    shown = {"workflow_id": handle.workflow_id, "run_id": handle.run_id}
    if not options["wait"]:
        if options["as_json"]:
            print_json(shown)
        else:
            click.echo(f"{handle.workflow_id} {handle.run_id}")
        return
    click.echo(f"started {handle.workflow_id} (run {handle.run_id})", err=True)
    result = await handle.result(timeout=options["timeout"])
    if options["as_json"]:
        print_json({**shown, "result": result})
    else:
        click.echo(result if isinstance(result, str) else as_json(result))
