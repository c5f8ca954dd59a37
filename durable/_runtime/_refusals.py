"""What an event loop can do and a workflow must not: every such method raises, and says what to do instead."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from ..errors import NonDeterminismError

_ACTIVITY = "move it into an activity and await that"

_ADVICE = {
    "add_signal_handler": "signals belong to the process; let the worker handle them",
    "call_soon_threadsafe": "other threads reach a workflow by a signal or an update only; inside it use loop.call_soon",
    "connect_accepted_socket": _ACTIVITY,
    "remove_signal_handler": "signals belong to the process; let the worker handle them",
    "run_forever": "the workflow runs in a loop already: await instead",
    "run_in_executor": "threads cannot be replayed (asyncio.to_thread uses one): make it an activity; a plain `def` activity runs in a thread",
    "run_until_complete": "the workflow runs in a loop already: await instead",
    "set_default_executor": "threads cannot be replayed: make it an activity; a plain `def` activity runs in a thread",
    "set_task_factory": "tasks of a workflow are numbered by its loop; pass `eager_start=True` to create_task for an eager one",
    "stop": "the loop of a workflow stops by itself when nothing is left to run",
    "subprocess_exec": "start the process in an activity and await that",
    "subprocess_shell": "start the process in an activity and await that",
}

ALLOWED = frozenset(
    {
        "call_at", "call_exception_handler", "call_later", "call_soon", "close", "create_future", "create_task",
        "default_exception_handler", "get_debug", "get_exception_handler", "get_task_factory", "is_closed", "is_running",
        "set_debug", "set_exception_handler", "shutdown_asyncgens", "shutdown_default_executor", "time",
    }
)  # fmt: skip


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        advice = _ADVICE.get(name, _ACTIVITY)
        raise NonDeterminismError(f"a workflow cannot use loop.{name}(): no replay could repeat it; {advice}")

    refuse.__name__ = name
    refuse.__qualname__ = f"RefusingLoop.{name}"
    return refuse


class RefusingLoop(asyncio.AbstractEventLoop):
    """An event loop whose methods all raise `NonDeterminismError`, except those in `ALLOWED`, which are left abstract."""


for _name in sorted(set(dir(asyncio.AbstractEventLoop)) | _ADVICE.keys()):
    # By name, not by hand: a method that a later Python adds is refused as well.
    if not _name.startswith("_") and _name not in ALLOWED:
        setattr(RefusingLoop, _name, _refusing(_name))
