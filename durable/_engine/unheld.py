"""Attempts that are cancelled, and whose end is waited for: those that no live worker holds have ended, for none will begin them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .. import _limits
from .._log import CancelDue, session_groups, task_id
from ..errors import StoreError
from ..stores import Due, Store, TaskInfo
from .commits import Committer, Prepared
from .decision import Delivery
from .owned import Owned

_log = logging.getLogger("durable.engine")

LOOK_MS = _limits.LEASE_TTL_MS  # between two looks at an attempt that a worker holds: its death shows within about that
TASKS_MAX = 100_000  # tasks of one run that are looked through
RETRY_S = 0.5  # pause while the store is away


class Unheld:
    """Carries out the `CancelDue`s of runs. `submit` sends a commit, `wake` lets the engine's loop look again."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        submit: Callable[[list[Prepared]], None],
        wake: Callable[[], None],
    ) -> None:
        self._store, self._committer, self._submit, self._wake = store, committer, submit, wake

    async def check(self, owned: Owned, name: str, passed: Sequence[tuple[Due, CancelDue]]) -> None:
        """Look at the cancelled attempts of `name`. Those that are held are looked at again later; those that are gone have reported."""
        found = {info.task.id: info for info in await self.tasks_of(name)}
        prepared = self._committer.prepare(owned)
        for due, item in passed:
            info = found.get(task_id(item.run_id, item.id, item.attempt))
            if info is None:
                prepared.commit.dues_removed.append(due.key)
                prepared.fired.append(due)
            elif await self._is_held(info):
                # Not by a commit: one that says how the attempt ended may be on its way, and removes the due.
                owned.fire_again(due, self._store.now_ms() + LOOK_MS)
            else:
                owned.post(Delivery(name, item, due_key=due.key))
        if prepared.fired:
            self._submit([prepared])
        self._wake()

    async def tasks_of(self, name: str) -> list[TaskInfo]:
        """Return the tasks of `name`. Waits while the store is away."""
        while True:
            try:
                return await self._store.inspect.tasks(name=name, limit=TASKS_MAX)
            except StoreError as error:
                if not error.retryable:
                    raise
                _log.warning("the tasks of workflow id %r cannot be read, trying again: %s", name, error)
                await self._store.clock.sleep(RETRY_S)

    async def _is_held(self, info: TaskInfo) -> bool:
        """Return whether a live worker holds the task; True if that cannot be told now."""
        if info.claimed_by is None:
            return False
        try:
            for group in session_groups(info.task.queue):
                if any(session.id == info.claimed_by for session in await self._store.sessions(group)):
                    return True
        except StoreError as error:
            _log.warning("the workers of queue %s cannot be listed: %s", info.task.queue, error)
            return True
        return False
