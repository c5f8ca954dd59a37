"""Where runs are kept. `open_store` opens a store by its URL; `Store` is what every one of them promises.

| URL | what it is |
|---|---|
| `memory:` | a fresh store in this process |
| `memory:name` | one that all who open this name in this process share, until the process ends |
| `sqlite:///relative.db`, `sqlite:////absolute.db` | a file; several processes of one machine may share it |
| `redis://user:password@host:port/db`, `rediss://` (TLS), `unix:///path` | a server of Redis or Valkey, which many machines may share |
| `redis+sentinel://host:port,host2:port/service` | the primary that sentinels name |
| `redis+cluster://host:port,host2:port` | a cluster; some of its servers are enough |

Options follow a "?": `partitions=N` (only when the store is made), and for SQLite `synchronous=full` (the default: what was
acknowledged survives a power cut) or `normal` (it survives the death of the process, not of the machine), and
`busy_timeout=10s` (how long a write waits for other processes before it raises `StoreUnavailableError`). For Redis: `namespace=name`
("durable" if not said), `wait_replicas=N` (each write waits until so many replicas have it), `allow_eviction=yes`; over TLS (`rediss://`, `rediss+sentinel://`,
`rediss+cluster://`) `tls_ca`, `tls_cert`, `tls_key` (paths of PEM files) and `tls_check_hostname=no`; for sentinels that want a
password of their own `sentinel_user` and `sentinel_password`.

Other stores register a scheme as an entry point of the group "durable.stores": a coroutine function of
`(url: str, *, clock: Clock, partitions: int | None)` that returns a `Store`. It is looked up only for a scheme that is not ours.
"""

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Protocol

from .._clock import Clock, SystemClock
from ..errors import StoreUrlError
from . import _url
from ._protocol import (
    Append,
    AttributeValue,
    ClaimedTask,
    Commit,
    Condition,
    Document,
    DocumentFilter,
    DocumentUpdate,
    Due,
    Entry,
    InboxEntry,
    Inspect,
    Lease,
    Outgoing,
    Renewal,
    Reply,
    SessionInfo,
    Store,
    Task,
    TaskInfo,
    Watch,
    document_topic,
    inbox_topic,
    reply_topic,
    tasks_topic,
)
from ._rules import PARTITIONS_DEFAULT
from ._upkeep import Finding, Level, Space, checks_of, compact

__all__ = [
    "Append",
    "AttributeValue",
    "ClaimedTask",
    "Commit",
    "Condition",
    "Document",
    "DocumentFilter",
    "DocumentUpdate",
    "Due",
    "Entry",
    "Finding",
    "InboxEntry",
    "Inspect",
    "Lease",
    "Level",
    "Opening",
    "Outgoing",
    "Renewal",
    "Reply",
    "SessionInfo",
    "Space",
    "Store",
    "Task",
    "TaskInfo",
    "Watch",
    "checks_of",
    "compact",
    "document_topic",
    "inbox_topic",
    "open_store",
    "reply_topic",
    "tasks_topic",
]

ENTRY_POINTS = "durable.stores"


class OpenStore(Protocol):
    """How a store of one scheme is opened."""

    def __call__(self, url: str, *, clock: Clock, partitions: int | None) -> Awaitable[Store]:
        """Return the store at `url`. Raises `StoreUrlError` if the URL is not understood."""
        ...


class Opening:
    """A store that is about to be opened: `await` it, or use it in `async with`, which closes the store at the end."""

    def __init__(self, open_it: Callable[[], Awaitable[Store]]) -> None:
        self._open_it = open_it
        self._store: Store | None = None

    def __await__(self) -> Generator[object, None, Store]:
        return self._opened().__await__()

    async def _opened(self) -> Store:
        return await self._open_it()

    async def __aenter__(self) -> Store:
        self._store = await self._open_it()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()


def open_store(url: str, *, clock: Clock | None = None, partitions: int | None = None) -> Opening:
    """Open the store at `url`: `store = await open_store(url)`, or `async with open_store(url) as store`.

    `clock` is the machine's if none is given. `partitions` fixes their number when the store is made (default 8, on Redis 16); for a
    store that exists it must be left out or fit.

    Raises `StoreUrlError` for a URL that is not understood, `StoreFormatError` for a file that is not ours or is newer than
    this code, `StoreReadOnlyError`, `StoreFullError`, or `StoreUnavailableError`. A store is of the process that opened it:
    after a fork, the child opens its own.
    """
    used_clock = clock if clock is not None else SystemClock()

    async def open_it() -> Store:
        parsed = _url.parse(url)
        return await _opener(parsed)(url, clock=used_clock, partitions=partitions)

    return Opening(open_it)


async def _open_memory(url: str, *, clock: Clock, partitions: int | None) -> Store:
    from .memory import MemoryStore, shared_state
    from .memory import State as MemoryState

    parsed = _url.parse(url)
    parsed.check_options({"partitions"})
    name, asked = parsed.rest.strip("/"), parsed.partitions(partitions)
    state = shared_state(name, asked) if name else MemoryState(asked or PARTITIONS_DEFAULT)
    if asked is not None and len(state.partitions) != asked:
        raise parsed.refuse(
            f"the store has {len(state.partitions)} partitions, not {asked}; their number cannot change"
        )
    return MemoryStore(state, clock, parsed.shown)


async def _open_sqlite(url: str, *, clock: Clock, partitions: int | None) -> Store:
    from .sqlite import open_sqlite

    return await open_sqlite(_url.parse(url), clock=clock, partitions=partitions)


async def _open_redis(url: str, *, clock: Clock, partitions: int | None) -> Store:
    try:
        from .redis import open_redis
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("redis", "hiredis"):
            raise
        raise _url.parse(url).refuse(
            "Redis and Valkey need the packages redis and hiredis: pip install 'durable-sdk[redis]'"
        ) from None

    return await open_redis(url, clock=clock, partitions=partitions)


_OURS: dict[str, OpenStore] = {
    "memory": _open_memory,
    "sqlite": _open_sqlite,
    "redis": _open_redis,
    "rediss": _open_redis,
    "unix": _open_redis,
    "redis+cluster": _open_redis,
    "rediss+cluster": _open_redis,
    "redis+sentinel": _open_redis,
    "rediss+sentinel": _open_redis,
}
_ALIKE = {"valkey": "redis", "valkeys": "rediss"}


def _opener(parsed: _url.StoreUrl) -> OpenStore:
    found = _OURS.get(parsed.scheme) or _registered(parsed.scheme)
    if found is not None:
        return found
    if parsed.scheme in _ALIKE:
        raise parsed.refuse(f"Valkey is spoken to as Redis is: write {_ALIKE[parsed.scheme]}://")
    raise parsed.refuse(f"unknown scheme {parsed.scheme!r}; {_url.EXPECTED}")


def _registered(scheme: str) -> OpenStore | None:
    """Return what another distribution registered for `scheme`. Only what is installed here can be named, never by a store's content."""
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=ENTRY_POINTS, name=scheme):
        loaded: object = entry_point.load()
        if not callable(loaded):
            raise StoreUrlError(f"the entry point {entry_point.value!r} for stores of scheme {scheme!r} is no function")
        return loaded  # pyright: ignore[reportReturnType]
    return None
