"""The local activities of one step: they run within it, in virtual time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from ..._engine.decision import Decision
from ..._engine.local import PAUSE_MS_MAX, local_pause_ms, local_task
from ..._engine.steps import deliver_local, pending_local, retry_local
from ..._log import ActivityEnded
from ..._runtime.commands import LocalActivityCommand

if TYPE_CHECKING:
    from ._world import World


def run_local(world: World, decision: Decision) -> None:
    """Run the local activities of a step, those first that end first."""
    ends: list[tuple[int, int]] = []
    outcome: dict[int, tuple[Any, int]] = {}
    while waiting := pending_local(world.execution):
        for command in waiting:
            if command.id not in outcome:
                ended_ms, ended, retry_ms = _outcome(world, command)
                outcome[command.id] = ended, retry_ms
                heapq.heappush(ends, (ended_ms, command.id))
        ended_ms, command_id = heapq.heappop(ends)
        if command_id in world.execution.run.commands:  # type: ignore[union-attr]
            world.now_ms = max(world.now_ms, ended_ms)
            ended, retry_ms = outcome[command_id]
            if retry_ms:
                retry_local(world.execution, ended, retry_ms, world.now_ms, decision)
            else:
                deliver_local(world.execution, ended, world.now_ms, decision)


def _outcome(world: World, command: LocalActivityCommand) -> tuple[int, Any, int]:
    """Return when the command comes to an end in this step, how, and when its retry is due if that is too far off for it."""
    at_ms, attempt = world.now_ms, command.attempt - 1
    while True:
        attempt += 1
        task = local_task(world.execution, command, attempt)
        running = world.attempts.begin(task, command.call, at_ms, limits=())
        at_ms = running.ends_ms if running.ends_ms is not None else at_ms
        ended = running.report(at_ms, _nothing)
        assert isinstance(ended, ActivityEnded)  # it has no token
        pause_ms = local_pause_ms(command, ended, lambda: 0.0, at_ms)
        if pause_ms is None or pause_ms > PAUSE_MS_MAX:
            return at_ms, ended, at_ms + pause_ms if pause_ms else 0
        at_ms += pause_ms


def _nothing(_at_ms: int, _what: object) -> None:
    """A local activity reports once."""
