"""Tests of `sliding_window.py`: every record once, and never more than the window at a time."""

from pathlib import Path

import pytest
from sliding_window import RECORDS_PER_RUN, WINDOW, Batch, handle, progress, read_page, record, sliding_window

from durable.testing import TestEnvironment, assert_replays


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file of 230 records."""
    file = tmp_path / "records.txt"
    file.write_text("".join(f"{number}\n" for number in range(230)), encoding="utf-8")
    return str(file)


async def test_every_record_is_handled_once(path: str) -> None:
    """In runs whose histories do not grow with the file."""
    async with TestEnvironment(workflows=[sliding_window, record], activities=[read_page]) as env:
        handled = env.fake(handle, returns=1, takes="1 s")
        run = await env.client.start(sliding_window, id="batch")(Batch(path))
        batch = await run.result()
        assert batch.finished == batch.started == 230
        assert sorted(int(call["record"]) for call in handled.calls) == list(range(230))
        runs = await env.client.list(workflow=sliding_window)
        assert len(runs) == 1 + 230 // RECORDS_PER_RUN
        assert_replays(sliding_window, await run.history())


async def test_the_window_is_never_over_full(path: str) -> None:
    """At no moment are more children open."""
    async with TestEnvironment(workflows=[sliding_window, record], activities=[read_page]) as env:
        env.fake(handle, returns=0, takes="1 minute")
        run = await env.client.start(sliding_window, id="batch")(Batch(path))
        for _ in range(5):
            await env.advance("1 minute")
            assert len(await env.client.list(workflow=record, status="running")) <= WINDOW
        assert 4 * WINDOW <= await run.query(progress) <= 5 * WINDOW
        await run.terminate()


async def test_crashes_on_the_way(path: str) -> None:
    """No record is lost, and none is started twice."""
    async with TestEnvironment(workflows=[sliding_window, record], activities=[read_page]) as env:
        env.fake(handle, returns=0, takes="1 s")
        run = await env.client.start(sliding_window, id="batch")(Batch(path))
        for _ in range(6):
            await env.advance("3 s")
            await env.crash_worker()
        assert (await run.result()).finished == 230
        assert len(await env.client.list(workflow=record, limit=1_000)) == 230
