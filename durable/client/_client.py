"""`Client`: the way to a store's runs."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from .._clock import Clock
from .._duration import Duration
from .._ids import checked_name, checked_queue, checked_workflow_id
from .._log import Status, read_run
from .._retention import Archive
from ..author import Activity, Attribute, AttributeCondition, Signal, Update, Workflow
from ..codec import Codec, default_codec
from ..errors import DefinitionError, InvalidCallError
from ..interceptors import Interceptor, checked_interceptors
from ..stores import Opening, Store, open_store
from ._activity import ActivityHandle
from ._around import Around
from ._description import RunDescription, described
from ._filters import filter_of
from ._handle import Handle
from ._health import Health, health
from ._line import Line
from ._options import StartOptions
from ._outcome import expected_of
from ._parked import Parked
from ._patience import insist
from ._prune import Pruned, prune
from ._sending import first_signal
from ._start_with_update import StartWithUpdate, StartWithUpdateOptions
from ._starting import Start
from ._updates import ANSWER_S, UpdateHandle
from ._versions import PatchUse, VersionUse, patch_uses, version_uses

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
V = TypeVar("V")


class Client:
    """Starts runs of workflows in a store, and finds them again. Make one with `Client.connect`, or around an open store."""

    def __init__(self, store: Store, *, codec: Codec | None = None, interceptors: Sequence[Interceptor] = ()) -> None:
        self._store = store
        self._codec = default_codec() if codec is None else codec
        self._around = Around(interceptors)

    @staticmethod
    def connect(
        url: str, *, codec: Codec | None = None, clock: Clock | None = None, interceptors: Sequence[Interceptor] = ()
    ) -> Connecting:
        """Open the store at `url`: `async with Client.connect(url) as client`, or `client = await Client.connect(url)`.

        `codec` turns values into what is stored (default: JSON by type hints); workers must use the same. `interceptors`
        are around the calls of this client, its handles, and the workers that are made with it, the first one outermost.
        Raises `StoreUrlError` for a URL that is not understood, `TypeError` for what is no interceptor, and the other
        `StoreError`s if the store cannot be opened.
        """
        return Connecting(open_store(url, clock=clock), codec, checked_interceptors(interceptors))

    @property
    def store(self) -> Store:
        """The store that holds the runs."""
        return self._store

    @property
    def codec(self) -> Codec:
        """What turns values into payloads."""
        return self._codec

    @property
    def interceptors(self) -> tuple[Interceptor, ...]:
        """What is around the calls of this client and of its workers."""
        return self._around.interceptors

    @property
    def parked(self) -> Parked:
        """The tasks that were taken out of their queue, because their worker vanished each time."""
        return Parked(self._store, self._codec)

    async def close(self) -> None:
        """Close the store. A second call does nothing."""
        await self._store.close()

    @overload
    def start(
        self, workflow: Workflow[P, R], **options: Unpack[StartOptions]
    ) -> Callable[P, Coroutine[Any, Any, Handle[R]]]: ...
    @overload
    def start(
        self, workflow: str, **options: Unpack[StartOptions]
    ) -> Callable[..., Coroutine[Any, Any, Handle[Any]]]: ...
    def start(self, workflow: Any, **options: Unpack[StartOptions]) -> Callable[..., Coroutine[Any, Any, Handle[Any]]]:
        """Return a callable that starts a run: `handle = await client.start(checkout, id="order-42")(order)`.

        The options are those of `StartOptions`. The run is durable when the call returns. The handle is that of the run, and
        follows it if it continues as new.

        Raises, before anything is written: `DefinitionError` for what is no workflow, `InvalidIdError`, `InvalidCallError` or
        `EncodeError` for arguments, attributes or a memo that do not fit, `PayloadTooLargeError` for what is too large, `ValueError`
        for an option out of range. Then: `RunAlreadyOpenError`, whose `handle` is the open run's, `WorkflowIdUsedError`, or
        `RequestTimeoutError` if no worker terminates the run that is in the way; and `StoreUnavailableError` if the store
        stays out of reach: whether the run started is unknown then.
        """
        starting = Start(self._store, self._codec, self._around, workflow, **options)

        async def call(*args: Any, **kwargs: Any) -> Handle[Any]:
            return await starting.call(args, kwargs)

        return call

    @overload
    def execute(
        self, workflow: Workflow[P, R], **options: Unpack[StartOptions]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def execute(self, workflow: str, **options: Unpack[StartOptions]) -> Callable[..., Coroutine[Any, Any, Any]]: ...
    def execute(self, workflow: Any, **options: Unpack[StartOptions]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return a callable that starts a run and waits for its result: `start`, then `Handle.result`. Raises as these do."""
        starting = Start(self._store, self._codec, self._around, workflow, **options)

        async def call(*args: Any, **kwargs: Any) -> Any:
            handle = await starting.call(args, kwargs)
            return await handle.result()

        return call

    @overload
    def start_with_signal(
        self, workflow: Workflow[P, R], signal: Signal[None], /, **options: Unpack[StartOptions]
    ) -> Callable[P, Coroutine[Any, Any, Handle[R]]]: ...
    @overload
    def start_with_signal(
        self, workflow: Workflow[P, R], signal: Signal[T], value: T, /, **options: Unpack[StartOptions]
    ) -> Callable[P, Coroutine[Any, Any, Handle[R]]]: ...
    @overload
    def start_with_signal(
        self, workflow: Workflow[P, R], signal: str, /, *value: Any, **options: Unpack[StartOptions]
    ) -> Callable[P, Coroutine[Any, Any, Handle[R]]]: ...
    @overload
    def start_with_signal(
        self, workflow: str, signal: Signal[Any] | str, /, *value: Any, **options: Unpack[StartOptions]
    ) -> Callable[..., Coroutine[Any, Any, Handle[Any]]]: ...
    def start_with_signal(
        self, workflow: Any, signal: Signal[Any] | str, /, *value: Any, **options: Unpack[StartOptions]
    ) -> Callable[..., Coroutine[Any, Any, Handle[Any]]]:
        """Return a callable that signals the open run of the id, or starts one that has the signal from its first step on.

        `handle = await client.start_with_signal(cart, add, item, id="cart-7")(customer)`. Both are one: the signal reaches exactly one
        run, once. The options are those of `start`, but `on_conflict` is "use_existing" unless given; with "fail" or
        "terminate_existing" the signal goes to the new run only. With a `request_id` a repeat does nothing, and returns the handle.

        Raises as `start` does, and `EncodeError` for a value that does not fit the signal; `RunAlreadyOpenError` if the open run is
        one of another workflow.
        """
        to_send = first_signal(self._codec, signal, value)
        options.setdefault("on_conflict", "use_existing")
        starting = Start(self._store, self._codec, self._around, workflow, signal=to_send, **options)

        async def call(*args: Any, **kwargs: Any) -> Handle[Any]:
            return await starting.call(args, kwargs)

        return call

    @overload
    def start_with_update(
        self, workflow: Workflow[P, Any], update: Update[None, T], /, **options: Unpack[StartWithUpdateOptions]
    ) -> Callable[P, Coroutine[Any, Any, UpdateHandle[T]]]: ...
    @overload
    def start_with_update(
        self, workflow: Workflow[P, Any], update: Update[V, T], value: V, /, **options: Unpack[StartWithUpdateOptions]
    ) -> Callable[P, Coroutine[Any, Any, UpdateHandle[T]]]: ...
    @overload
    def start_with_update(
        self, workflow: str, update: Update[Any, T], /, *value: Any, **options: Unpack[StartWithUpdateOptions]
    ) -> Callable[..., Coroutine[Any, Any, UpdateHandle[T]]]: ...
    def start_with_update(
        self, workflow: Any, update: Update[Any, Any], /, *value: Any, **options: Unpack[StartWithUpdateOptions]
    ) -> Callable[..., Coroutine[Any, Any, UpdateHandle[Any]]]:
        """Return a callable that starts a run, or takes the open run of its id, and sends it an update.

        `started = await client.start_with_update(checkout, confirm, card, id="order-42")(order)`: then `started.result()` is
        the update's, and `started.run` the run's handle. `id` must be given; the options are those of `start` but
        `request_id` and `on_conflict`, and `update_id`, `wait` and `timeout` of `Handle.start_update`. With an `update_id`, the whole call may
        be repeated: the update is carried out once, and no second run is started for it. Raises as these two do, but for
        `RunAlreadyOpenError`; if the update is rejected, the run was started nevertheless.
        """
        given: dict[str, Any] = {**options}
        sent: dict[str, Any] = {name: given.pop(name, default) for name, default in (
            ("wait", "accepted"), ("update_id", None), ("timeout", ANSWER_S),
        )}  # fmt: skip
        if given.get("id") is None:
            raise InvalidCallError("start_with_update: id is missing; it is what a repeat finds the run by")
        given["request_id"] = options.get("update_id")
        starting = Start(self._store, self._codec, self._around, workflow, **given)
        call: Callable[..., Coroutine[Any, Any, UpdateHandle[Any]]] = StartWithUpdate(
            starting, update, value, **sent
        ).call
        return lambda *args, **kwargs: call(args, kwargs)

    @overload
    def handle(self, workflow_id: str, run_id: str | None = None, *, workflow: Workflow[..., R]) -> Handle[R]: ...
    @overload
    def handle(self, workflow_id: str, run_id: str | None = None, *, result_type: type[T]) -> Handle[T]: ...
    @overload
    def handle(self, workflow_id: str, run_id: str | None = None, *, result_type: Any = Any) -> Handle[Any]: ...
    def handle(
        self,
        workflow_id: str,
        run_id: str | None = None,
        *,
        workflow: Workflow[..., Any] | None = None,
        result_type: Any = Any,
    ) -> Handle[Any]:
        """Return the handle of a run, or of the latest run of `workflow_id`; nothing is looked up yet.

        `workflow`, or only `result_type`, says what its result is; without it, the result is JSON data. Raises `InvalidIdError`.
        """
        if workflow is not None and not isinstance(workflow, Workflow):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"workflow: expected a function decorated with @workflow, got {workflow!r}")
        line = Line(self._store, self._codec, checked_workflow_id(workflow_id), self._around)
        checked_run_id = None if run_id is None else checked_name(run_id, "run id")
        return Handle(line, checked_run_id, expected_of(workflow, result_type))

    @overload
    def activity(self, token: str) -> ActivityHandle[Any]: ...
    @overload
    def activity(self, token: str, *, activity: Activity[..., Coroutine[Any, Any, R]]) -> ActivityHandle[R]: ...
    @overload
    def activity(self, token: str, *, activity: Activity[..., R]) -> ActivityHandle[R]: ...
    def activity(self, token: str, *, activity: Activity[..., Any] | None = None) -> ActivityHandle[Any]:
        """Return the handle of an attempt of an activity that is completed from outside; nothing is looked up yet.

        `token` is the attempt's `activity_info().token`. With `activity`, the result is checked against its declared type, and
        the errors that it declares are raised as themselves. Raises `InvalidTokenError` for a text that is no token.
        """
        return ActivityHandle(self._store, self._codec, token, activity)

    async def list(
        self,
        *,
        workflow: Workflow[..., Any] | str | None = None,
        status: Status | Sequence[Status] | None = None,
        id_prefix: str | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        stuck: bool | None = None,
        attributes: Mapping[Attribute[Any], Any] | Sequence[AttributeCondition] | None = None,
        before: RunDescription | str | None = None,
        limit: int = 100,
    ) -> builtins.list[RunDescription]:
        """Return up to `limit` runs that match all that is given, newest first, as of the last commit.

        `attributes` are conditions, `[customer == "ada", total >= 5]`, or values, `{customer: "ada"}`; all must hold, and a
        run without the attribute is left out. For the next page pass the last run of this one (or its run id) as `before`.

        Raises `ValueError` for an unknown status, or for a time without a time zone, and `TypeError` or `InvalidCallError`
        for a value of another type.
        """
        if limit < 1:
            raise ValueError(f"limit: expected at least 1, got {limit!r}")
        wanted = filter_of(
            workflow=workflow,
            status=status,
            id_prefix=id_prefix,
            started_after=started_after,
            started_before=started_before,
            stuck=stuck,
            attributes=attributes,
            before=before,
        )
        found = await insist(self._store.clock, lambda: self._store.inspect.documents(wanted, limit=limit))
        return [described(read_run(document), self._codec) for _, document in found]

    async def count(
        self,
        *,
        workflow: Workflow[..., Any] | str | None = None,
        status: Status | Sequence[Status] | None = None,
        id_prefix: str | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        stuck: bool | None = None,
        attributes: Mapping[Attribute[Any], Any] | Sequence[AttributeCondition] | None = None,
    ) -> dict[str, int]:
        """Return how many runs match all that is given, by status; a status without runs is left out. Raises as `list`."""
        wanted = filter_of(
            workflow=workflow,
            status=status,
            id_prefix=id_prefix,
            started_after=started_after,
            started_before=started_before,
            stuck=stuck,
            attributes=attributes,
        )
        return await insist(self._store.clock, lambda: self._store.inspect.count_documents(wanted))

    async def versions(self, *, queue: str | None = None) -> builtins.list[VersionUse]:
        """Return each version of a workflow that an open run or a live worker has: how many open runs, and whether it is served.

        On `queue`, or on the default queue and those with open runs. Reads the record of each open run.
        """
        return await version_uses(self._store, None if queue is None else checked_queue(queue))

    async def patches(self) -> builtins.list[PatchUse]:
        """Return each patch (`patched`, `deprecate_patch`) that an open run has recorded, with how many runs need what.

        Reads the record of each open run, and no history. A patch that no open run has recorded is not in it.
        """
        return await patch_uses(self._store)

    async def health(self) -> Health:
        """Look whether all is well: the store, who owns which partition and how far behind, workers, and what needs attention.

        Reads only, as of now: what has no owner this moment may have one in the next. This is what `durable doctor` shows.
        """
        return await health(self._store)

    async def prune(
        self,
        *,
        older_than: Duration,
        workflow: Workflow[..., Any] | str | None = None,
        status: Status | Sequence[Status] | None = None,
        archive: Archive | str | PathLike[str] | None = None,
        dry_run: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> Pruned:
        """Remove runs that were closed longer than `older_than` ago: records, attributes and histories. Return how many.

        Of `workflow` and with `status` only, if given. `archive` is called with each run before it goes, or writes it to a
        folder, as for `Worker(archive=...)`. `dry_run` only counts. It works with and without workers, in small commits;
        `on_progress` is called with the number of runs so far. An open run is never removed, nor a child whose parent still
        needs it. Handles of a run that is gone raise `RunNotFoundError`, and its workflow id is as if it had not been used by it.

        Raises `ValueError` for an unknown status or "running", and `StoreError`; what is removed by then stays so.
        """
        return await prune(
            self._store,
            older_than=older_than,
            workflow=workflow,
            status=status,
            archive=archive,
            dry_run=dry_run,
            on_progress=on_progress,
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Connecting:
    """A client that is about to be connected: `await` it, or use it in `async with`, which closes the store at the end."""

    def __init__(self, opening: Opening, codec: Codec | None, interceptors: tuple[Interceptor, ...]) -> None:
        self._opening, self._codec, self._interceptors = opening, codec, interceptors
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return self._connected().__await__()

    async def _connected(self) -> Client:
        return Client(await self._opening, codec=self._codec, interceptors=self._interceptors)

    async def __aenter__(self) -> Client:
        self._client = await self._connected()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
