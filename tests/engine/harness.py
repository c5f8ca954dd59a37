"""A run without an engine: the pure step, its history as bytes, and what it asks of the world, all in the test's hands."""

from collections.abc import Callable
from typing import Any

import msgspec

from durable._engine.decision import Decision, Delivery
from durable._engine.execution import Execution, rebuild
from durable._engine.steps import deliver_local, finish, step
from durable._log import (
    ActivityEnded,
    ActivityTask,
    AskQuery,
    OutgoingEnded,
    QueryReply,
    RequestCancel,
    SendSignal,
    SendUpdate,
    StartRun,
    Terminate,
    TimerDue,
)
from durable.author import Signal, Update, Workflow
from durable.codec import Codec, Payload, default_codec, failure_of
from durable.history import (
    WIRE,
    ActivityCompleted,
    CommandEvent,
    Event,
    RecordedEvent,
    RunCompleted,
    UpdateCompleted,
    from_raw,
    tag_of,
    to_raw,
)

ALIVE: list["SteppedRun"] = []
"""The runs of the current test: disposed at its end (`conftest.py`), as an engine disposes of those that it drops."""
START_MS = 1_700_000_000_000


class SteppedRun:
    """One run of `workflow`, stepped message by message. `history` is what an engine would have written."""

    def __init__(self, workflow: Workflow[..., Any], *args: Any, codec: Codec | None = None, **kwargs: Any) -> None:
        self.workflow, self.codec = workflow, codec or default_codec()
        self.history: list[bytes] = []
        self.tasks: dict[str, ActivityTask] = {}
        self.dues: dict[str, tuple[Any, int]] = {}
        self.now_ms = START_MS
        self.last = Decision()
        self.held: list[Delivery] = []  # updates without a handler yet
        self.execution = Execution("wf-1", "run-1", workflow, self.codec)
        self._requests = 0
        ALIVE.append(self)
        payload = workflow.signature.encode_call(self.codec, args, kwargs, what=workflow.name)
        self.start_message = StartRun(
            run_id="run-1",
            workflow=workflow.name,
            queue="default",
            args=to_raw(payload),
            request="start",
            timeout_ms=workflow.timeout_ms,
        )

    # --- what happens to it

    def send(self, *messages: Any) -> list[str]:
        """Deliver messages in one step and return the tags of the events that they led to."""
        for message in messages:
            if isinstance(message, ActivityEnded):  # whoever reports an attempt has taken its task
                self.tasks.pop(f"run-1/{message.id}/{message.attempt}", None)
        decision = self.last = Decision()
        deliveries = [*self.held, *(Delivery("wf-1", message) for message in messages)]
        step(self.execution, deliveries, self.now_ms, decision)
        self.held = decision.held
        self.history += [WIRE.encode(event) for event in decision.events]
        for task_id in decision.tasks_removed:
            self.tasks.pop(task_id, None)
        for key in decision.dues_removed:
            self.dues.pop(key, None)
        self.tasks.update({task_id: task for task_id, (task, _) in decision.tasks.items()})
        self.dues.update(decision.dues)
        return [tag_of(event) for event in decision.events]

    def start(self) -> "SteppedRun":
        """Take the first step."""
        self.send(self.start_message)
        return self

    def signal_message(self, signal: Signal[Any], value: Any = None, *, request: str = "") -> SendSignal:
        """Return the message that carries a signal."""
        self._requests += 1
        raw = to_raw(signal.encode(self.codec, value))
        return SendSignal(name=signal.name, value=raw, request=request or f"request-{self._requests}")

    def signal(self, signal: Signal[Any], value: Any = None, *, request: str = "") -> list[str]:
        """Deliver a signal."""
        return self.send(self.signal_message(signal, value, request=request))

    def update_message(self, update: Update[Any, Any], value: Any = None, *, id: str = "") -> SendUpdate:
        """Return the message that carries an update, whose reply id is "reply/" and its id."""
        self._requests += 1
        given = id or f"update-{self._requests}"
        raw = to_raw(update.encode(self.codec, value))
        return SendUpdate(name=update.name, value=raw, update=given, reply=f"reply/{given}")

    def update(self, update: Update[Any, Any], value: Any = None, *, id: str = "") -> list[str]:
        """Deliver an update."""
        return self.send(self.update_message(update, value, id=id))

    def told(self, id: str) -> str:
        """Return what the last step told the sender of the update `id`: "accepted", the failure as text, or "" for nothing."""
        for reply_id, reply in self.last.replies:
            if reply_id == f"reply/{id}":
                return "accepted" if reply.failure is None else _text(reply.failure)
        return ""

    def updated(self, id: str) -> Any:
        """Return the result of the update `id`, or its failure as text; None while it is under way."""
        for event in self.events():
            if isinstance(event, UpdateCompleted) and event.update == id:
                if event.failure is not None:
                    return _text(event.failure)
                assert not isinstance(event.result, msgspec.UnsetType)
                return self.codec.decode(from_raw(event.result), Any, what="result")
        return None

    def cancel(self, reason: str = "") -> list[str]:
        """Ask the run to cancel."""
        return self.send(RequestCancel(request="cancel", reason=reason))

    def terminate(self) -> list[str]:
        """Terminate the run."""
        return self.send(Terminate(request="terminate"))

    def ended(
        self, command: int, value: Any = None, *, attempt: int = 0, error: BaseException | None = None
    ) -> ActivityEnded:
        """Return the message that activity `command` ended: with `value`, or with `error`."""
        attempt = attempt or next((t.attempt for t in self.tasks.values() if t.id == command), 1)
        if error is not None:
            failure = failure_of(error, self.codec).as_wire()
            return ActivityEnded(run_id="run-1", id=command, attempt=attempt, failure=failure)
        result = to_raw(self.codec.encode(value, Any, what="result"))
        return ActivityEnded(run_id="run-1", id=command, attempt=attempt, result=result)

    def complete(self, command: int, value: Any = None) -> list[str]:
        """Activity `command` returned `value`."""
        return self.send(self.ended(command, value))

    def fail(self, command: int, error: BaseException) -> list[str]:
        """Activity `command` raised `error`."""
        return self.send(self.ended(command, error=error))

    def fire_next(self) -> list[str]:
        """Move the time to the next due and deliver it."""
        key = min(self.dues, key=lambda each: (self.dues[each][1], each))
        item, due_ms = self.dues.pop(key)
        self.now_ms = max(self.now_ms, due_ms)
        return self.send(item)

    def fire_next_retry(self, command: int) -> None:
        """Put the next attempt of an activity on its queue, as the owner does when it is due."""
        item, due_ms = self.dues.pop(f"run-1/{command}/retry")
        self.now_ms = max(self.now_ms, due_ms)
        self.tasks[item.task.task_id] = item.task

    def delivered(self, command: int) -> list[str]:
        """What the code sent to another run is in that one's inbox."""
        return self.send(OutgoingEnded(run_id="run-1", id=command))

    def local(self, command: int, value: Any) -> None:
        """Local activity `command` returned `value`, in the step that asked for it."""
        decision = Decision()
        deliver_local(self.execution, self.ended(command, value), self.now_ms, decision)
        finish(self.execution, decision)
        self.history += [WIRE.encode(event) for event in decision.events]

    def timers(self) -> list[int]:
        """Return the numbers of the timers that are set."""
        return [item.id for item, _ in self.dues.values() if isinstance(item, TimerDue)]

    def query(self, name: str, *args: Any) -> QueryReply:
        """Ask a query and return the reply."""
        payload = self.codec.encode([list(args), {}], Any, what="arguments")
        self.send(AskQuery(name=name, args=to_raw(payload), reply="reply"))
        return self.last.replies[0][1]

    def answer(self, name: str, *args: Any) -> Any:
        """Ask a query and return its result."""
        reply = self.query(name, *args)
        assert reply.failure is None, reply.failure
        assert reply.result is not None
        return self.codec.decode(from_raw(reply.result), Any, what="answer")

    # --- what has become of it

    def waiting(self) -> list[str]:
        """Return the activities that wait for a worker or run, in the order in which they were scheduled."""
        return [f"{task.activity}#{task.id}" for task in sorted(self.tasks.values(), key=lambda t: t.id)]

    def events(self) -> list[Event]:
        """Return the history, read back from its bytes."""
        return [WIRE.decode(record) for record in self.history]

    def tags(self) -> list[str]:
        """Return the types of the events."""
        return [tag_of(event) for event in self.events()]

    @property
    def status(self) -> str:
        """What the run is closed with, or "running"."""
        return self.execution.closed or "running"

    def result(self) -> Any:
        """Return the result of the completed run."""
        last = self.events()[-1]
        assert isinstance(last, RunCompleted), last
        return self.workflow.signature.decode_result(self.codec, from_raw(last.result))

    def failure(self) -> str:
        """Return what the run failed with, as "type: message"."""
        return _text(getattr(self.events()[-1], "failure"))  # noqa: B009 - an event of any class

    def dispose(self) -> None:
        """Drop the code in memory."""
        self.execution.dispose()

    def reload(self, workflow: Workflow[..., Any] | None = None) -> "SteppedRun":
        """Forget the code in memory and replay the history, with `workflow` in place of the code if it is given."""
        self.dispose()
        if workflow is not None:
            self.workflow = workflow
        self.execution = replayed_execution(self.workflow, self.history, self.codec)
        return self

    def drive(self, world: "dict[str, Callable[..., Any]] | None" = None, *, steps: int = 1_000) -> "SteppedRun":
        """Do what the run asks for, oldest first: run activities by `world`, let timers fire; until it ends or waits."""
        for _ in range(steps):
            if self.status != "running":
                return self
            if self.tasks:
                task = self.tasks.pop(min(self.tasks, key=lambda each: self.tasks[each].id))
                args = self.codec.decode(from_raw(task.args), Any, what="arguments")[0]
                self.send(self._outcome(task, (world or {})[task.activity], args))
            elif self.dues:
                self.fire_next()
            else:
                return self
        raise AssertionError(f"the run did not come to an end: {self.tags()[-20:]}")

    def _outcome(self, task: ActivityTask, function: Callable[..., Any], args: list[Any]) -> ActivityEnded:
        try:
            return self.ended(task.id, function(*args), attempt=task.attempt)
        except Exception as error:
            return self.ended(task.id, attempt=task.attempt, error=error)


def _text(failure: dict[str, Any]) -> str:
    return f"{failure['type']}: {failure['message']}"


def replayed_execution(workflow: Workflow[..., Any], history: list[bytes], codec: Codec | None = None) -> Execution:
    """Return the execution that `history` leads to. Raises what makes a run stuck."""
    execution = Execution("wf-1", "run-1", workflow, codec or default_codec())
    rebuild(execution, [RecordedEvent.read(seq, record) for seq, record in enumerate(history, 1)])
    return execution


def commands_of(history: list[bytes]) -> list[CommandEvent]:
    """Return the commands in a history."""
    return [event for event in map(WIRE.decode, history) if isinstance(event, CommandEvent)]


def results_of(history: list[bytes]) -> list[int]:
    """Return the numbers of the activities whose result was recorded, one for each record."""
    return [event.id for event in map(WIRE.decode, history) if isinstance(event, ActivityCompleted)]


def payload(value: Any) -> Payload:
    """Return `value` as a payload."""
    return default_codec().encode(value, Any, what="value")
