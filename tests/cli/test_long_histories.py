"""`durable show` of a run with a long history: its beginning, its end, and how much is between them."""

import asyncio
import json
import re
import sys

import pytest

from durable import Client, Worker, side_effect, workflow
from durable.cli import main

EVENTS = 602


@workflow
async def long() -> int:
    return sum([side_effect(lambda: 1) for _ in range(EVENTS - 2)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with one long run."""
    url = f"sqlite:///{tmp_path_factory.mktemp('long') / 'runs.db'}"

    async def run() -> None:
        async with Client.connect(url) as client, Worker(client, workflows=[long]):
            assert await client.execute(long, id="long")() == EVENTS - 2

    asyncio.run(run())
    return url


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, list[int]]:
    """Return what `show` prints, and the numbers of the events in it."""
    capsys.readouterr()
    assert main(["show", "long", *arguments]) == 0
    out = capsys.readouterr().out
    return out, [int(found) for found in re.findall(r"^\s*(\d+)\s+\d{4}-\d\d-\d\d", out, re.MULTILINE)]


def test_the_last_events_are_shown_with_the_first(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line between them says how many are not."""
    out, numbers = shown(capsys, "--store", store, "--last", "3")
    assert numbers == [1, 2, 3, 4, 5, 600, 601, 602]
    assert "594 events left out" in out
    assert "run completed" in out


@pytest.mark.parametrize("last", [EVENTS - 6, EVENTS, 10 * EVENTS])
def test_nothing_is_left_out_where_there_is_nothing_to_gain(
    store: str, last: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One event is not replaced by a line that says so."""
    out, numbers = shown(capsys, "--store", store, "--last", str(last))
    assert numbers == list(range(1, EVENTS + 1))
    assert "left out" not in out


def test_a_pipe_and_json_get_all_of_it(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`grep` must not miss anything."""
    assert shown(capsys, "--store", store)[1] == list(range(1, EVENTS + 1))
    out, _ = shown(capsys, "--store", store, "--json", "--last", "3")
    assert len(json.loads(out)["history"]) == EVENTS


def test_a_terminal_gets_the_beginning_and_the_end(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless more is asked for."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out, _ = shown(capsys, "--store", store)
    assert "497 events left out" in out
    out, _ = shown(capsys, "--store", store, "--last", str(EVENTS))
    assert "left out" not in out


def test_a_number_that_is_none_is_refused(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a mistake in the call."""
    assert main(["show", "long", "--store", store, "--last", "0"]) == 2
    assert "--last" in capsys.readouterr().err
