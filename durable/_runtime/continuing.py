"""How a run's code ends to go on as a new run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .matcher import is_group

if TYPE_CHECKING:
    import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What the next run is to be. For the fields see `RunStarted`."""

    workflow: str
    queue: str
    args: msgspec.Raw
    timeout_ms: int | None
    version: str
    pinned: bool
    headers: dict[str, str] | None


class ContinueAsNew(BaseException):
    """Leaves the workflow's code. Not an `Exception`, so that no `except Exception` on the way takes it."""

    def __init__(self, target: NewRun) -> None:
        super().__init__(f"the run continues as a new one of {target.workflow}")
        self.target = target


def continuation_in(error: BaseException) -> tuple[ContinueAsNew | None, BaseException | None]:
    """Return the request in what left the code, and what else is in it: the run goes on as new only if that is None.

    A `TaskGroup` wraps what leaves its block into a group; if something else in it failed as well, that is the run's failure.
    """
    if isinstance(error, ContinueAsNew):
        return error, None
    if is_group(error):
        asked, rest = error.split(ContinueAsNew)
        if asked is not None:
            return (None, rest) if rest is not None else (_first(asked), None)
    return None, error


def _first(error: BaseException) -> ContinueAsNew | None:
    while is_group(error):
        error = error.exceptions[0]
    return error if isinstance(error, ContinueAsNew) else None
