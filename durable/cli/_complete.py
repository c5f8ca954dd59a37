"""`durable complete` and `fail`: the end of an activity that left it to others."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from ._output import print_json
from ._settings import Settings, json_option, store_option

if TYPE_CHECKING:
    from durable import ActivityHandle, Client


@click.command("complete")
@click.argument("token")
@click.argument("result", required=False, metavar="[JSON]")
@store_option
@json_option
@click.pass_obj
def complete_command(settings: Settings, token: str, result: str | None, as_json: bool) -> None:
    """End the activity that TOKEN names with a result (default: null)."""
    try:
        value = None if result is None else json.loads(result)
    except ValueError:
        raise click.UsageError(f"""the result must be JSON, got {result!r}; write text as '"{result}"'""") from None
    _end(settings, token, lambda handle: handle.complete(value), "completed", as_json=as_json)


@click.command("fail")
@click.argument("token")
@click.argument("message")
@store_option
@json_option
@click.pass_obj
def fail_command(settings: Settings, token: str, message: str, as_json: bool) -> None:
    """End the attempt that TOKEN names with a failure: it is retried by its policy."""
    _end(settings, token, lambda handle: handle.fail(message), "failed", as_json=as_json)


def _end(
    settings: Settings,
    token: str,
    say: "Callable[[ActivityHandle[Any]], Awaitable[None]]",
    done: str,
    *,
    as_json: bool,
) -> None:
    async def work(client: "Client") -> "ActivityHandle[Any]":
        handle = client.activity(token)
        await say(handle)
        return handle

    handle = settings.with_client(work)
    if as_json:
        print_json({"workflow_id": handle.workflow_id, "attempt": handle.attempt, "done": done})
    else:
        click.echo(f"{handle.workflow_id}: attempt {handle.attempt} {done}")
