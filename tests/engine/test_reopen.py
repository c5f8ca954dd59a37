"""`retry` of a failed run: it goes on at the point of failure, with the code as it is now."""

import asyncio
from typing import Any

from durable._engine.reopen import reopen
from durable._log import QueryReply, RetryRun
from durable.author import Signal, Update, activity, info, sleep, wait_condition, workflow
from durable.history import WIRE, RunReopened
from durable.retry import NO_RETRY
from tests.engine.harness import SteppedRun

go = Signal("go", int)
add = Update("add", int, int)


@activity(retry=NO_RETRY)
async def work(n: int) -> int:
    return n


@activity(retry=NO_RETRY, total_timeout="1 minute")
async def limited(n: int) -> int:
    return n


class HistoryOf:
    """The one thing that `reopen` asks of a store."""

    def __init__(self, run: SteppedRun) -> None:
        self.run = run

    def now_ms(self) -> int:
        return self.run.now_ms

    async def read(self, partition: int, stream: str, *, after: int, limit: int) -> list[bytes]:
        return self.run.history[after : after + limit]


async def retried(run: SteppedRun, workflow: Any = None, *, request: str = "") -> QueryReply:
    """Reopen `run`, perhaps with other code, as an engine does; return the reply. The request is a new one unless given."""
    if workflow is not None:
        run.workflow = run.execution.spec = workflow
    message = RetryRun(request=request or f"retry-{len(run.history)}", reply="reply")
    execution, decision = await reopen(HistoryOf(run), 0, run.execution, message)  # type: ignore[arg-type]
    run.execution, run.last = execution, decision
    run.history += [WIRE.encode(event) for event in decision.events]
    run.tasks = {task_id: task for task_id, (task, _) in decision.tasks.items()} | run.tasks
    run.dues.update(decision.dues)
    assert execution.seq == len(run.history)
    return decision.replies[0][1]


async def test_a_failed_activity_is_tried_anew() -> None:
    """Its next attempt goes on its queue; what was recorded before stays."""

    @workflow
    async def flow() -> int:
        return await work(1) + await work(2)

    run = SteppedRun(flow).start()
    run.complete(1, 1)
    run.fail(2, TypeError("a bug"))
    assert run.status == "failed"
    assert (await retried(run)).failure is None
    assert [(t.id, t.attempt) for t in run.tasks.values()] == [(2, 2)]
    assert run.status == "running"
    run.reload()
    run.complete(2, 2)
    assert run.result() == 3
    assert run.reload().status == "completed"


async def test_one_request_reopens_a_run_once() -> None:
    """A repeat that comes when the run has failed again, or while it is open, changes nothing; another request does."""

    @workflow
    async def flow() -> int:
        return await work(1)

    run = SteppedRun(flow).start()
    for attempt, request in enumerate(("first", "second"), 1):
        run.send(run.ended(1, error=TypeError("a bug"), attempt=attempt))
        assert (await retried(run, request=request)).failure is None
        assert (await retried(run, request="first")).failure is None
        assert run.status == "running"
    run.send(run.ended(1, error=TypeError("a bug"), attempt=3))
    assert (await retried(run, request="first")).failure is None
    assert run.status == "failed"
    assert [event.request for event in map(WIRE.decode, run.history) if isinstance(event, RunReopened)] == [
        "first",
        "second",
    ]


async def test_code_that_raised_is_run_again_as_it_is_now() -> None:
    """The event at which it failed is delivered anew."""

    @workflow(name="flow")
    async def broken() -> int:
        value = await work(1)
        raise ValueError(f"cannot handle {value}")

    @workflow(name="flow")
    async def fixed() -> int:
        return 10 * await work(1)

    run = SteppedRun(broken).start()
    run.complete(1, 4)
    assert run.status == "failed"
    await retried(run, fixed)
    assert run.result() == 40
    assert run.reload().status == "completed"


async def test_a_run_that_failed_in_its_first_step_starts_anew() -> None:
    """Everything is voided, the start included."""

    @workflow(name="flow")
    async def broken() -> int:
        raise ValueError

    @workflow(name="flow")
    async def fixed() -> int:
        return await work(3)

    run = SteppedRun(broken).start()
    await retried(run, fixed)
    assert run.waiting() == ["work#1"]
    run.reload()
    run.complete(1, 3)
    assert run.result() == 3
    assert run.reload().status == "completed"


async def test_a_run_that_fails_again_can_be_retried_again() -> None:
    """Each reopening voids what the one before led to."""

    @workflow
    async def flow() -> int:
        await sleep(1)
        return await work(1)

    run = SteppedRun(flow).start()
    run.fire_next()
    for attempt in (1, 2, 3):
        assert [t.attempt for t in run.tasks.values()] == [attempt]
        run.fail(2, ValueError("down"))
        assert run.status == "failed"
        await retried(run)
        run.reload()
    run.complete(2, 7)
    assert run.result() == 7
    assert sum(isinstance(event, RunReopened) for event in run.events()) == 3


