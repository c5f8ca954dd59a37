"""The embedded store: one SQLite file, which several processes of one machine may share."""

from pathlib import Path

from ..._clock import Clock
from ..._duration import seconds
from .._url import EXPECTED, StoreUrl
from ._connection import Options
from ._errors import check_version
from ._store import SqliteStore

__all__ = ["SqliteStore", "open_sqlite"]

_SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}


async def open_sqlite(url: StoreUrl, *, clock: Clock, partitions: int | None) -> SqliteStore:
    """Open the store at `url`; the file is made if there is none, its folder is not. Raises as `open_store` does."""
    check_version()
    store = SqliteStore(_options(url, partitions), clock)
    await store.open()
    return store


def _options(url: StoreUrl, partitions: int | None) -> Options:
    url.check_options({"synchronous", "partitions", "busy_timeout"})
    if not url.rest.startswith("///") or len(url.rest) == len("///"):
        raise url.refuse(f"it names no file; {EXPECTED}")
    path = Path(url.rest[len("///") :])
    if path.name == ":memory:":
        raise url.refuse('SQLite\'s ":memory:" cannot be shared between threads; use "memory:" instead')
    if not path.absolute().parent.is_dir():
        raise url.refuse(f"there is no folder {str(path.absolute().parent)!r}; make it first")
    synchronous = _SYNCHRONOUS.get(url.options.get("synchronous", "full").lower())
    if synchronous is None:
        raise url.refuse(f"expected synchronous=full or synchronous=normal, got {url.options['synchronous']!r}")
    try:
        busy_timeout_s = seconds(_number(url.options.get("busy_timeout", "10s")), what="busy_timeout")
    except ValueError as error:
        raise url.refuse(str(error)) from None
    return Options(path.absolute(), url.shown, synchronous, busy_timeout_s, url.partitions(partitions))


def _number(text: str) -> str | float:
    """Return plain digits as seconds, and everything else as it is."""
    return float(text) if text.replace(".", "", 1).isdecimal() else text
