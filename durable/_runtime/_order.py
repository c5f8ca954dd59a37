"""A fixed order for `asyncio.as_completed`, which would make its tasks in the order of a set of coroutines.

Coroutines hash by address, so two executions of one run could number their tasks differently. No other function of asyncio
does so (looked through on 3.11 to 3.14: `gather`, `TaskGroup`, `wait`, `wait_for` and `shield` keep the order of their arguments).
Replacing `asyncio.as_completed` was dropped: a `from asyncio import as_completed` before ours would escape it.
"""

import asyncio
from asyncio import tasks as _asyncio_tasks
from collections.abc import Coroutine, Iterable
from types import CodeType, CoroutineType, FrameType

from ..errors import NonDeterminismError


def _code_of(*names: str) -> CodeType | None:
    found: object = _asyncio_tasks
    for name in names:
        found = getattr(found, name, None)
    return getattr(found, "__code__", None)


ENSURE_FUTURE = _code_of("_ensure_future") or _code_of("ensure_future")  # the first is Python 3.11's
# The variable with the awaitables, by identity of the code that holds it (3.13 moved it; hashing code itself is slow).
_AS_COMPLETED = {id(_code_of("_AsCompletedIterator", "__init__")): "aws", id(_code_of("as_completed")): "fs"}
_FRAMES_MAX = 4  # ensure_future, a comprehension (3.11), as_completed, and one to spare


def awaitables_of_as_completed(frame: FrameType | None) -> list[Coroutine[object, object, object]]:
    """Return the coroutines that `as_completed` was given, in the caller's order; none if `frame` is not under it.

    Raises `NonDeterminismError` if that order is lost already.
    """
    for _ in range(_FRAMES_MAX):
        if frame is None:
            break
        name = _AS_COMPLETED.get(id(frame.f_code))
        if name is not None:
            return _coroutines(frame.f_locals[name])
        frame = frame.f_back
    return []


def _coroutines(given: Iterable[object]) -> list[Coroutine[object, object, object]]:
    if iter(given) is given or isinstance(given, set | frozenset):
        kind = type(given).__name__
        raise NonDeterminismError(
            f"asyncio.as_completed was given a {kind} of coroutines, whose order no replay could repeat; pass a list"
        )
    distinct = {id(one): one for one in given}.values()
    for one in distinct:
        if not asyncio.isfuture(one) and not asyncio.iscoroutine(one) and type(one).__hash__ is object.__hash__:
            raise NonDeterminismError(
                f"asyncio.as_completed was given {one!r}, which has no fixed place in a set; "
                "wrap it first: asyncio.ensure_future(...)"
            )
    return [one for one in distinct if isinstance(one, CoroutineType)]
