"""Which run the code on the stack belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..errors import InvalidCallError

if TYPE_CHECKING:
    from .run import Run

# Set once in the context of a run; every task of the run inherits it. Nothing outside runs in such a context.
_RUN: ContextVar[Run] = ContextVar("durable_run")


def current_run() -> Run | None:
    """Return the run whose code is calling, or None outside workflow code."""
    return _RUN.get(None)


def require_run(what: str) -> Run:
    """Return the run whose code is calling. Raises `InvalidCallError` outside workflow code, naming `what`."""
    run = _RUN.get(None)
    if run is None:
        raise InvalidCallError(f"{what} works only in workflow code, while a worker runs it")
    return run


def bind(run: Run) -> None:
    """Make `run` the current one in the calling context."""
    _RUN.set(run)
