"""`replay`: code that follows is told apart from code that does not, and the difference can be read."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable import Client, Worker
from durable.author import Workflow, workflow
from durable.errors import DamagedRecordError, DefinitionError, InvalidCallError
from durable.history import RecordedEvent
from durable.testing import (
    ReplayResult,
    assert_replays,
    histories_in,
    replay,
    replay_all,
    replay_files,
)
from tests.testing import replayed
from tests.testing.conftest import recorded
from tests.testing.replayed import ACTIVITIES, go, order


@pytest.mark.parametrize("code", [order, replayed.with_other_words, replayed.patched_right])
def test_code_that_asks_for_the_same_replays(code: Workflow[..., Any], history: list[bytes]) -> None:
    """Whatever else has changed."""
    result = replay(code, history)
    assert result.ok
    assert bool(result)
    assert (result.workflow, result.workflow_id, result.run_id) == ("order", "wf-1", "run-1")
    assert (result.status, result.events, result.divergence, result.drift) == ("completed", len(history), None, ())
    assert str(result) == f"run run-1 of 'wf-1' (workflow 'order', {len(history)} events) replays"


@pytest.mark.parametrize("length", [2, None])
def test_an_open_run_replays_as_far_as_it_has_come(length: int | None) -> None:
    """Also one that waits for its first activity."""
    result = replay(order, recorded(order, "lamp", signals=0)[:length])
    assert (result.ok, result.status) == (True, "running")


# The history: 1 RunStarted, 2 reserve, 3 its end, 4 timer, 5 fired, 6 charge, 7 its end, 8 signal, 9 RunCompleted.
DIFFERENCES: list[tuple[Workflow[..., Any], str, int, str, str, str]] = [
    (replayed.without_the_timer, "changed", 4, "timer #2", "activity 'charge' (#2)", "the history has this one at event 6"),
    (replayed.with_another_charge, "changed", 4, "timer #2", "activity 'charge' (#2)", "at event 6"),
    (replayed.that_raises, "changed", 4, "timer #2", "it has failed with KeyError: 'lamp'", "raises where it did not"),
    (replayed.that_waits_longer, "changed", 9, "RunCompleted", "more work", "ends earlier or later"),
    (replayed.of_another_type, "decode", 1, "", "", "a declared type was changed"),
    (replayed.that_reads, "impure", 3, "", "open", "`durable lint` finds such calls"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "kind", "seq", "said", "asked", "cause"), DIFFERENCES)
def test_the_difference_is_structured(
    code: Workflow[..., Any], kind: str, seq: int, said: str, asked: str, cause: str, history: list[bytes]
) -> None:
    """The first diverging event, what it is, what the code asked for, its line, the likely cause."""
    result = replay(code, history)
    found = result.divergence
    assert not result.ok
    assert found is not None
    assert (found.kind, found.seq) == (kind, seq)
    assert said in found.history
    assert asked in found.code
    assert cause in found.cause
    assert found.error
    first = code.fn.__code__.co_firstlineno
    file, _, line = found.where.partition(" in ")[0].rpartition(":")
    assert file == replayed.__file__
    assert first <= int(line) <= first + 10


def test_a_signal_that_code_ended_before_is_no_difference(history: list[bytes]) -> None:
    """Messages that were acknowledged before the close are delivered in vain to code that has ended."""
    assert replay(replayed.that_ends_early, history).ok


def test_a_history_that_goes_on_after_the_code_has_ended_differs() -> None:
    """The run would be open for ever."""
    records = recorded(order, "lamp", signals=0)
    found = replay(replayed.that_ends_early, records).divergence
    assert found is not None
    assert (found.kind, found.seq, found.code) == ("changed", len(records) + 1, "the end of the workflow")


def test_code_that_never_ends_is_broken_off(history: list[bytes]) -> None:
    """A replay in CI must not hang."""

    @workflow(name="order")
    async def endless(item: str) -> int:
        await replayed.reserve(item)
        while True:
            pass

    found = replay(endless, history).divergence
    assert found is not None
    assert (found.kind, found.seq) == ("blocked", 3)
    assert "in test_code_that_never_ends_is_broken_off.<locals>.endless" in found.where


def test_values_that_have_changed_are_told_and_allowed(history: list[bytes]) -> None:
    """A replay takes the recorded ones; who looks may still want to know."""
    result = replay(replayed.with_other_values, history)
    assert result.ok
    assert [(drift.seq, drift.history, drift.code) for drift in result.drift] == [
        (2, '[["lamp"],{}]', '[["LAMP"],{}]'),
        (4, "of 1 s", "of 2 s"),
        (9, "4", "3"),
    ]
    assert "was" in str(result.drift[0])


def test_assert_replays_shows_both_sides(history: list[bytes]) -> None:
    """As a one-liner in a test."""
    assert_replays(order, history)
    with pytest.raises(AssertionError) as caught:
        assert_replays(replayed.without_the_timer, history)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"run run-1 of 'wf-1' (workflow 'order', {len(history)} events) differs at event 4:"
    assert lines[1] == "  the history says: timer #2"
    assert lines[2] == "  the code asked for: activity 'charge' (#2)"
    assert lines[3].startswith(f"  at: {replayed.__file__}:")
    assert lines[4].startswith("  likely cause: ")


@dataclass
class Execution:
    """What a strategy draws."""

    workflow: Workflow[..., Any]
    history: list[RecordedEvent]


SOURCES: dict[str, Callable[[list[bytes], Path], Any]] = {
    "bytes": lambda records, folder: records,
    "text": lambda records, folder: [record.decode() for record in records],
    "a generator": lambda records, folder: (record for record in records),
    "events": lambda records, folder: [RecordedEvent.read(seq, record) for seq, record in enumerate(records, 1)],
    "a path": lambda records, folder: saved(folder, records),
    "the text of a path": lambda records, folder: str(saved(folder, records)),
}


def saved(folder: Path, *histories: list[bytes], name: str = "history.jsonl") -> Path:
    """Return a file of JSON lines."""
    path = folder / name
    path.write_bytes(b"".join(record + b"\n" for records in histories for record in records))
    return path


@pytest.mark.parametrize("source", SOURCES)
def test_a_history_may_come_in_any_form(source: str, history: list[bytes], tmp_path: Path) -> None:
    """From a file, from a handle, from a list."""
    assert replay(order, SOURCES[source](history, tmp_path)).events == len(history)


def test_an_execution_may_be_given_alone(history: list[bytes]) -> None:
    """Anything that has both will do."""
    events = [RecordedEvent.read(seq, record) for seq, record in enumerate(history, 1)]
    assert_replays(Execution(order, events))
    with pytest.raises(AssertionError, match="differs at event 4"):
        assert_replays(Execution(replayed.without_the_timer, events))


def test_a_file_may_hold_several_histories(history: list[bytes], tmp_path: Path) -> None:
    """A run begins with its start; `replay` takes one, and says what to do with several."""
    other = [record.replace(b"run-1", b"run-2") for record in history]
    path = saved(tmp_path, history, other, history)
    assert [len(each) for each in histories_in(path)] == [len(history)] * 3
    with pytest.raises(InvalidCallError, match=r"got 3 in .*histories_in"):
        replay(order, path)


def test_a_reopened_run_is_one_history(tmp_path: Path) -> None:
    """Reopened at its first step, it has two starts."""
    start = recorded(order, "lamp", signals=0)[0]
    failed = b'{"type":"RunFailed","at":1700000000000,"failure":{"type":"ValueError","message":"x"},"failed_at":1}'
    reopened = b'{"type":"RunReopened","at":1700000000000,"request":"r","voids_from":1}'
    records = [start, failed, reopened, *recorded(order, "lamp")]
    path = saved(tmp_path, records)
    assert [len(each) for each in histories_in(path)] == [len(records)]
    result = replay(order, path)
    assert (result.ok, result.events) == (True, len(records))
    found = replay(replayed.without_the_timer, path).divergence
    assert found is not None
    assert found.seq == 3 + 4


def test_what_is_no_history_is_refused(history: list[bytes], tmp_path: Path) -> None:
    """Each mistake has its message."""
    refused: list[tuple[Any, str]] = [
        ([], "got 0"),
        (None, "got None"),
        (42, "got 42"),
        ([42], "got 42"),
        (saved(tmp_path, [], name="empty.jsonl"), "got 0"),
    ]
    for source, message in refused:
        with pytest.raises(InvalidCallError, match=message):
            replay(order, source)
    with pytest.raises(InvalidCallError, match=r"workflow 'order', and this is workflow 'by_name'"):
        replay(replayed.by_name, history)
    with pytest.raises(FileNotFoundError):
        replay(order, tmp_path / "nothing.jsonl")
    with pytest.raises(ValueError, match="hash_seeds"):
        replay(order, history, hash_seeds=[-1])


def test_a_damaged_file_names_its_line(history: list[bytes], tmp_path: Path) -> None:
    """So that it can be found."""
    path = saved(tmp_path, [*history[:3], b"{"])
    with pytest.raises(DamagedRecordError, match=r"history\.jsonl:4: event 4"):
        replay(order, path)
    with pytest.raises(DamagedRecordError, match="does not begin with RunStarted but with ActivityScheduled"):
        replay(order, saved(tmp_path, history[1:]))


def test_a_gap_is_damage(history: list[bytes]) -> None:
    """Events have numbers, and all must be there."""
    events = [RecordedEvent.read(seq, record) for seq, record in enumerate(history, 1)]
    with pytest.raises(DamagedRecordError, match="expected event 3 of a history, got event 4"):
        replay(order, [*events[:2], *events[3:]])


async def test_a_handle_is_asked_for_its_history() -> None:
    """`await handle.history()` is what `replay` takes, inside of an event loop as well; a handle itself is refused."""
    async with (
        Client.connect("memory:") as client,
        Worker(client, workflows=[replayed.sorted_first], activities=ACTIVITIES),
    ):
        handle = await client.start(replayed.sorted_first, id="a")()
        await handle.result()
        assert replay(replayed.sorted_first, await handle.history()).ok
        with pytest.raises(InvalidCallError, match=r"await handle\.history\(\)"):
            replay(replayed.sorted_first, handle)  # type: ignore[call-overload]


async def store_with_runs(client: Client) -> None:
    """Make some runs: one `order` that is open, three that are closed, one of another workflow, one not begun."""
    async with Worker(client, workflows=[order, replayed.sorted_first], activities=ACTIVITIES, renew_in_thread=False):
        for number in range(3):
            handle = await client.start(replayed.sorted_first, id=f"done-{number}")()
            await handle.result()
        handle = await client.start(order, id="open")("lamp")
        await handle.signal(go, 1)
        while len(await handle.history()) < 5:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    await client.start(order, id="not-begun", queue="nobody")("lamp")


async def test_a_store_is_replayed_by_filter() -> None:
    """The runs of the given workflows only, newest first, and none of them is changed."""
    async with Client.connect("memory:") as client:
        await store_with_runs(client)
        before = [await client.handle(run.workflow_id).history() for run in await client.list()]
        steps: list[tuple[int, int]] = []
        results = await replay_all(
            [order, replayed.sorted_first], client, on_progress=lambda done, total: steps.append((done, total))
        )
        assert [result.workflow_id for result in results] == ["open", "done-2", "done-1", "done-0"]
        assert all(results)
        assert steps == [(done, 5) for done in (1, 2, 3, 4, 5)]
        assert [r.workflow_id for r in await replay_all([order], client.store)] == ["open"]
        assert [r.workflow_id for r in await replay_all([order], client, status="completed")] == []
        assert len(await replay_all([replayed.sorted_first], client, limit=2)) == 2
        differing = await replay_all([replayed.without_the_timer], client)
        assert [result.ok for result in differing] == [False]
        assert before == [await client.handle(run.workflow_id).history() for run in await client.list()]


async def test_two_workflows_of_one_name_are_refused() -> None:
    """It would not be clear which one is meant."""
    async with Client.connect("memory:") as client:
        with pytest.raises(DefinitionError, match="two workflows are named 'order'"):
            await replay_all([order, replayed.that_raises], client)
        with pytest.raises(DefinitionError, match="expected a function decorated with @workflow"):
            await replay_all([replayed.reserve], client)  # type: ignore[list-item]


def test_files_and_folders_are_replayed(history: list[bytes], tmp_path: Path) -> None:
    """Each history by its own workflow; what cannot be read or is not known is a result, not an end."""
    (tmp_path / "deep").mkdir()
    other = [record.replace(b"run-1", b"run-2") for record in recorded(replayed.sorted_first)]
    saved(tmp_path, history, other, name="deep/a.jsonl")
    saved(tmp_path, [*history[:2], b"no"], name="b.jsonl")
    saved(tmp_path, recorded(replayed.by_name), name="c.jsonl")
    saved(tmp_path, [b"no history"], name="notes.txt")
    results = replay_files([order, replayed.sorted_first], [tmp_path])
    assert [_seen(result) for result in results] == [
        ("b.jsonl", "", "unreadable"),
        ("c.jsonl", "by_name", "unknown_workflow"),
        ("a.jsonl", "order", ""),
        ("a.jsonl", "sorted_first", ""),
    ]
    assert "there are: order, sorted_first" in str(results[1])
    with pytest.raises(InvalidCallError, match="there is no history in"):
        replay_files([order], [tmp_path / "deep", saved(tmp_path, [], name="empty.jsonl")])


def _seen(result: ReplayResult) -> tuple[str, str, str]:
    return Path(result.source).name, result.workflow, result.divergence.kind if result.divergence else ""
