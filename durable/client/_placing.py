"""Finds the place of a new run among those of its workflow id, as the policies say, whoever else starts that id meanwhile.

A look at the latest run decides; then the run is created on the condition that this is still the latest one. If it is not,
someone was quicker, and the next look decides anew.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .._log import SendSignal, StartRun, Terminate, has_recorded, message_entry, start_entry
from ..errors import (
    NameTakenError,
    RequestTimeoutError,
    RunAlreadyOpenError,
    RunClosedError,
    RunNotFoundError,
    WorkflowIdUsedError,
)
from ..stores import Document, document_topic
from ._handle import Handle
from ._line import Line
from ._options import ENDED_BADLY, OnConflict, Reuse
from ._outcome import Expected
from ._patience import wait_for

_LOOKS_MAX = 20  # each further look means that another start, or the end of a run, came in between
_TERMINATION_S = 10.0  # a worker that is there does it in milliseconds


class Placing:
    """Places runs of one workflow id."""

    def __init__(self, line: Line, expected: Expected, on_conflict: OnConflict, reuse: Reuse) -> None:
        self._line, self._expected = line, expected
        self._on_conflict, self._reuse = on_conflict, reuse

    async def place(self, document: Document, start: StartRun) -> Handle[Any]:
        """Create the run, or find the one that serves in its place, and return the handle."""
        line, entry = self._line, start_entry(self._line.workflow_id, start)
        # Where any closed run may be followed, and an open one is an error, the store's own check is enough at first.
        expects: str | None = None
        seen: Document | None = None
        blind = self._reuse == "allow" and self._on_conflict != "use_existing"
        for _ in range(_LOOKS_MAX):
            if not blind:
                seen = await self._latest()
                if seen is not None:
                    found = await self._settle(seen, start)
                    if found is not None:
                        return self._handle(found)
                    if seen.open:
                        continue  # it was open, and is not any more: look again how it ended
                expects = "" if seen is None else seen.id
            try:
                created = await line.insist(
                    partial(line.store.create, line.partition, document, [entry], latest=expects)
                )
            except NameTakenError:
                blind = False
                continue
            return self._handle(created)
        raise self._already_open(seen or document)

    async def _latest(self) -> Document | None:
        try:
            return await self._line.document(None)
        except RunNotFoundError:
            return None

    async def _settle(self, latest: Document, start: StartRun) -> Document | None:
        """Return the run that serves in place of a new one; None if one may be created after `latest`, or it is to be looked at anew."""
        if latest.request == start.request:
            return latest  # a repeat of this call
        if not latest.open:
            if start.signals and await self._has_signal(latest, start):
                return latest  # a repeat: the first call signalled this run, which was open then
            self._check_reuse(latest, latest.state)
            return None
        if self._on_conflict == "terminate_existing":
            self._check_reuse(latest, "terminated")
            await self._terminate(latest, start)
            return None
        if self._on_conflict == "fail" or latest.kind != start.workflow:
            raise self._already_open(latest)
        return await self._signalled(latest, start) if start.signals else latest

    def _check_reuse(self, latest: Document, status: str) -> None:
        if self._reuse == "allow" or (self._reuse == "after_failure" and status in ENDED_BADLY):
            return
        state = "open" if latest.open else f"closed as {latest.state}"
        raise WorkflowIdUsedError(
            f"workflow id {latest.name!r} was used: its run {latest.id} of {latest.kind} is {state}, and reuse={self._reuse!r} "
            f"does not allow another; choose another id",
            handle=self._handle(latest),
            workflow_id=latest.name,
            run_id=latest.id,
            status=latest.state,
        )

    async def _has_signal(self, closed: Document, start: StartRun) -> bool:
        line = self._line
        return await line.insist(lambda: has_recorded(line.store, line.partition, closed.id, start.request))

    async def _signalled(self, latest: Document, start: StartRun) -> Document | None:
        line, signal = self._line, start.signals[0]
        message = SendSignal(run_id=latest.id, name=signal.name, value=signal.value, request=signal.request,
            headers=signal.headers,
        )  # fmt: skip
        entry = message_entry(f"{line.workflow_id}/signal/{signal.request}", line.workflow_id, message)
        try:
            return await line.insist(lambda: line.store.send(line.partition, entry, id=latest.id))
        except RunClosedError:
            return None

    async def _terminate(self, latest: Document, start: StartRun) -> None:
        """Terminate the open run and wait until it is closed, in whatever way."""
        line, request = self._line, f"{start.request}/terminate"
        reason = f"another run of {line.workflow_id!r} was started in its place"
        message = Terminate(run_id=latest.id, request=request, reason=reason)
        entry = message_entry(f"{line.workflow_id}/terminate/{request}/{latest.id}", line.workflow_id, message)
        try:
            await line.insist(lambda: line.store.send(line.partition, entry, id=latest.id))
        except RunClosedError:
            return

        async def look() -> bool | None:
            return None if (await line.document(latest.id)).open else True

        if not await wait_for(line.store, [document_topic(latest.id)], look, _TERMINATION_S):
            raise RequestTimeoutError(
                f"run {latest.id} of {line.workflow_id!r} was asked to terminate, and no worker has done so within "
                f"{_TERMINATION_S:g} s; is one running for task queue {latest.inbox!r}? Nothing was started"
            )

    def _already_open(self, latest: Document) -> RunAlreadyOpenError:
        other = "" if self._on_conflict == "fail" else f", and on_conflict={self._on_conflict!r} cannot use it"
        return RunAlreadyOpenError(
            f"a run of workflow id {latest.name!r} is open (run {latest.id} of {latest.kind}){other}; "
            "`error.handle` is its handle",
            handle=self._handle(latest),
        )

    def _handle(self, document: Document) -> Handle[Any]:
        return Handle(self._line, document.id, self._expected)
