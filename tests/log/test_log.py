"""Messages, tasks, dues and run records: written and read back, damage told, partitions for ever the same."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable._log import (
    ActivityEnded,
    ActivityTask,
    AskQuery,
    Message,
    QueryReply,
    QueueTimeoutDue,
    RecordBody,
    RequestCancel,
    RetryDue,
    RetryRun,
    RunTimeoutDue,
    SendSignal,
    StartRun,
    Terminate,
    TimerDue,
    TotalTimeoutDue,
    ended_entry_id,
    message_entry,
    new_run_document,
    partition_of,
    read_due,
    read_message,
    read_reply,
    read_run,
    read_task,
    task_id,
    write_due,
    write_reply,
    write_task,
)
from durable.errors import DamagedRecordError
from durable.stores import Document, Due, Task

RAW = msgspec.Raw(b'[[1],{"a":"b"}]')
TASK = ActivityTask(
    workflow="w", workflow_id="wf", run_id="run", id=3, activity="a", args=RAW, attempt=2, details=msgspec.Raw(b"5")
)
MESSAGES: list[Message] = [
    StartRun(run_id="run", workflow="w", queue="q", args=RAW, request="r", timeout_ms=5),
    SendSignal(name="go", value=RAW, request="r"),
    RequestCancel(request="r", reason="why"),
    Terminate(run_id="run", request="r"),
    AskQuery(name="state", args=RAW, reply="reply"),
    RetryRun(request="r", reply="reply"),
    ActivityEnded(run_id="run", id=1, attempt=2, result=RAW),
    ActivityEnded(run_id="run", id=1, attempt=2, failure={"type": "T", "message": "m"}, timeout="attempt"),
    ActivityEnded(run_id="run", id=1, attempt=1, result=msgspec.Raw(b"null")),
]
DUES = [
    (TimerDue(workflow_id="wf", run_id="run", id=1), "run/1/timer"),
    (RetryDue(workflow_id="wf", run_id="run", id=1, queue="q", task=TASK, queue_timeout_ms=4), "run/1/retry"),
    (TotalTimeoutDue(workflow_id="wf", run_id="run", id=1), "run/1/total"),
    (QueueTimeoutDue(workflow_id="wf", run_id="run", id=1, attempt=2), "run/1/queue"),
    (RunTimeoutDue(workflow_id="wf", run_id="run", timeout_ms=9), "run/timeout"),
]


def plain(struct: Any) -> Any:
    """Return a struct as comparable data."""
    return type(struct).__name__, msgspec.json.encode(struct)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_inbox(message: Message) -> None:
    """A result of None is a result, and no missing one."""
    entry = message_entry("e", "wf", message)
    assert (entry.id, entry.name) == ("e", "wf")
    assert plain(read_message(entry.data)) == plain(message)


def test_a_missing_result_is_told_from_none() -> None:
    """`ActivityEnded` with a failure has no result."""
    none = read_message(message_entry("e", "wf", MESSAGES[-1]).data)
    failed = read_message(message_entry("e", "wf", MESSAGES[-2]).data)
    assert isinstance(none, ActivityEnded)
    assert isinstance(failed, ActivityEnded)
    assert none.result is not msgspec.UNSET
    assert failed.result is msgspec.UNSET


@pytest.mark.parametrize(("item", "key"), DUES, ids=[type(item).__name__ for item, _ in DUES])
def test_a_due_survives_the_store_and_has_one_key(item: Any, key: str) -> None:
    """Setting it again moves it."""
    due = write_due(item, 77)
    assert (due.key, due.due_ms) == (key, 77)
    assert plain(read_due(due)) == plain(item)


def test_a_task_survives_the_store() -> None:
    """Its id is that of the attempt; its key towards the world is that of the activity."""
    task = write_task(TASK, queue="q", inbox="i")
    assert task == Task("run/3/2", "q", "a", "i", "wf", task.data)
    assert plain(read_task(task)) == plain(TASK)
    assert TASK.idempotency_key == "run/3"
    assert TASK.task_id == task_id("run", 3, 2)
    assert ended_entry_id("run", 3, 2) != ended_entry_id("run", 3, 1)


def test_a_reply_survives_the_store() -> None:
    """With a result or a failure."""
    for reply in (QueryReply(result=RAW), QueryReply(failure={"type": "T"}), QueryReply()):
        assert plain(read_reply(write_reply(reply))) == plain(reply)


def test_a_run_record_says_what_its_document_says() -> None:
    """And what it is stuck by."""
    document = new_run_document(
        workflow_id="wf", run_id="run", workflow="w", inbox="q", request="r", now_ms=5, body=RecordBody(timeout_ms=9)
    )
    record = read_run(document)
    assert (record.workflow_id, record.run_id, record.workflow, record.queue) == ("wf", "run", "w", "q")
    assert (record.status, record.stuck, record.started_ms, record.body.timeout_ms) == ("running", None, 5, 9)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"type":"Nothing"}', b'{"type":"SendSignal"}', b"\xff", b'{"type":"\xff"}', b"[" * 100_000],
)
def test_damage_is_told_and_named(data: bytes) -> None:
    """Each reader raises `DamagedRecordError`, never an error of a library."""
    readers: list[tuple[Any, Any]] = [
        (read_message, data),
        (read_due, Due("the-key", 1, data)),
        (read_task, Task("the-id", "q", "a", "i", "n", data)),
        (read_reply, data),
        (read_run, Document("the-run", "n", "q", "r", "w", "running", 1, data)),
    ]
    for read, argument in readers:
        if data.startswith(b'{"type"') and read in (read_reply, read_run):
            continue  # these have no type: a field that they do not know is passed over
        with pytest.raises(DamagedRecordError):
            read(argument)


def test_a_workflow_id_stays_in_its_partition_for_ever() -> None:
    """These numbers are part of what is stored: they must never change."""
    assert [partition_of(each, 8) for each in ("order-42", "a", "ünïcode", "x" * 1000)] == PARTITIONS


PARTITIONS = [3, 7, 5, 7]


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.integers(1, 256))
def test_a_partition_is_one_of_those_that_there_are(workflow_id: str, partitions: int) -> None:
    """For any id and any number of them."""
    assert 0 <= partition_of(workflow_id, partitions) < partitions
