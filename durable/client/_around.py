"""The interceptors of a client, as chains around its calls, made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._headers import checked_headers
from ..interceptors import (
    CancelInput,
    Interceptor,
    QueryInput,
    SignalInput,
    StartInput,
    TerminateInput,
    UpdateInput,
    chained,
    checked_interceptors,
)

if TYPE_CHECKING:
    from ._handle import Handle


class Around:
    """The chains, each None where no interceptor is interested. See `Interceptor`."""

    __slots__ = ("cancel", "interceptors", "query", "signal", "start", "terminate", "update")

    def __init__(self, interceptors: Sequence[Interceptor] = ()) -> None:
        self.interceptors = checked_interceptors(interceptors)
        self.start = chained(self.interceptors, "start", _start)
        self.signal = chained(self.interceptors, "signal", _signal)
        self.query = chained(self.interceptors, "query", _query)
        self.update = chained(self.interceptors, "update", _update)
        self.cancel = chained(self.interceptors, "cancel", _cancel)
        self.terminate = chained(self.interceptors, "terminate", _terminate)


async def _start(given: StartInput) -> Handle[Any]:
    handle: Handle[Any] = await given._call(given.args, dict(given.kwargs), checked_headers(given.headers))
    return handle


async def _signal(given: SignalInput) -> None:
    await given._call(given.value, checked_headers(given.headers))


async def _query(given: QueryInput) -> Any:
    return await given._call(given.args, checked_headers(given.headers))


async def _update(given: UpdateInput) -> Any:
    return await given._call(given.value, checked_headers(given.headers))


async def _cancel(given: CancelInput) -> None:
    await given._call(given.reason)


async def _terminate(given: TerminateInput) -> None:
    await given._call(given.reason)
