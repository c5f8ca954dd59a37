"""What must be true when a simulation is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..._engine.execution import Execution, rebuild
from ..._log import read_run
from ..._runtime.around import Around
from ...author import Workflow
from ...codec import default_codec
from ...history import (
    AttributesUpserted,
    AttributeValue,
    Close,
    PatchMarked,
    RecordedEvent,
    RunStarted,
    RunTerminated,
    RunTimedOut,
    effective,
)
from ...stores.memory import State
from ._checks import Checker
from ._coverage import Report
from ._runs import RunModel
from ._scenario import Inquiring, Record, Scenario
from ._witness import Witness


class Ended(Protocol):
    """A simulation at its end."""

    checker: Checker
    state: State
    effects: dict[str, int]
    report: Report
    scenario: Scenario
    calm_ms: int
    is_calm: bool
    witness: Witness | None

    async def counts(self) -> dict[str, int]:
        """Return what the store holds."""
        ...

    def broken(self, invariant: str, text: str) -> None:
        """Report something."""
        ...


async def check_end(world: Ended) -> None:
    """Check what only the end can tell. What is not as it must be is reported to the world."""
    scenario, broken = world.scenario, world.broken
    counts = await world.counts()
    left = {what: counts[what] for what in ("inbox", "tasks", "dues", "outgoing") if counts[what]}
    if left:
        broken("liveness", f"this is left in the store: {left}")
    world.checker.check_histories()
    specs = {(workflow.name, workflow.version): workflow for workflow in scenario.workflows}
    _check_chains(world)
    for run in world.checker.runs.values():
        world.report.counts["runs"] += 1
        world.report.counts["events"] += run.seq
        if not run.closed and not _is_orphan(world, run):
            broken("liveness", f"{run.workflow_id} ({run.run_id}) has not ended")
        _check_replay(world, run, specs)
    _check_documents(world)
    _check_children(world)
    repeats = Counter(world.effects)
    world.report.counts["effects"] += sum(repeats.values())
    world.report.counts["effects_repeated"] += sum(count - 1 for count in repeats.values())
    scenario.check(broken)
    if isinstance(scenario, Inquiring):
        scenario.check_runs(_recorded(world), broken)


def _recorded(world: Ended) -> Record:
    runs = world.checker.runs

    def history(run_id: str) -> list[RecordedEvent]:
        records: Sequence[bytes] = world.state.partitions[runs[run_id].partition].streams[run_id]
        return [RecordedEvent.read(seq, record) for seq, record in enumerate(records, 1)]

    went_back = world.report.counts["went_back"] > 0
    return Record(runs, history, world.effects, went_back, world.calm_ms, world.is_calm)


def _check_chains(world: Ended) -> None:
    """Runs that continued each other are one: what was acknowledged is in one of them, once, and each has its next."""
    chains: dict[str, list[RunModel]] = {}
    for run in world.checker.runs.values():
        chains.setdefault(run.first_run_id, []).append(run)
        after = world.checker.runs.get(run.next_run_id)
        if run.next_run_id and (after is None or after.first_run_id != run.first_run_id):
            world.broken(
                "2 atomic", f"{run.workflow_id} ({run.run_id}) continued as {run.next_run_id}, which is not there"
            )
    acknowledged = world.scenario.acknowledged()
    for runs in chains.values():
        got = Counter(request for run in runs for request in run.signals if request not in run.carried)
        which = f"{runs[0].workflow_id} ({', '.join(run.run_id for run in runs)})"
        wanted = set[str]().union(*(acknowledged.get(run.run_id, set()) for run in runs))
        if lost := wanted - got.keys() - runs[0].carried:
            world.broken("7 acknowledged", f"{which} never got {sorted(lost)}")
        if twice := [request for request, times in got.items() if times > 1]:
            world.broken("6 recorded once", f"{which} got {sorted(twice)} more than once")
        if sum(not run.next_run_id for run in runs) != 1:
            world.broken("2 atomic", f"the chain {which} has not one end")


def _check_children(world: Ended) -> None:
    """Each start of a child made one run, and no other run says that it is a child."""
    runs = world.checker.runs
    made: dict[tuple[str, int], str] = {}
    for run in runs.values():
        if run.parent is None:
            continue
        world.report.counts["children"] += 1
        start = run.parent.run_id, run.parent.command
        if run.parent.run_id not in runs and not world.report.counts["went_back"]:
            world.broken(
                "3 outbox", f"{run.workflow_id} ({run.run_id}) says it is a child of {start[0]}, which is no run"
            )
        if (other := made.setdefault(start, run.first_run_id)) != run.first_run_id:
            world.broken("3 outbox", f"child {start[1]} of {start[0]} was started twice: {other} and {run.run_id}")


def _is_orphan(world: Ended, run: RunModel) -> bool:
    """Return whether nobody may remember to have started `run`: its start was on its way as the store fell back."""
    return run.parent is not None and not run.closed and world.report.counts["went_back"] > 0


def _check_documents(world: Ended) -> None:
    for here in world.state.partitions:
        for document in here.documents.values():
            run = world.checker.runs.get(document.id)
            state = run.closed if run is not None else "no history"
            if run is not None and _is_orphan(world, run):
                continue
            if document.open or document.state != state:
                world.broken("2 atomic", f"the record of {document.id} says {document.state}, its history {state}")
            if document.open or run is None:
                continue
            world.report.counts["attributes"] += len(document.attributes)
            told = _from_history(here.streams[document.id])
            record = read_run(document)
            said = dict(record.attributes), {*record.body.patches, *record.body.deprecated_patches}
            if said != told:
                world.broken("2 atomic", f"the record of {document.id} has {said}, its history {told}")
            if document.note:
                world.broken(
                    "8 stuck runs", f"{document.name} ({document.id}) has ended, and its record says {document.note}"
                )


def _from_history(records: Sequence[bytes]) -> tuple[dict[str, AttributeValue], set[str]]:
    """Return the attributes and the patches that a history says its run has."""
    attributes: dict[str, AttributeValue] = {}
    patches = set[str]()
    for recorded in effective([RecordedEvent.read(seq, record) for seq, record in enumerate(records, 1)]):
        event = recorded.event
        if isinstance(event, RunStarted):
            attributes = dict(event.attributes)
        elif isinstance(event, AttributesUpserted):
            changed = {**attributes, **event.values}
            attributes = {name: value for name, value in changed.items() if value is not None}
        elif isinstance(event, PatchMarked):
            patches.add(event.name)
    return attributes, patches


def _check_witnessed(world: Ended, run: RunModel, replayer: Witness) -> None:
    """What an interceptor has seen live is what it sees in the replay, and more only where a step was lost."""
    saw = world.witness
    if saw is None:
        return
    if replayer.live[run.run_id]:
        world.broken("interceptors", f"a replay of {run.run_id} said that {replayer.live[run.run_id]} calls were none")
    live, calls = saw.live[run.run_id], replayer.replayed[run.run_id] + replayer.live[run.run_id]
    inherited = bool(run.forked[0] or run.reopened)
    exact = world.is_calm and not any(name.startswith("refused") for name in world.report.counts)
    if not inherited and (live < calls or (live != calls and exact)):
        world.broken("interceptors", f"{run.workflow_id} ({run.run_id}) was seen to make {live} calls, it made {calls}")
    began = saw.begun[run.run_id]
    effects = sum(count for key, count in world.effects.items() if key.startswith(run.run_id + "/"))
    if began < effects or (began != effects and exact):
        world.broken("interceptors", f"{began} attempts of {run.run_id} were seen to begin, {effects} have begun")


def _check_replay(world: Ended, run: RunModel, specs: Mapping[tuple[str, str], Workflow[..., Any]]) -> None:
    records: Sequence[bytes] = world.state.partitions[run.partition].streams[run.run_id]
    history = [RecordedEvent.read(seq, record) for seq, record in enumerate(records, 1)]
    first: Any = history[0].event
    replayer = Witness(world.broken)
    spec = specs[first.workflow, first.version].within(Around((replayer,) if world.witness is not None else ()))
    execution = Execution(run.workflow_id, run.run_id, spec, default_codec())
    try:
        rebuild(execution, history)
    except Exception as error:
        world.broken("5 replay is silent", f"{run.workflow_id} ({run.run_id}) cannot be replayed: {error}")
        return
    try:
        world.report.counts["replays"] += 1
        _check_witnessed(world, run, replayer)
        live = execution.run
        last = history[-1].event
        if live is None or live.matcher.emitted or live.given_up:
            world.broken("5 replay is silent", f"the replay of {run.workflow_id} ({run.run_id}) asks for something new")
        elif isinstance(last, RunTerminated | RunTimedOut):
            pass  # from outside: whatever the code had come to
        elif isinstance(last, Close) and live.finished and type(live.outcome()) is not type(last):
            world.broken(
                "5 replay is silent", f"{run.workflow_id} ends as {type(live.outcome()).__name__} in its replay"
            )
    finally:
        execution.dispose()
