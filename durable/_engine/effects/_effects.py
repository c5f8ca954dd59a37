"""What follows from commands, over all families."""

from __future__ import annotations

from ..._runtime.commands import Command
from ..._runtime.run import Run
from ...history import Event
from ..decision import Decision
from . import _activities, _children, _external, _local, _timers, _updates
from ._family import Effect
from ._runs import add_run_timeout, drop_run_timeout

_FAMILIES = (_activities.FAMILY, _local.FAMILY, _timers.FAMILY, _external.FAMILY, _children.FAMILY, _updates.FAMILY)
_ADD: dict[type, Effect] = {kind: effect for family in _FAMILIES for kind, effect in family.add.items()}
_DROP: dict[type, Effect] = {kind: effect for family in _FAMILIES for kind, effect in family.drop.items()}
_CLOSE: dict[type, Effect] = _DROP | {kind: effect for family in _FAMILIES for kind, effect in family.close.items()}
_RESTORE: dict[type, Effect] = {kind: effect for family in _FAMILIES for kind, effect in family.restore.items()}


def add_effects(run: Run, commands: list[Event], decision: Decision) -> None:
    """Add to `decision` what the `commands` that `run` issued in a live step, and those it gave up, lead to."""
    for event in commands:
        effect = _ADD.get(type(event))
        if effect is not None:
            effect(run, event, decision)
    if run.given_up:
        for command in run.given_up:
            drop_command(run, command, decision)
        run.given_up.clear()


def drop_command(run: Run, command: Command, decision: Decision) -> None:
    """Take back what a pending command led to."""
    effect = _DROP.get(type(command))
    if effect is not None:
        effect(run, command, decision)


def drop_all(run: Run, decision: Decision) -> None:
    """The run closes: take back all that is pending, and its time limit."""
    for command in run.commands.values():
        effect = _CLOSE.get(type(command))
        if effect is not None:
            effect(run, command, decision)
    drop_run_timeout(run, decision)


def add_all(run: Run, decision: Decision) -> None:
    """The run was reopened: put back all that is pending, and its time limit."""
    for command in run.commands.values():
        effect = _RESTORE.get(type(command))
        if effect is not None:
            effect(run, command, decision)
    add_run_timeout(run, run.now_ms, decision)
