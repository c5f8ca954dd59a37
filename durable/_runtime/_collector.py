"""Tells whether the garbage collector is at work: what it finalizes is dropped at a moment that no replay repeats."""

import gc
from _thread import get_ident
from collections.abc import Mapping

_threads: set[int] = set()


def _note(phase: str, info: Mapping[str, object]) -> None:
    (_threads.add if phase == "start" else _threads.discard)(get_ident())


def watch_collector() -> None:
    """Begin to notice collections. May be called again."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)


def collecting() -> bool:
    """Return whether this thread is inside a garbage collection."""
    return bool(_threads) and get_ident() in _threads
