"""Those who start a run of a random program, and all that it needs; and what must have come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...author import Workflow
from ...client import Client, Handle
from ...errors import (
    RequestFailedError,
    RequestTimeoutError,
    RunAlreadyOpenError,
    RunCancelledError,
    RunClosedError,
    RunFailedError,
    RunTerminatedError,
    StoreUnavailableError,
    UpdateRejectedError,
)
from ._activities import NOT_MENDED
from ._insisting import answered, insist
from ._interpreter import (
    RefusedError,
    ask,
    go,
    interpret,
    linger,
    listen,
    listener_of,
    overhear,
    progress,
    suffer,
    victim_of,
)
from ._oracle import allows, failure_of_program
from ._programs import Program, arguments_of, count_of


@dataclass(slots=True)
class Life:
    """One run of a program, as seen by those who asked for it."""

    workflow_id: str
    program: Program
    run_id: str = ""
    signals: set[str] = field(default_factory=set[str])
    interrupted: str = ""  # "cancel" or "terminate", if someone asked for that
    outcome: str = "unknown"
    result: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    problems: list[str] = field(default_factory=list[str])
    again: bool = False  # its callers began anew, after the store fell back
    asked: set[str] = field(default_factory=set[str])  # what `interrupted` was before

    def kept(self) -> Life:
        """Return a copy of it."""
        return replace(self, signals=set(self.signals), asked=set(self.asked), problems=list(self.problems))

    def fall_back(self, kept: Life) -> None:
        """Whoever asked for it begins anew, with what had been acknowledged when `kept` was made."""
        self.asked |= {self.interrupted, kept.interrupted} - {""}
        self.run_id, self.signals, self.problems = kept.run_id, set(kept.signals), list(kept.problems)
        self.interrupted, self.outcome, self.result, self.again = "", "unknown", {}, True


_LOST = ("is closed", "was cancelled", "was terminated")  # what came of what had been sent in a time that was lost


def wrong_with(life: Life) -> list[str]:
    """Return what is not as the program says, or as somebody asked for."""
    expected_failure = failure_of_program(life.program)
    if life.outcome == "completed" and not expected_failure:
        heard = list(range(count_of(life.program, "hear")))
        problems = [] if allows(life.program, life.result["log"]) else [f"it cannot give {life.result['log']}"]
        if life.result["heard"] != heard:
            problems.append(f"it heard {life.result['heard']}, sent were {heard}")
        served = list(range(count_of(life.program, "serve")))
        if life.result["served"] != served:
            problems.append(f"it served {life.result['served']}, asked were {served}")
        return problems
    if life.outcome == "failed" and expected_failure and life.problems == []:
        return []
    if life.outcome == "cut short" or (life.again and life.outcome == "terminated"):  # by who looks after what was lost
        return []
    for asked, outcome in (("cancel", "cancelled"), ("terminate", "terminated")):
        if life.outcome == outcome and (life.interrupted == asked or asked in life.asked):
            return []
    return [f"it ended as {life.outcome} (asked for: {life.interrupted or 'nothing'})"]


class User:
    """Someone who starts a run of a program, and all that this needs."""

    def __init__(
        self, life: Life, prefix: str, clients: Sequence[Client], draws: list[float], mended: set[str], calm: bool
    ) -> None:
        self._life, self._prefix, self._clients, self._draws, self._calm = life, prefix, clients, draws, calm
        self._mended = mended
        self._begun_by_update = False
        self._fragile = count_of(life.program, "shaky") > 0

    def _draw(self) -> float:
        return self._draws.pop() if self._draws else 0.5

    def _client(self) -> Client:
        return self._clients[int(self._draw() * len(self._clients))]

    async def play(self) -> None:
        """Start everything, send what is to be sent, and wait for the end of everything."""
        life, program = self._life, self._life.program
        told = arguments_of(program, "tell")
        listener: Handle[list[int]] | None = None
        hears = listen if self._draw() < 0.5 else overhear
        if told:
            listener = await self._start(hears, listener_of(life.workflow_id), len(told))
        others = [
            await self._start(suffer, victim_of(life.workflow_id, index), index)
            for index in range(count_of(program, "halt"))
        ]
        if not life.again:
            self._mended.discard(life.workflow_id)
        handle = await self._begin()
        life.run_id = handle.run_id or ""
        await asyncio.gather(
            self._send_signals(handle),
            self._send_updates(handle),
            self._send_what_never_ends(handle),
            self._interrupt(handle),
            self._ask(handle),
            self._wait(handle),
            *([self._riddle(listener)] if listener is not None and hears is overhear else []),
        )
        whole = life.outcome in ("completed", "failed") and not life.again  # else what it sent to others may be lost
        for other in others:
            await self._see_cancelled(other, whole)
        if listener is not None:
            await self._see_told(listener, whole, sorted(told))

    async def _begin(self) -> Handle[Any]:
        """Start the program: by itself, by its first signal, or by its first update."""
        life, client, draw = self._life, self._client(), self._draw()
        if draw < 0.4 and count_of(life.program, "hear"):
            request = f"{self._prefix}/signal/0"
            call = client.start_with_signal(interpret, go, 0, id=life.workflow_id, request_id=request)
            handle: Handle[Any] = await insist(lambda: call(life.program))
            life.signals.add(request)
            return handle
        if draw > 0.6 and count_of(life.program, "serve") and not self._fragile:
            update_id = f"{self._prefix}/update/0"
            begin = client.start_with_update(interpret, ask, 0, id=life.workflow_id, update_id=update_id)
            self._begun_by_update = True
            return (await answered(lambda: begin(life.program))).run
        return await self._start(interpret, life.workflow_id, life.program)

    async def _start(self, workflow: Workflow[..., Any], workflow_id: str, *args: Any) -> Handle[Any]:
        client = self._client()
        start: Any = client.start
        request = f"{self._prefix}/start/{workflow_id}"
        try:
            return await insist(lambda: start(workflow, id=workflow_id, request_id=request)(*args))
        except RunAlreadyOpenError as error:
            self._life.problems.append(f"a second run of {workflow_id} could not be started: {error}")
            raise

    async def _send_signals(self, handle: Handle[Any]) -> None:
        for number in range(count_of(self._life.program, "hear")):
            await asyncio.sleep(12 * self._draw() ** 2)
            request = f"{self._prefix}/signal/{number}"
            # By id alone, or to this one run: both must reach it.
            target = handle if self._draw() < 0.5 else self._client().handle(handle.workflow_id)
            if not await self._send_signal(target, number, request):
                return
            self._life.signals.add(request)

    async def _send_signal(self, target: Handle[Any], number: int, request: str) -> bool:
        """Send it; False if nobody will hear it any more. One that failed will, once it is retried."""
        while True:
            try:
                await insist(lambda: target.signal(go, number, request_id=request))
            except RunClosedError:
                if self._fragile and self._life.outcome == "unknown":
                    await asyncio.sleep(1)
                    continue
                if not self._life.interrupted and not self._life.again:
                    raise
                return False
            return True

    async def _send_updates(self, handle: Handle[Any]) -> None:
        for number in range(count_of(self._life.program, "serve")):
            await asyncio.sleep(12 * self._draw() ** 2)
            update_id = f"{self._prefix}/update/{number}"
            try:
                if self._draw() < 0.3 and not (self._fragile or self._begun_by_update):  # it may be closed
                    await self._send_bad_update(handle)
                times = 1 if self._draw() < 0.7 else 2  # a repeat is the same update
                for _ in range(times):
                    target = handle if self._draw() < 0.5 else self._client().handle(handle.workflow_id)
                    answer = await self._update(target, number, update_id)
                    if answer != 2 * number:
                        self._life.problems.append(f"the update {update_id} was answered with {answer}")
            except (RunClosedError, RequestFailedError) as error:
                if not self._life.interrupted and not self._life.again:
                    self._life.problems.append(f"the update {update_id} failed: {error}")
                return

    async def _update(self, target: Handle[Any], number: int, update_id: str) -> int:
        while True:
            try:
                return await answered(lambda: target.update(ask, number, update_id=update_id))
            except (RunClosedError, RequestFailedError):
                if not self._fragile or self._life.outcome != "unknown":
                    raise
                await asyncio.sleep(1)  # it failed, and will be retried

    async def _send_what_never_ends(self, handle: Handle[Any]) -> None:
        """The run does not wait for it: whoever sent it is told when it ends, or that it has ended."""
        if self._draw() > 0.2:
            return
        await asyncio.sleep(10 * self._draw())
        try:
            answer = await answered(lambda: handle.update(linger, 1, update_id=f"{self._prefix}/linger"))
        except (RunClosedError, RequestFailedError):
            return
        self._life.problems.append(f"an update that never ends was answered with {answer}")

    async def _riddle(self, listener: Handle[Any]) -> None:
        """Ask a run what no code knows by name."""
        await asyncio.sleep(5 * self._draw())
        number = int(9 * self._draw())
        try:
            answer = await answered(
                lambda: listener.update("riddle", number, update_id=f"{self._prefix}/riddle-{number}")
            )
            if answer != ["riddle", 2 * number]:
                self._life.problems.append(f"an update of an unknown name was answered with {answer}")
            echo = await insist(lambda: listener.query("echo", number, timeout=5))
            if echo != ["echo", number]:
                self._life.problems.append(f"a query of an unknown name was answered with {echo}")
        except (RunClosedError, RequestTimeoutError, RequestFailedError):
            return  # it has heard all that it was to hear, meanwhile

    async def _send_bad_update(self, handle: Handle[Any]) -> None:
        try:
            await answered(lambda: handle.update(ask, -1))
        except UpdateRejectedError as error:
            if isinstance(error.__cause__, RefusedError):
                return
            raise
        self._life.problems.append("an update was accepted that its validator refuses")

    async def _interrupt(self, handle: Handle[Any]) -> None:
        draw = self._draw()
        if self._calm or draw > 0.3:
            return
        await asyncio.sleep(20 * self._draw())
        self._life.interrupted = "cancel" if draw < 0.2 else "terminate"
        call = handle.cancel if draw < 0.2 else handle.terminate
        try:
            await insist(call)
        except RunClosedError:
            self._life.interrupted = ""
        except StoreUnavailableError:
            pass

    async def _ask(self, handle: Handle[Any]) -> None:
        if self._draw() > 0.4:
            return
        await asyncio.sleep(10 * self._draw())
        try:
            answer = await insist(lambda: handle.query(progress, timeout=5))
        except RequestTimeoutError:
            return  # nobody is there to answer
        except RequestFailedError:
            if not self._life.again:
                raise
            return  # its start is to be read once more
        if answer < 0:
            self._life.problems.append(f"a query was answered with {answer}")

    async def _wait(self, handle: Handle[Any]) -> None:
        life = self._life
        try:
            life.result = await insist(handle.result)
            life.outcome = "completed"
        except RunCancelledError:
            life.outcome = "cancelled"
        except RunTerminatedError:
            life.outcome = "terminated"
        except RunFailedError as error:
            known = life.workflow_id in self._mended and not life.again  # else the store may have forgotten the retry
            if self._fragile and NOT_MENDED in str(error.__cause__) and not known:
                await self._mend(handle)
                return await self._wait(handle)
            life.outcome = "failed"
            wanted = failure_of_program(life.program)
            lost = any(what in str(error.__cause__) for what in _LOST)
            if life.again and lost and not wanted:
                life.outcome = "cut short"  # what it had sent in the lost time arrived, and so its receiver had ended
            elif not wanted or str(error.__cause__) != wanted:
                life.problems.append(f"it failed with {error.__cause__!r}")

    async def _mend(self, handle: Handle[Any]) -> None:
        """Put right why the run failed, and let it go on from there."""
        await asyncio.sleep(3 * self._draw())
        self._mended.add(self._life.workflow_id)
        try:
            await answered(lambda: handle.retry(request_id=f"{self._prefix}/retry"))
        except RequestFailedError:
            pass  # it is open already: the first answer was lost

    async def _see_cancelled(self, other: Handle[Any], whole: bool) -> None:
        if not whole:
            await self._cancel(other)
        try:
            await insist(other.result)
        except RunCancelledError:
            return
        self._life.problems.append(f"{other.workflow_id} was not cancelled")

    async def _see_told(self, listener: Handle[list[int]], whole: bool, wanted: list[int]) -> None:
        if not whole:
            await self._cancel(listener)
        try:
            heard = await insist(listener.result)
        except RunCancelledError:
            if whole:
                self._life.problems.append("its listener was cancelled")
            return
        if heard != wanted and not self._life.again:
            self._life.problems.append(f"its listener heard {heard}, told were {wanted}")

    async def _cancel(self, handle: Handle[Any]) -> None:
        try:
            await insist(handle.cancel)
        except RunClosedError:
            pass
