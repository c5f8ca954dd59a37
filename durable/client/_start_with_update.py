"""Start a run, or take the open one, and send it an update: as one call, that may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Required, TypedDict

from .._duration import Duration, seconds
from .._ids import checked_name
from .._log import Acceptance
from ..author import Attribute, Update
from ..errors import RunAlreadyOpenError, RunClosedError, RunNotFoundError
from ._handle import Handle
from ._options import Reuse
from ._starting import Start
from ._updates import Sending, Trail, UpdateHandle, Wait, checked_wait

_TRIES = 3  # the run may close between the two


class StartWithUpdateOptions(TypedDict, total=False):
    """See `Client.start_with_update`."""

    id: Required[str]
    queue: str
    run_timeout: Duration | None
    execution_timeout: Duration | None
    reuse: Reuse
    version: str | None
    attributes: Mapping[Attribute[Any], Any] | None
    memo: Mapping[str, Any] | None
    wait: Wait
    update_id: str | None
    timeout: Duration


class StartWithUpdate:
    """See `Client.start_with_update`: all but the workflow's arguments is checked."""

    def __init__(
        self,
        starting: Start,
        update: Update[Any, Any] | str,
        value: tuple[Any, ...],
        *,
        wait: Wait,
        update_id: str | None,
        timeout: Duration,
    ) -> None:
        self._starting, self._value = starting, value
        self._given = None if update_id is None else checked_name(update_id, "update id")
        self._waits, self._timeout_s = checked_wait(wait), seconds(timeout, what="timeout")
        self._sending = Sending(
            starting.line, starting.expected, update, value
        )  # its value is checked before anything is written

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> UpdateHandle[Any]:
        """Do it."""
        update_id = self._given or self._starting.line.clock.new_id()
        since = await self._earlier() or await self._accepted(update_id, args, kwargs)
        line, expected = self._starting.line, self._starting.expected
        run = Handle[Any](line, since.run_id, expected)
        started = UpdateHandle[Any](run, line, expected, self._sending.update, update_id, since)
        if self._waits:
            await started.result()
        return started

    async def _earlier(self) -> Acceptance | None:
        """Return what an earlier try of this call did in a run that is closed by now: it must not start another one."""
        if self._given is None:
            return None
        line = self._starting.line
        try:
            document = await line.document(None)
        except RunNotFoundError:
            return None
        trail = Trail(line, document.id, self._given, 0)
        if document.open or not await line.insist(trail.was_accepted):
            return None
        return Acceptance(run_id=trail.accepted_by)

    async def _accepted(self, update_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Acceptance:
        for attempt in range(1, _TRIES + 1):
            try:
                run = await self._starting.call(args, kwargs)
            except RunAlreadyOpenError as error:
                run = error.handle
            try:
                return await self._sending.accepted(run.run_id, update_id, self._timeout_s)
            except RunClosedError:
                if attempt == _TRIES:
                    raise
        raise AssertionError  # the last round returns or raises
