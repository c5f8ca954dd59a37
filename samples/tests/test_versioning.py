"""Tests of `versioning.py`: each history that was ever begun still replays with the code as it is now."""

from versioning import careless, charge, check_credit, first, next_month, second

from durable.history import PatchMarked, RecordedEvent
from durable.testing import TestEnvironment, replay


async def history_of_first() -> list[RecordedEvent]:
    """An open run of the first version, which has charged once."""
    async with TestEnvironment(workflows=[first]) as env:
        env.fake(charge, returns=None)
        run = await env.client.start(first)("Ada")
        await env.settle()
        return await run.history()


async def test_an_open_run_of_the_first_version_replays() -> None:
    """With the patch, and only with it. The report names what is missing."""
    history = await history_of_first()
    assert replay(second, history).ok
    told = replay(careless, history)
    assert not told.ok
    assert "check_credit" in str(told)


async def test_a_new_run_checks_first() -> None:
    """And has the mark of the patch in its history."""
    async with TestEnvironment(workflows=[second]) as env:
        env.fake(charge, returns=None)
        checked = env.fake(check_credit, returns=None)
        run = await env.client.start(second)("Bo")
        await run.signal(next_month)
        await run.result()
        assert len(checked.calls) == 1
        marks = [r.event.name for r in await run.history() if isinstance(r.event, PatchMarked)]
        assert marks == ["credit-check"]
