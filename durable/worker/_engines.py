"""The engines of a worker: one for the inbox of its queue, and one for each pinned version that it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._log import ActivityEnded
from ..codec import Codec
from ..stores import ClaimedTask, Lease, Store
from ._settings import Settings

if TYPE_CHECKING:
    from .._engine import Engine, LocalTasks


class Engines:
    """Each owns partitions of its inbox, and shares them with the workers that serve the same one. The cached runs are split evenly."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        settings: Settings,
        session: str,
        local: LocalTasks,
        publish: Callable[[], None],
    ) -> None:
        self._engines: dict[str, Engine] = {}
        if not settings.workflows:
            return
        from .._engine import Engine  # a worker of activities only does not load what steps workflows

        share = settings.cache_runs // len(settings.workflows)
        for inbox, workflows in sorted(settings.workflows.items()):
            self._engines[inbox] = Engine(
                store,
                session=session,
                queue=settings.queue,
                inbox=inbox,
                workflows=workflows,
                codec=codec,
                local=local,
                cache_runs=max(share, min(1, settings.cache_runs)),
                lease_ttl_ms=settings.lease_ttl_ms,
                publish=publish,
            )

    def named(self) -> list[tuple[str, Engine]]:
        """Return the engines, each with a name for those who look at tasks and logs."""
        return [(f"engine-{inbox}", engine) for inbox, engine in self._engines.items()]

    def leases(self) -> Sequence[Lease]:
        """Return the leases that they hold, to be renewed. Thread-safe."""
        return [lease for engine in self._engines.values() for lease in engine.leases()]

    def needs(self) -> dict[str, dict[int, list[str]]]:
        """Return the workflows that the engines lack, by inbox and partition."""
        return {inbox: needs for inbox, engine in self._engines.items() if (needs := engine.needs)}

    def rebalance(self) -> None:
        """See `Engine.rebalance`."""
        for engine in self._engines.values():
            engine.rebalance()

    def lost(self, leases: Sequence[Lease]) -> None:
        """See `Engine.lost`."""
        for engine in self._engines.values():
            engine.lost(leases)

    def accept(self, claimed: ClaimedTask, ended: ActivityEnded, asked_s: float) -> bool:
        """See `Engine.accept`: the result goes to the engine that serves the run's inbox."""
        engine = self._engines.get(claimed.task.inbox)
        return engine is not None and engine.accept(claimed, ended, asked_s)

    async def stop(self) -> None:
        """See `Engine.stop`."""
        async with asyncio.TaskGroup() as group:
            for engine in self._engines.values():
                group.create_task(engine.stop())
