"""`Worker`: the process that runs code."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol

from .. import _limits
from .._duration import Duration, milliseconds, retention_ms, seconds
from .._ids import DEFAULT_QUEUE, checked_queue
from .._retention import Archive, archive_of
from ..author import Workflow
from ..codec import Codec
from ..errors import DefinitionError, InvalidCallError
from ..interceptors import Interceptor, checked_interceptors
from ..stores import Store
from ._life import Life
from ._plans import registered_activities, registered_workflows, workflows_by_inbox
from ._settings import Settings
from ._signals import stop_signals

logger = logging.getLogger("durable.worker")

_THREADS_DEFAULT = 32  # they mostly wait; more of them fight for the interpreter's lock


class Connected(Protocol):
    """The part of a `Client` that a worker needs."""

    @property
    def store(self) -> Store:
        """The store that holds the runs."""
        ...

    @property
    def codec(self) -> Codec:
        """What turns values into payloads."""
        ...

    @property
    def interceptors(self) -> tuple[Interceptor, ...]:
        """What is around the calls of the worker's code, unless the worker is told otherwise."""
        ...


class Worker:
    """Runs workflows and activities of one task queue. Several may run, in one process or many: they share the work.

    `workflows` may hold several pinned versions of one name. `activities` takes decorated functions, instances with decorated
    methods, and modules. At most `max_concurrent_activities` run at once, of which `max_threads` in threads (those that are a plain `def`) and
    `max_processes` in processes (cpu_bound ones). `cache_runs` runs are kept in memory; others are replayed when something
    happens to them. If this worker dies, others take over within twice `lease_ttl`. A stop gives running activities
    `grace` to end. `renew_in_thread=False` is for tests in virtual time: then a blocked event loop costs the leases. `interceptors` are
    around what its code does, the first one outermost (default: those of the client).

    Closed runs are removed once they are older than `retention` (default: kept for ever), or than their `@workflow(retention=...)`
    says: in the background, some at a time, those of the workflows that this worker knows. Before that, `archive` is called with
    each (an `ArchivedRun`), or writes it to a folder, named by its path or URL: at least once. If it fails, the run is kept,
    and it is tried again.

    Use it in `async with`, which runs it in the background and stops it gracefully at the end, or call `run`. Once only.

    Raises `DefinitionError` for what is no workflow or activity and for two of one name, `ValueError` for a limit out of range.
    """

    def __init__(
        self,
        client: Connected,
        *,
        workflows: Iterable[Workflow[..., Any]] = (),
        activities: Iterable[Any] = (),
        queue: str = DEFAULT_QUEUE,
        max_concurrent_activities: int = 100,
        max_threads: int | None = None,
        max_processes: int | None = None,
        cache_runs: int | None = None,
        lease_ttl: Duration = _limits.LEASE_TTL_MS / 1000,
        grace: Duration = 30.0,
        renew_in_thread: bool = True,
        interceptors: Sequence[Interceptor] | None = None,
        retention: Duration | None = None,
        archive: Archive | str | os.PathLike[str] | None = None,
    ) -> None:
        total = _positive(max_concurrent_activities, "max_concurrent_activities")
        ttl_ms = milliseconds(lease_ttl, what="lease_ttl")
        if ttl_ms < 100:
            raise ValueError(f"lease_ttl: expected at least 100 ms, got {lease_ttl!r}")
        around = client.interceptors if interceptors is None else checked_interceptors(interceptors)
        checked = checked_queue(queue)
        self._settings = Settings(
            workflows=workflows_by_inbox(registered_workflows(workflows, around), checked),
            activities=registered_activities(activities),
            queue=checked,
            activities_max=total,
            threads_max=_positive(
                max_threads if max_threads is not None else min(total, _THREADS_DEFAULT), "max_threads"
            ),
            processes_max=_positive(
                max_processes if max_processes is not None else os.cpu_count() or 1, "max_processes"
            ),
            # Read now and not as a default, so that a test can set it for the whole suite.
            cache_runs=_limits.CACHE_RUNS_MAX if cache_runs is None else _at_least_0(cache_runs, "cache_runs"),
            lease_ttl_ms=ttl_ms,
            grace_s=seconds(grace, what="grace"),
            renew_in_thread=renew_in_thread,
            interceptors=around,
            retention_ms=retention_ms(retention),
            archive=archive_of(archive),
        )
        if not self._settings.workflows and not self._settings.activities:
            raise DefinitionError("a worker needs workflows=[...], activities=[...], or both")
        if any(item.mode == "process" for item in self._settings.activities.values()):
            _check_codec(client.codec)
        self._client = client
        self._life: Life | None = None
        self._parent: asyncio.Task[Any] | None = None
        self._cancelled_parent = False

    async def __aenter__(self) -> Worker:
        """Run in the background of the calling task's event loop. Should the worker fail, the block is cancelled and raises why."""
        self._life = self._new_life()
        await self._life.begin()
        self._parent = asyncio.current_task()
        self._life.on_failure(self._cancel_parent)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop gracefully, as by a first signal. Raises what made the worker fail, if anything did."""
        life, parent, self._parent = self._life, self._parent, None
        assert life is not None
        interrupted = await self._stop(life)
        if self._cancelled_parent and parent is not None:
            interrupted = parent.uncancel() > 0  # someone else wants it cancelled as well: that goes first
        elif isinstance(error, asyncio.CancelledError):
            return
        if interrupted and error is None:
            raise asyncio.CancelledError
        if (
            not interrupted
            and life.failure is not None
            and (error is None or isinstance(error, asyncio.CancelledError))
        ):
            raise life.failure

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or `stop`; then stop gracefully. A second signal stops hard.

        Gracefully: take no more work, hand the workflows to other workers at once, let running activities end within the
        grace, cancel what is left and hand it back. Hard: cancel everything and hand it back. Signals are heard in the main
        thread only. Cancelling `run` is like a first signal, and cancelling it again like a second one.

        Raises what made a part of the worker fail, if anything did.
        """
        life = self._life = self._new_life()
        with stop_signals(life.on_signal):
            await life.begin()
            cancelled = False
            try:
                await life.wait_until_told()
            except asyncio.CancelledError:
                cancelled = True
            cancelled = await self._stop(life) or cancelled
        if life.failure is not None:
            raise life.failure
        if cancelled:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Begin to stop gracefully, as a first signal does. Returns at once; `run` returns when it is done."""
        if self._life is not None:
            self._life.tell()

    async def _stop(self, life: Life) -> bool:
        """Stop to the end, even if the calling task is cancelled meanwhile: that makes it a hard stop. Returns whether it was."""
        stopping = asyncio.get_running_loop().create_task(life.end())
        cancelled = False
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                if not stopping.done():
                    cancelled = True
                    life.hurry()
        stopping.result()
        return cancelled

    def _new_life(self) -> Life:
        if self._life is not None:
            raise InvalidCallError("a Worker runs once: make another one")
        return Life(self._client.store, self._client.codec, self._settings)

    def _cancel_parent(self) -> None:
        if self._parent is not None:
            self._cancelled_parent = True
            self._parent.cancel()


def _positive(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{what}: expected a whole number from 1 on, got {value!r}")
    return value


def _at_least_0(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{what}: expected a whole number from 0 on, got {value!r}")
    return value


def _check_codec(codec: Codec) -> None:
    try:
        pickle.dumps(codec)
    except Exception as error:
        raise DefinitionError(
            f"cpu_bound activities run in another process, which needs a copy of the codec, and {codec!r} "
            f"cannot be pickled: {error}"
        ) from error
