"""Invariant 6: a recorded result is never lost and never recorded twice; the first one to be recorded wins.

Breaks that were tried, each of which fails a test here: `_pending_activity` without its comparison of attempts;
results taken for whatever run the workflow id has now; an idempotency key with the attempt in it.
"""

from durable._log import ActivityEnded, ended_entry_id, message_entry, partition_of
from durable.author import Signal, activity, workflow
from durable.history import ActivityCompleted, from_raw, to_raw
from durable.retry import RetryPolicy
from tests.engine.env import Engines, engines
from tests.engine.harness import payload

go = Signal("go", int)


@activity(retry=RetryPolicy(initial_interval=1, jitter=0))
async def work(n: int) -> int:
    return n


@workflow
async def one() -> list[int]:
    return [await work(1), await go.receive()]


async def report(env: Engines, run_id: str, value: int, *, attempt: int = 1, entry_id: str = "") -> None:
    """Append a result to the inbox, as a worker elsewhere does."""
    ended = ActivityEnded(run_id=run_id, id=1, attempt=attempt, result=to_raw(payload(value)))
    entry = message_entry(entry_id or ended_entry_id(run_id, 1, attempt), "o", ended)
    await env.store.send(partition_of("o", env.store.partitions), entry)


async def test_a_result_that_arrives_twice_is_recorded_once() -> None:
    """Twice under one entry id, and again after it was recorded, and under another id: the first counts."""
    async with engines() as env:
        await env.begin([one])  # no activities here: their results are ours to make up
        handle = await env.client.start(one, id="o")()
        await env.settle()
        assert handle.run_id is not None
        await report(env, handle.run_id, 10)
        await report(env, handle.run_id, 20)
        await env.settle()
        await report(env, handle.run_id, 30)
        await report(env, handle.run_id, 40, entry_id="another")
        await handle.signal(go, 1)
        assert await env.drive(handle.result()) == [10, 1]
        assert (await env.tags("o")).count("ActivityCompleted") == 1


async def test_the_result_of_an_attempt_that_was_given_up_is_dropped() -> None:
    """Attempt 1 failed and attempt 2 is scheduled: what attempt 1 says now comes too late."""
    async with engines() as env:
        await env.begin([one])
        handle = await env.client.start(one, id="o")()
        await env.settle()
        assert handle.run_id is not None
        failed = ActivityEnded(
            run_id=handle.run_id, id=1, attempt=1, failure={"type": "builtins.OSError", "message": "down"}
        )
        await env.store.send(partition_of("o", env.store.partitions), message_entry("f", "o", failed))
        await env.settle()
        await report(env, handle.run_id, 10)
        await env.settle()
        assert "ActivityCompleted" not in await env.tags("o")
        await env.advance(2)
        await report(env, handle.run_id, 20, attempt=2)
        await handle.signal(go, 1)
        assert await env.drive(handle.result()) == [20, 1]


async def test_a_result_for_an_earlier_run_of_the_id_is_dropped() -> None:
    """The next run of a workflow id has commands of the same numbers."""
    async with engines() as env:
        await env.begin([one])
        first = await env.client.start(one, id="o")()
        await env.settle()
        await first.terminate()
        await env.settle()
        second = await env.client.start(one, id="o")()
        await env.settle()
        assert first.run_id is not None
        assert second.run_id is not None
        await report(env, first.run_id, 10)
        await env.settle()
        assert "ActivityCompleted" not in await env.tags("o")
        await report(env, second.run_id, 20)
        await second.signal(go, 1)
        assert await env.drive(second.result()) == [20, 1]


async def test_a_completed_activity_is_not_run_again_by_any_engine() -> None:
    """Whoever takes over finds its result in the history."""
    async with engines() as env:
        calls = []
        for _ in range(3):
            session = await env.begin([one], [work])
            if not calls:
                handle = await env.client.start(one, id="o")()
                await env.settle()
            calls += env.hands(session).calls
            await env.kill(session)
        assert len(calls) == 1
        await env.begin([one], [work])
        await handle.signal(go, 2)
        assert await env.drive(handle.result()) == [1, 2]


async def test_the_idempotency_key_is_the_same_for_all_attempts() -> None:
    """And different for another activity of the run."""
    seen: list[int] = []

    @activity(retry=RetryPolicy(initial_interval=1, jitter=0))
    async def flaky(n: int) -> int:
        seen.append(n)
        if len(seen) < 3:
            raise OSError("down")
        return n

    @workflow
    async def two() -> int:
        return await flaky(1) + await flaky(2)

    async with engines() as env:
        session = await env.begin([two], [flaky])
        handle = await env.client.start(two, id="t")()
        assert await env.drive(handle.result()) == 3
        calls = env.hands(session).calls
        assert [attempt for _, _, attempt in calls] == [1, 2, 3, 1]
        assert len({key for _, key, _ in calls[:3]}) == 1
        assert calls[3][1] not in {key for _, key, _ in calls[:3]}
        results = [e for e in await env.history("t") if isinstance(e, ActivityCompleted)]
        assert [from_raw(e.result).data for e in results] == [b"1", b"2"]
