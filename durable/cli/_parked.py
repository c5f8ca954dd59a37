"""`durable parked`: tasks that were taken out of their queue, since they killed their worker each time."""

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ._exit import NOT_FOUND, OK
from ._output import fields, print_json, print_table, short, when
from ._settings import Settings, json_option, store_option

if TYPE_CHECKING:
    from durable import Client

_LISTED = ("id", "workflow_id", "activity", "args", "deliveries", "parked")


@click.group("parked")
def parked_command() -> None:
    """Look at parked tasks, release or discard them.

    A task is parked when its worker died each time that it ran. Its run waits until you release or discard it.
    """


@parked_command.command("list")
@click.option("--queue", help="Only tasks of this queue.")
@store_option
@json_option
@click.pass_obj
def list_command(settings: Settings, queue: str | None, as_json: bool) -> None:
    """List the parked tasks."""

    async def work(client: "Client") -> list[Any]:
        return list(await client.parked.list(queue=queue))

    tasks = [plain(task) for task in settings.with_client(work)]
    if as_json:
        print_json(tasks)
        return
    rows = [tuple(short(str(task[name]), 60) for name in _LISTED) for task in tasks]
    print_table([name.replace("_", " ") for name in _LISTED], rows, empty="no parked tasks")


@parked_command.command("inspect")
@click.argument("task_id", metavar="TASK")
@store_option
@json_option
@click.pass_obj
def inspect_command(settings: Settings, task_id: str, as_json: bool) -> int:
    """Show one parked task with all that is known of it."""

    async def work(client: "Client") -> Any:
        return await client.parked.inspect(task_id)

    task = settings.with_client(work)
    if task is None:
        return _missing([task_id])
    if as_json:
        print_json(plain(task))
    else:
        for name, value in sorted(plain(task).items(), key=lambda item: _order(item[0])):
            click.echo(f"{name:>14}  {when(value) if isinstance(value, datetime) else value}")
    return OK


@parked_command.command("release")
@click.argument("task_ids", nargs=-1, required=True, metavar="TASK...")
@store_option
@json_option
@click.pass_obj
def release_command(settings: Settings, task_ids: tuple[str, ...], as_json: bool) -> int:
    """Put parked tasks back into their queue, as if they were new."""

    async def work(client: "Client") -> int:
        return await client.parked.release(*task_ids)

    return _report("released", settings.with_client(work), task_ids, as_json=as_json)


@parked_command.command("discard")
@click.argument("task_ids", nargs=-1, required=True, metavar="TASK...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
@click.pass_obj
def discard_command(settings: Settings, task_ids: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Give parked tasks up: in each one's run, the activity fails."""
    if not yes:
        click.confirm(
            f"Let {'this activity fail in its run' if len(task_ids) == 1 else f'these {len(task_ids)} activities fail in their runs'}?",
            abort=True,
            err=True,
        )

    async def work(client: "Client") -> int:
        return await client.parked.discard(*task_ids)

    return _report("discarded", settings.with_client(work), task_ids, as_json=as_json)


def plain(task: Any) -> dict[str, Any]:
    """Return the fields of a parked task in one level, as people look at them."""
    result: dict[str, Any] = {}
    for name, value in fields(task).items():
        result |= plain(value) if dataclasses.is_dataclass(value) else {name: value}
    return result


def _order(name: str) -> tuple[int, str]:
    first = ("id", "task_id", "workflow_id", "activity", "queue", "attempt", "deliveries", "parked")
    return (first.index(name) if name in first else len(first), name)


def _report(what: str, count: int, task_ids: tuple[str, ...], *, as_json: bool) -> int:
    if as_json:
        print_json({what: count, "asked": len(task_ids)})
    else:
        click.echo(f"{what} {count} of {len(task_ids)}")
    return OK if count == len(task_ids) else _missing(task_ids if count == 0 else [])


def _missing(task_ids: list[str] | tuple[str, ...]) -> int:
    shown = ", ".join(task_ids) or "some of these"
    click.secho(
        f"durable: not parked (any more): {shown}; `durable parked list` shows which tasks are", fg="red", err=True
    )
    return NOT_FOUND
