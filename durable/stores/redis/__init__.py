"""The store on Redis or Valkey, which many processes of many machines may share."""

from ..._clock import Clock
from .._url import parse
from ._connect import opened
from ._connection import connection_of
from ._options import options_of
from ._store import RedisStore

__all__ = ["RedisStore", "open_redis"]


async def open_redis(url: str, *, clock: Clock, partitions: int | None) -> RedisStore:
    """Open the namespace at `url`; it is made if there is none. Raises as `open_store` does."""
    options = options_of(url, parse(url), partitions)
    connection = connection_of(options)
    try:
        namespace = await opened(connection, options, clock)
    except BaseException:
        await connection.close()
        raise
    return RedisStore(namespace, options)
