"""`durable query` and `durable update`: what one asks of a run, and its answer."""

from typing import TYPE_CHECKING, Any

import click

from ._find import message_or_name
from ._output import as_json, print_json
from ._settings import Settings, json_option, run_option, store_option
from ._values import duration, message_value, value_of

if TYPE_CHECKING:
    from durable import Client


@click.command("query")
@click.argument("workflow_id", metavar="ID")
@click.argument("name", metavar="[MODULE:]QUERY")
@click.argument("args", nargs=-1)
@click.option(
    "--timeout", metavar="DURATION", callback=duration, default="10 s", show_default=True, help="How long to wait."
)
@run_option
@store_option
@json_option
@click.pass_obj
def query_command(settings: Settings, /, workflow_id: str, name: str, args: tuple[str, ...], **options: Any) -> None:
    """Ask the run ID a query, and print the answer.

    Each of ARGS is JSON if it is JSON, else text. A worker must be there to answer; the history has no trace of it.
    """
    from ..author import Query

    query: Any = message_or_name(name, Query)
    values = [value_of(text) for text in args]

    async def work(client: "Client") -> Any:
        return await client.handle(workflow_id, options["run_id"]).query(query, *values, timeout=options["timeout"])

    answer = settings.with_client(work)
    _print(answer, {"workflow_id": workflow_id, "answer": answer}, options)


@click.command("update")
@click.argument("workflow_id", metavar="ID")
@click.argument("name", metavar="[MODULE:]UPDATE")
@click.argument("value", required=False)
@click.option("--update-id", help="The update's id: a repeat with the same one is dropped. [default: a new one]")
@click.option("--no-wait", is_flag=True, help="Return once it is accepted, and print its id.")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=duration,
    help="Give up waiting after this (the update goes on). [default: 10 s until it is accepted]",
)
@run_option
@store_option
@json_option
@click.pass_obj
def update_command(settings: Settings, /, workflow_id: str, name: str, value: str | None, **options: Any) -> None:
    """Send the run ID an update, and print its result.

    With MODULE:UPDATE, VALUE is checked against the declared type: JSON if that fits, else text. By its name alone, VALUE
    must be JSON.
    """
    from ..author import Update

    update: Any = message_or_name(name, Update)
    told: str = getattr(update, "name", name)
    values = message_value(update, f"update {told}", value)

    async def work(client: "Client") -> tuple[str, Any]:
        handle = client.handle(workflow_id, options["run_id"])
        limit: dict[str, Any] = {} if options["timeout"] is None else {"timeout": options["timeout"]}
        declared: tuple[type[BaseException], ...] = getattr(update, "raises", ())
        try:
            started = await handle.start_update(update, *values, update_id=options["update_id"], **limit)
            return started.id, None if options["no_wait"] else await started.result(**limit)
        except declared as error:  # the update's own, which is an answer: none of ours, and no bug
            raise click.ClickException(f"update {told!r} failed: {type(error).__name__}: {error}") from error

    update_id, result = settings.with_client(work)
    ids = {"workflow_id": workflow_id, "update_id": update_id}
    if options["no_wait"]:
        _print(update_id, ids, options)
    else:
        _print(result, {**ids, "result": result}, options)


def _print(answer: Any, whole: dict[str, Any], options: dict[str, Any]) -> None:
    if options["as_json"]:
        print_json(whole)
    else:
        click.echo(answer if isinstance(answer, str) else as_json(answer))
