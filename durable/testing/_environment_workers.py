"""The workers of a `TestEnvironment`: one for each task queue that is used, begun when it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .._ids import DEFAULT_QUEUE, queue_of
from .._log import ActivityEnded, read_task
from ..author import Activity, Workflow, activity
from ..codec import Codec
from ..errors import DurableError, StuckTestError
from ..history import WIRE, ActivityScheduled
from ..interceptors import Interceptor
from ..stores import ClaimedTask, DocumentFilter, Store, tasks_topic
from ..stores.memory import MemoryStore
from ..worker import Worker
from ..worker._life import Life
from ..worker._unknown import unknown_tasks

_TTL_S = 90 * 365 * 86_400  # no renewal is due in virtual time; see `renew`
_RENEW_AFTER_MS = _TTL_S * 1000 // 3
_TASKS_MAX = 1_000  # looked at; more waiting ones tell nothing new
_EVENTS_MAX = 100_000
_UNWIND_S_MAX = 1.0  # real time for activities of a killed worker that do not take their cancellation


@activity(name="durable.testing")
async def _placeholder() -> None:
    """Gives each worker an activity, so that more can be offered to it later."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """The part of a client that a worker needs."""

    store: Store
    codec: Codec
    interceptors: tuple[Interceptor, ...]


class Workers:
    """Begins, kills and stops workers that all offer the same."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        workflows: Iterable[Workflow[..., Any]],
        activities: Iterable[Activity[..., Any]],
        *,
        cache_runs: int | None,
        virtual: bool,
        queues: Sequence[str] | None,
        interceptors: tuple[Interceptor, ...] = (),
    ) -> None:
        self._store, self._codec, self._virtual, self._interceptors = store, codec, virtual, interceptors
        self._workflows = list(workflows)
        self._activities = [_placeholder, *activities]
        self._cache_runs = cache_runs
        self._only = None if queues is None else frozenset(queues)
        self._lives: dict[str, Life] = {}
        self._renewed_ms = store.now_ms()
        self._beginning = asyncio.Lock()

    async def begin(self) -> None:
        """Begin the first workers."""
        for queue in sorted(self._only) if self._only is not None else [DEFAULT_QUEUE]:
            await self.serve(queue)

    async def serve(self, queue: str) -> bool:
        """See that `queue` has a worker, unless it is not to have one; return whether one was begun."""
        if queue in self._lives or (self._only is not None and queue not in self._only):
            return False
        async with self._beginning:
            if queue in self._lives:
                return False
            worker = self._worker(queue)
            life = worker._new_life()
            await life.begin()
            self._lives[queue] = life
        return True

    def _worker(self, queue: str) -> Worker:
        kept: dict[str, Any] = {"lease_ttl": _TTL_S, "renew_in_thread": False} if self._virtual else {}
        return Worker(
            _Connection(self._store, self._codec, self._interceptors),
            workflows=self._workflows,
            activities=self._activities,
            queue=queue,
            cache_runs=self._cache_runs,
            **kept,
        )

    def offer(self, item: Activity[..., Any]) -> None:
        """Offer one more activity."""
        self._activities.append(item)
        for life in self._lives.values():
            life._runner.offer(item)
        if isinstance(self._store, MemoryStore):  # what waits for it already is not looked for by time
            self._store._state.topics.touch([tasks_topic(queue) for queue in self._lives])

    def renew(self) -> None:
        """Renew the sessions if much time has passed, as a live worker would have done on the way."""
        now_ms = self._store.now_ms()
        if not 0 <= now_ms - self._renewed_ms < _RENEW_AFTER_MS:
            self._renewed_ms = now_ms
            for life in self._lives.values():
                self._store.renew(life.session, _TTL_S * 1000, life.leases(), life.claims())

    # --- what is wrong

    async def trouble(self) -> DurableError | None:
        """Return why a worker or a task cannot go on, if that is the test's fault or ours."""
        for queue, life in list(self._lives.items()):
            if life.failure is not None:
                error = StuckTestError(f"the worker of queue {queue!r} failed: {life.failure!r}")
                error.__cause__ = life.failure
                return error
            for reason in life._runner._delivery.held.values():
                return StuckTestError(reason)
            names = await unknown_tasks(self._store, queue, life._runner.known)
            for name in sorted(names):
                if await self._is_awaited_for_ever(queue, name):
                    return StuckTestError(
                        f"activity {name!r} was called, and is neither registered nor faked: "
                        f"pass it in activities=[...], or call env.fake({name.rpartition('.')[2]}, ...)"
                    )
        return None

    async def _is_awaited_for_ever(self, queue: str, name: str) -> bool:
        """Whether a task of this activity may wait in its queue without a limit: one with a limit may be there to reach it."""
        for info in await self._store.inspect.tasks(queue=queue, parked=False, limit=_TASKS_MAX):
            if info.task.kind == name and info.claimed_by is None:
                task = read_task(info.task)
                for record in await self._store.read(info.partition, task.run_id, limit=_EVENTS_MAX):
                    event = WIRE.decode(record)
                    if isinstance(event, ActivityScheduled) and event.id == task.id:
                        if event.queue_timeout_ms is None and event.total_timeout_ms is None:
                            return True
                        break
        return False

    async def serve_more(self, *, thorough: bool) -> bool:
        """Begin workers for queues in which something waits; return whether there were any. `thorough`: for runs as well."""
        tasks = await self._store.inspect.tasks(parked=False, limit=_TASKS_MAX)
        queues = {info.task.queue for info in tasks if info.claimed_by is None}
        if thorough:
            running = await self._store.inspect.documents(DocumentFilter(states=("running",)), limit=_TASKS_MAX)
            queues |= {queue_of(document.inbox) for _, document in running}
        begun = [await self.serve(queue) for queue in sorted(queues)]
        return any(begun)

    # --- the end of workers

    async def crash(self) -> None:
        """Kill all workers as SIGKILL would, as far as the store can tell, and begin new ones in their place.

        The store learns of their death at once. Activities that ran are cancelled, and what they still do reaches nobody.
        """
        queues = list(self._lives)
        lives, self._lives = list(self._lives.values()), {}
        for life in lives:
            await _kill(life)
            await self._store.end_session(life.session)
        for queue in queues:
            await self.serve(queue)

    async def stop(self) -> None:
        """Stop all workers without waiting for activities. Raises what made one fail."""
        lives, self._lives = list(self._lives.values()), {}
        for life in lives:
            running = list(life._runner._running.values())
            for attempt in running:
                attempt.verdict = attempt.verdict or "stop"
                life._runner._modes.stop(attempt)
            await _unwound([attempt.coroutine_task for attempt in running])
            life.hurry()
            await life.end()
        for life in lives:
            if life.failure is not None:
                raise life.failure


async def _kill(life: Life) -> None:
    runner = life._runner
    attempts = list(runner._running.values())
    runner._running.clear()  # so that nothing that they give is taken
    runner.accept = _taken
    runner._delivery.stop()
    for attempt in attempts:
        if attempt.coroutine_task is not None:
            attempt.coroutine_task.cancel()
        if attempt.local is not None:
            attempt.local.cancel()
    life._keeper.stop()
    await asyncio.wait([life._kept], timeout=_UNWIND_S_MAX)  # a renewal in its thread may be under way
    await life._background.cancel()
    await _unwound([attempt.coroutine_task for attempt in attempts])
    runner.close()


def _taken(_claimed: ClaimedTask, _ended: ActivityEnded, _asked_s: float) -> bool:
    return True


async def _unwound(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    pending = [task for task in tasks if task is not None and not task.done()]
    if pending:
        await asyncio.wait(pending, timeout=_UNWIND_S_MAX)
