"""Several callers start runs of one workflow id, each with policies of its own: at most one is open, and each is told the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from ...client import Client, Handle
from ...errors import (
    RequestFailedError,
    RunAlreadyOpenError,
    RunClosedError,
    RunOutcomeError,
    WorkflowIdUsedError,
)
from ._insisting import answered, insist
from ._interpreter import ask, compete, told
from ._runs import RunModel
from ._scenario import Broken, Record

WORKFLOW_ID = "contested"
_BADLY = ("failed", "cancelled", "terminated", "timed_out")


@dataclass(slots=True)
class _Call:
    """One of the calls, and what came of it: `run` is the run that it was given, `used` the one that was in its way."""

    request: str
    kind: Literal["start", "signal", "update"]
    number: int
    at_s: float
    seconds: float
    on_conflict: Any
    reuse: Any
    client: int
    run: str = ""
    used: tuple[str, str] = ("", "")
    open: str = ""
    answer: int | None = None


@dataclass(slots=True)
class Contest:
    """Implements `Story`."""

    calls: list[_Call] = field(default_factory=list[_Call])
    done: bool = False

    @classmethod
    def drawn(cls, chance: Random) -> Contest:
        """Draw who calls when, and how."""
        return cls([_drawn_call(number, chance) for number in range(2 + int(5 * chance.random()))])

    async def play(self, clients: Sequence[Client]) -> None:
        """See `Story`."""
        await asyncio.gather(*(self._make(call, clients[call.client % len(clients)]) for call in self.calls))
        self.done = True

    def went_back(self) -> None:
        """See `Story`: all of them call again."""
        self.done = False

    async def _make(self, call: _Call, client: Client) -> None:
        await asyncio.sleep(call.at_s)
        try:
            handle = await answered(self._begins(call, client))
        except RunAlreadyOpenError as error:
            call.open = error.handle.run_id
            return
        except WorkflowIdUsedError as error:
            call.used = error.run_id, error.status
            return
        except (RunClosedError, RequestFailedError):
            return  # of an update: its run was terminated before it was done
        call.run = handle.run_id or ""
        try:
            await insist(handle.result)
        except RunOutcomeError:
            return

    def _begins(self, call: _Call, client: Client) -> Callable[[], Awaitable[Handle[Any]]]:
        policies: Any = {"on_conflict": call.on_conflict, "reuse": call.reuse, "request_id": call.request}
        arguments = call.number, call.seconds
        if call.kind == "start":
            start = client.start(compete, id=WORKFLOW_ID, **policies)
            return lambda: start(*arguments)
        if call.kind == "signal":
            signal = client.start_with_signal(compete, told, call.number, id=WORKFLOW_ID, **policies)
            return lambda: signal(*arguments)
        update = client.start_with_update(
            compete, ask, call.number, id=WORKFLOW_ID, update_id=call.request, reuse=call.reuse
        )

        async def begin() -> Handle[Any]:
            updated = await update(*arguments)
            call.answer = await updated.result()
            return updated.run

        return begin

    # --- what must have come of it

    def check(self, record: Record, broken: Broken) -> None:
        """See `Story`."""
        if record.went_back:
            return
        runs = sorted((run for run in record.runs.values() if run.workflow_id == WORKFLOW_ID), key=_order)
        by_request = {call.request: call for call in self.calls}
        for before, run in zip([None, *runs], runs, strict=False):
            if problem := _wrong_start(by_request.get(run.request), before):
                broken("workflow ids", f"{run.run_id} was started {problem}")
            terminator = by_request.get(run.ended_by.removesuffix("/terminate"))
            if run.closed == "terminated" and (terminator is None or terminator.on_conflict != "terminate_existing"):
                broken("workflow ids", f"{run.run_id} was terminated, and nobody wanted that")
        for call in self.calls:
            for problem in _wrong_answers(call, {run.run_id: run for run in runs}):
                broken("workflow ids", f"{call}: {problem}")


def _order(run: RunModel) -> int:
    return run.order


def _drawn_call(number: int, chance: Random) -> _Call:
    draw = chance.random
    return _Call(
        request=f"contest-{number}",
        kind=chance.choice(["start", "start", "start", "signal", "signal", "update"]),
        number=number,
        at_s=12 * draw() ** 2,
        seconds=4 * draw(),
        on_conflict=chance.choice(["fail", "use_existing", "terminate_existing"]),
        reuse=chance.choice(["allow", "allow", "after_failure", "never"]),
        client=int(100 * draw()),
    )


def _wrong_start(call: _Call | None, before: RunModel | None) -> str:
    """Return what is wrong with a start after the run `before`, or ""."""
    if call is None or before is None:
        return ""
    if call.reuse == "never":
        return f"although the id had been used by {before.run_id}"
    if call.reuse == "after_failure" and before.closed not in _BADLY:
        return f"although {before.run_id} before it is {before.closed}"
    return ""


def _wrong_answers(call: _Call, runs: dict[str, RunModel]) -> list[str]:
    problems: list[str] = []
    made = [run for run in runs.values() if run.request == call.request]
    if len(made) > 1:
        problems.append(f"it has started {len(made)} runs")
    if call.run and call.run not in runs:
        problems.append("it was given a run that is none of its id")
    if call.run and call.kind == "start" and call.on_conflict != "use_existing" and runs[call.run] not in made:
        problems.append("it was given a run of somebody else")
    if call.open and call.open not in runs:
        problems.append("it was told that a run is open which is none of its id")
    if call.used[0] and (call.used[0] not in runs or call.used[1] not in ("running", runs[call.used[0]].closed)):
        problems.append("it was told of an end that is not in the history")
    got = sum(run.signals.count(call.request) for run in runs.values())
    if call.kind == "signal" and got != bool(call.run):
        problems.append(f"its signal is in the histories {got} times")
    done = [run.updates[call.request] for run in runs.values() if call.request in run.updates]
    if sum(done) > 1 or (call.answer is not None and (not any(done) or call.answer != 2 * call.number)):
        problems.append(f"its update was answered with {call.answer}, and is in the histories as {done}")
    return problems
