"""The exit codes of the command line, and which error gives which."""

from typing import Final

from ..errors import (
    AttemptOverError,
    DurableError,
    HistoryError,
    InternalError,
    RequestFailedError,
    RequestTimeoutError,
    RunAlreadyOpenError,
    RunClosedError,
    RunNotFoundError,
    RunOutcomeError,
    StoreError,
)

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
STORE: Final = 4
BUG: Final = 5
INTERRUPTED: Final = 130

_BY_ERROR: tuple[tuple[type[BaseException], int], ...] = (
    (RunNotFoundError, NOT_FOUND),
    (StoreError, STORE),
    (HistoryError, STORE),
    (RunOutcomeError, FAILED),
    (RunClosedError, FAILED),
    (AttemptOverError, FAILED),
    (RunAlreadyOpenError, FAILED),
    (RequestFailedError, FAILED),
    (RequestTimeoutError, FAILED),
    (InternalError, BUG),
    (DurableError, USAGE),
    (TimeoutError, FAILED),
)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code for an error that ended a command."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), BUG)
