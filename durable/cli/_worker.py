"""`durable worker`: serve the workflows and activities of a module, in one process or several."""

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from ._exit import OK
from ._find import Served, interceptor_of, served_by
from ._settings import Settings, store_option
from ._supervisor import supervise

if TYPE_CHECKING:
    from durable import Client


@click.command("worker")
@click.argument("target", metavar="MODULE[:NAME]")
@click.option("--queue", default="default", show_default=True, help="The task queue to serve.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(min=1), help="So many worker processes.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Activities at once in each process. [default: the worker's]"
)
@click.option(
    "--interceptor",
    "interceptors",
    multiple=True,
    metavar="MODULE:NAME",
    help="An interceptor, or a class of them, around what the code does. May be given several times: the first is outermost.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log what happens to standard error.")
@click.option("--parent-fd", type=int, hidden=True, help="A pipe whose end says that the supervisor is gone.")
@store_option
@click.pass_obj
def worker_command(
    settings: Settings,
    target: str,
    queue: str,
    processes: int,
    concurrency: int | None,
    interceptors: tuple[str, ...],
    verbose: bool,
    parent_fd: int | None,
) -> int:
    """Serve the functions marked @workflow and @activity in MODULE, or only NAME of it.

    NAME may be a function, a list of them, or a class or an instance with activities. Runs until SIGTERM or Ctrl-C:
    then it finishes what is under way; a second signal stops it at once.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    served = served_by(target)
    around = [interceptor_of(each) for each in interceptors]
    if processes > 1:
        settings.with_client(_no_work, creates=True)  # what is wrong with the store is said once, not by each process
        click.echo(f"{processes} worker processes on {settings.shown_store}, {_summary(served, queue)}", err=True)
        return asyncio.run(
            supervise(_child_command(settings, target, queue, concurrency, interceptors, verbose=verbose), processes)
        )
    if parent_fd is not None:
        _stop_with_parent(parent_fd)
    options: dict[str, Any] = {"queue": queue}
    if concurrency is not None:
        options["max_concurrent_activities"] = concurrency
    if around:
        options["interceptors"] = around
    settings.with_client(
        lambda client: _serve(client, served, options, f"on {settings.shown_store}, {_summary(served, queue)}"),
        creates=True,
    )
    return OK


async def _serve(client: "Client", served: Served, options: dict[str, Any], summary: str) -> None:
    from durable import Worker

    worker = Worker(client, workflows=served.workflows, activities=served.activities, **options)
    click.echo(f"worker {os.getpid()}: {summary}", err=True)
    await worker.run()
    click.echo(f"worker {os.getpid()}: stopped", err=True)


async def _no_work(_client: "Client") -> None:
    """Open the store and close it again."""


def _summary(served: Served, queue: str) -> str:
    workflows = ", ".join(sorted(_named(workflow) for workflow in served.workflows)) or "none"
    activities = ", ".join(sorted(activity.name for activity in served.activities)) or "none"
    return f"queue {queue}; workflows: {workflows}; activities: {activities}"


def _named(workflow: Any) -> str:
    return f"{workflow.name} (version {workflow.version})" if workflow.pinned else workflow.name


def _child_command(
    settings: Settings,
    target: str,
    queue: str,
    concurrency: int | None,
    interceptors: tuple[str, ...],
    *,
    verbose: bool,
) -> tuple[list[str], dict[str, str]]:
    """Return the command of one worker process, and its environment: the URL may hold a password, which a process list shows."""
    command = [sys.executable, "-m", "durable.cli", "worker", target, "--queue", queue]
    command += ["--concurrency", str(concurrency)] if concurrency is not None else []
    for each in interceptors:
        command += ["--interceptor", each]
    command += ["--verbose"] if verbose else []
    return command, {**os.environ, "DURABLE_STORE": settings.store}


def _stop_with_parent(parent_fd: int) -> None:
    """Stop this process gracefully once the supervisor is gone, however it died: then its end of the pipe closes."""

    def watch() -> None:
        while os.read(parent_fd, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="durable-parent", daemon=True).start()
