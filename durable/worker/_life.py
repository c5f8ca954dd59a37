"""The life of a worker: it begins a session, runs its parts, and hands everything back at its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence

import msgspec

from .._log import Offer, session_groups
from ..codec import Codec
from ..errors import StoreError
from ..stores import Lease, Renewal, Store, TaskInfo
from ._background import Background
from ._engines import Engines
from ._keeper import Keeper
from ._retention import Retention
from ._runner import Runner
from ._settings import Settings
from ._slots import Slots
from ._unknown import watch_for_waiting

logger = logging.getLogger("durable.worker")

_CLOSE_S_MAX = 5.0  # for what must be orderly but may not hang: the last renewal, the end of the session


class Life:
    """One life of a worker, in the event loop that made it: `begin`, then `end`."""

    def __init__(self, store: Store, codec: Codec, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._clock = store.clock
        self.session = store.clock.new_id()
        self._told = asyncio.Event()
        self._hard = False
        self._on_failure: Callable[[], None] | None = None
        self._background = Background(self._failed)
        slots = Slots(settings.activities_max, threads=settings.threads_max, processes=settings.processes_max)
        self._runner = Runner(
            store, codec, self.session, settings.queue, settings.activities, slots, settings.interceptors
        )
        self._engines = Engines(store, codec, settings, self.session, self._runner, self._publish)
        self._publishing = False
        self._runner.accept = self._engines.accept
        self._keeper = Keeper(store, self.session, settings.lease_ttl_ms, self, use_thread=settings.renew_in_thread)
        self._runner.is_sure = self._keeper.is_sure

    @property
    def failure(self) -> BaseException | None:
        """What made a part fail, if one did."""
        return self._background.error

    async def begin(self) -> None:
        """Begin the session and start all parts. Raises `StoreError` if the store cannot be reached."""
        await self._begin_session()
        start, runner, settings = self._background.start, self._runner, self._settings
        self._kept = start("keeper", self._keeper.run())
        start("time limits", runner.watch_time())
        for name, engine in self._engines.named():
            start(name, engine.run())
        retention = Retention(self._store, self.session, settings, self._engines.leases)
        start("retention", retention.run())
        shares = bool(settings.workflows)
        for mode in ("async", "thread", "process"):
            start(f"claims-{mode}", runner.claim(mode, shares=shares))
        start("waiting", watch_for_waiting(self._store, settings.queue, runner.known, self._look_for_unknown))
        logger.info(
            "worker %s started on %s: queue %s, %d workflows, %d activities",
            self.session, self._store.url, settings.queue,
            sum(map(len, settings.workflows.values())), len(settings.activities),
        )  # fmt: skip

    async def _begin_session(self) -> None:
        settings = self._settings
        offer = Offer(
            pid=os.getpid(),
            host=socket.gethostname(),
            workflows=sorted(settings.workflows.get(settings.queue, ())),
            activities=sorted(settings.activities),
            inboxes=sorted(settings.workflows),
            needs=self._engines.needs(),
        )
        group = session_groups(settings.queue)[0 if settings.workflows else 1]
        asked_s = self._clock.monotonic()
        await self._store.begin_session(self.session, group, msgspec.json.encode(offer), settings.lease_ttl_ms)
        self._keeper.began(asked_s)

    def _publish(self) -> None:
        """An engine met a workflow that it lacks: let the session say so."""
        if not self._publishing and not self._told.is_set():
            self._publishing = True
            self._background.start("needs", self._published())

    async def _published(self) -> None:
        try:
            await self._begin_session()
        except StoreError as error:
            logger.warning("other workers could not be told which workflows are missing here, trying again: %s", error)
        finally:
            self._publishing = False
        self._engines.rebalance()

    def _look_for_unknown(self, tasks: Sequence[TaskInfo]) -> None:
        """The store may hold claims for this session that nobody here knows of: it fell back to when they were ours."""
        if any(info.claimed_by == self.session and not self._runner.knows(info.task.id) for info in tasks):
            self._runner.doubt()

    # --- being told to stop

    def on_failure(self, call: Callable[[], None]) -> None:
        """Call this when a part fails; at once if one has failed already."""
        self._on_failure = call
        if self.failure is not None:
            call()

    async def wait_until_told(self) -> None:
        """Wait until the worker is told to stop, or a part of it fails."""
        await self._told.wait()

    def tell(self) -> None:
        """Stop gracefully."""
        self._told.set()

    def on_signal(self, name: str) -> None:
        """A first signal: stop gracefully. Another one: stop hard."""
        if self._told.is_set():
            logger.warning("%s again: stopping now, without waiting for activities", name)
            self.hurry()
        else:
            running = self._runner.running
            logger.log(
                logging.WARNING if running else logging.INFO,
                "%s: stopping; %d running activities have %g s to end; a second signal stops them at once",
                name, running, self._settings.grace_s,
            )  # fmt: skip
            self.tell()

    def hurry(self) -> None:
        """Stop hard."""
        self._hard = True
        self._told.set()
        self._runner.hurry()

    def _failed(self, _error: BaseException) -> None:
        self._told.set()
        if self._on_failure is not None:
            self._on_failure()

    # --- what the keeper asks (see `Held`)

    def leases(self) -> Sequence[Lease]:
        """See `Held`."""
        return self._engines.leases()

    def claims(self) -> Sequence[str]:
        """See `Held`."""
        return self._runner.claims()

    def lost(self, renewal: Renewal) -> None:
        """See `Held`."""
        if renewal.leases:
            self._engines.lost(renewal.leases)
        if renewal.tasks:
            self._runner.lost(renewal.tasks)
        if renewal.cancelled:
            self._runner.cancel(renewal.cancelled)
        if renewal.session_expired and not self._told.is_set():
            logger.warning(
                "the session had expired (was this process stopped, or the store out of reach?); it is begun anew"
            )
            self._background.start("session", self._revive())

    async def _revive(self) -> None:
        try:
            await self._begin_session()
        except StoreError as error:
            logger.warning("the session could not be begun anew, the next renewal tries again: %s", error)

    # --- the end

    async def end(self) -> None:
        """Stop as gracefully as `hurry` allows, hand everything back, and end the session. Raises nothing of the store's."""
        self._told.set()
        self._runner.close_intake()
        # From here on results go through the store: the engine's last commit may be under way already.
        self._runner.accept = lambda _task, _ended, _asked_s: False
        engine_stop = self._background.start("engine-stop", self._engines.stop()) if self._engines.named() else None
        if not self._hard:
            await self._runner.wait_until_idle(self._settings.grace_s)
        if engine_stop is not None:
            await self._bounded(engine_stop)
        await self._bounded(asyncio.ensure_future(self._runner.give_up_all(patience=not self._hard)))
        self._keeper.stop()
        await self._bounded(self._kept)
        await self._background.cancel()
        await self._end_session()
        self._runner.close()
        logger.info("worker %s stopped", self.session)

    async def _end_session(self) -> None:
        ending = asyncio.get_running_loop().create_task(self._store.end_session(self.session))
        await self._bounded(ending)
        if not ending.done() or ending.cancelled():
            logger.warning("the session could not be ended in time; what it holds is free when it expires")
        elif (error := ending.exception()) is not None:
            logger.warning("the session could not be ended; what it holds is free when it expires: %s", error)

    async def _bounded(self, task: asyncio.Task[None]) -> None:
        """Wait for `task`, but not for ever; it is cancelled then. Its errors are someone else's to report."""
        ended = asyncio.Event()
        task.add_done_callback(lambda _task: ended.set())
        await self._clock.wait(ended, _CLOSE_S_MAX)
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_S_MAX)