async def test_a_failed_start_can_be_retried_twice() -> None:
    """A second reopening of a run that failed in its first step."""

    @workflow
    async def broken() -> int:
        raise ValueError

    run = SteppedRun(broken).start()
    await retried(run)
    assert run.status == "failed"
    await retried(run)
    assert run.status == "failed"
    assert run.reload().status == "failed"


async def test_the_length_of_the_history_is_the_same_on_replay_after_reopenings() -> None:
    """What the code sees of it counts each reopening once, live and replayed."""
    seen: list[int] = []

    @workflow
    async def broken() -> int:
        seen.append(info().history_length)
        raise ValueError

    run = SteppedRun(broken).start()
    for _ in range(3):
        await retried(run)
    lived = list(seen)
    run.reload()
    assert seen[-1] == lived[-1] == 4


async def test_what_else_was_pending_is_put_back() -> None:
    """Timers and other activities of the run go on."""

    @workflow
    async def flow() -> list[int]:
        async def slow() -> int:
            await sleep(3600)
            return 1

        return await asyncio.gather(work(1), work(2), slow())

    run = SteppedRun(flow).start()
    run.fail(2, TypeError("bug"))
    assert run.status == "failed"
    assert run.waiting() == []
    await retried(run)
    assert run.waiting() == ["work#1", "work#2"]
    assert len(run.timers()) == 1
    run.complete(1, 10)
    run.complete(2, 20)
    run.reload()
    run.fire_next()
    assert run.result() == [10, 20, 1]


async def test_a_total_time_limit_counts_from_the_reopening() -> None:
    """Else a run that is retried after a day would time out at once."""

    @workflow
    async def flow() -> int:
        return await limited(1)

    run = SteppedRun(flow).start()
    run.fail(1, TypeError("bug"))
    run.now_ms += 86_400_000
    await retried(run)
    assert run.dues["run-1/1/total"][1] == run.now_ms + 60_000
    run.reload()
    run.complete(1, 5)
    assert run.result() == 5


async def test_only_a_failed_run_can_be_retried() -> None:
    """Others say what they are; nothing is written."""

    @workflow
    async def flow() -> int:
        return await work(1)

    run = SteppedRun(flow).start()
    before = list(run.history)
    reply = await retried(run)
    assert reply.failure is not None
    assert "run-1 is running" in reply.failure["message"]
    run.complete(1, 1)
    reply = await retried(run)
    assert reply.failure is not None
    assert "run-1 is completed" in reply.failure["message"]
    assert run.history[: len(before)] == before


async def test_a_signal_after_the_failure_is_delivered_after_the_reopening() -> None:
    """The run that failed by a handler goes on with the signals that were read before."""

    @workflow(name="flow")
    async def broken() -> int:
        total = 0
        while total < 10:
            total += await go.receive()
            if total == 3:
                raise ValueError("three")
        return total

    @workflow(name="flow")
    async def fixed() -> int:
        total = 0
        while total < 10:
            total += await go.receive()
        return total

    run = SteppedRun(broken).start()
    run.signal(go, 1)
    run.signal(go, 2)
    assert run.status == "failed"
    await retried(run, fixed)
    run.signal(go, 7)
    assert run.result() == 10
    assert run.reload().status == "completed"


async def test_signals_recorded_in_the_failing_step_are_not_lost() -> None:
    """Two signals came in one step and the first of them failed the code: both are delivered anew."""

    @workflow(name="flow")
    async def broken() -> int:
        await go.receive()
        raise ValueError

    @workflow(name="flow")
    async def fixed() -> list[int]:
        return [await go.receive(), await go.receive()]

    run = SteppedRun(broken).start()
    run.send(run.signal_message(go, 1), run.signal_message(go, 2))
    assert run.status == "failed"
    await retried(run, fixed)
    assert run.result() == [1, 2]
    assert run.reload().status == "completed"


async def test_an_update_at_which_the_code_failed_is_delivered_anew() -> None:
    """It was accepted: the code as it is now carries it out, under the same id, and its end counts once."""

    def waits(broken: bool) -> Any:
        @workflow(name="waits")
        async def code() -> int:
            got: list[int] = []

            @add.handler
            async def on_add(n: int) -> int:
                got.append(n)
                return await work(n)

            await wait_condition(lambda: bool(got))
            if broken:
                raise ValueError("broken")
            return got[0]

        return code

    run = SteppedRun(waits(broken=True)).start()
    tags = run.update(add, 5, id="u-1")
    assert (tags[0], tags[-1]) == ("UpdateAccepted", "RunFailed")
    reply = await retried(run, waits(broken=False))
    assert reply.failure is None
    assert run.tags()[len(tags) + 1 :] == ["RunReopened", "UpdateAccepted", "ActivityScheduled"]
    assert run.update(add, 5, id="u-1") == [], "its id is known"
    (task,) = run.tasks.values()
    assert run.complete(task.id, 50)[-2:] == ["UpdateCompleted", "RunCompleted"]
    assert run.reload().result() == 5
