"""Row 4 and 5: code that was changed under a running history, and records that cannot be read."""

import pytest

from durable import Signal, activity, workflow
from durable.errors import RequestFailedError
from tests.engine.env import engines
from tests.engine.hand import overwrite

go = Signal("go", int)


@activity
async def old(n: int) -> int:
    return n


@activity
async def new(n: int) -> int:
    return n


@workflow(name="flow")
async def flow(n: int) -> int:
    return await old(n) + await go.receive()


@workflow(name="flow")
async def changed(n: int) -> int:
    return await new(n) + await go.receive()


@workflow
async def fine(n: int) -> int:
    return await old(n)


async def test_changed_code_makes_the_run_stuck_and_visible_until_it_is_put_right() -> None:
    """`NonDeterminismError` with both sides, in the run's record; then it goes on."""
    async with engines() as env:
        first = await env.begin([flow], [old, new])
        handle = await env.client.start(flow, id="f")(1)
        await env.settle()
        await env.kill(first)
        second = await env.begin([changed], [old, new])
        await handle.signal(go, 2)
        await env.settle()
        note = await env.stuck("f")
        assert note is not None
        for text in (
            "NonDeterminismError",
            "activity 'old' on queue 'default' (#1)",
            "activity 'new' (#1)",
            "test_code.py:",
        ):
            assert text in note
        assert [each.workflow_id for each in await env.client.list(stuck=True)] == ["f"]
        await env.kill(second)
        await env.begin([flow], [old, new])
        assert await env.drive(handle.result()) == 3
        assert await env.client.list(stuck=True) == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"\x00\x00\x00", "event 3: a history record of 3 bytes is no JSON"),
        (
            b'{"type":"ActivityCompleted","at":1}',
            "event 3: a history record of type 'ActivityCompleted' cannot be read",
        ),
        (b'{"type":"ActivityCompleted.7","at":1,"id":1}', "event 3: the event type 'ActivityCompleted.7' is not known"),
    ],
)
async def test_a_record_that_cannot_be_read_makes_that_run_stuck_and_no_other(record: bytes, says: str) -> None:
    """With the number of the event and the reason."""
    async with engines(partitions=1) as env:
        first = await env.begin([flow, fine], [old])
        handle = await env.client.start(flow, id="f")(1)
        await env.settle()
        await env.kill(first)
        await overwrite(env, "f", record, at=3)
        await env.begin([flow, fine], [old])
        await handle.signal(go, 2)
        await env.settle()
        note = await env.stuck("f")
        assert note is not None
        assert says in note
        with pytest.raises(RequestFailedError, match="event 3"):
            await env.drive(handle.query("anything"))
        other = await env.client.start(fine, id="fine")(7)
        assert await env.drive(other.result()) == 7
