"""`durable prune` and `durable doctor`."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from durable import Client, Signal, Worker, activity, workflow
from durable.cli import main
from durable.testing import replay_files
from tests.worker.harness import until_async

Say = Callable[..., tuple[int, str, str]]
go = Signal("go")


@workflow
async def done(n: int) -> int:
    return n


@activity
async def nowhere() -> None:
    """Registered with no worker."""


@workflow
async def calls_nowhere() -> None:
    await nowhere()


@workflow
async def unknown() -> None:
    await go.receive()


@workflow(version="1", pinned=True)
async def old() -> None:
    await go.receive()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db?synchronous=normal"


@pytest.fixture
def say(url: str, capsys: pytest.CaptureFixture[str]) -> Say:
    def call(command: str, *arguments: str) -> tuple[int, str, str]:
        code = main([command, "--store", url, *arguments])
        return code, *capsys.readouterr()

    return call


def with_runs(url: str, *, runs: int = 20) -> None:
    """Make a store with closed runs."""

    async def make() -> None:
        async with Client.connect(url) as client, Worker(client, workflows=[done]):
            await asyncio.gather(*(client.execute(done, id=f"d-{n}")(n) for n in range(runs)))

    asyncio.run(make())


def test_prune_says_what_it_would_do_and_does_it(url: str, say: Say, tmp_path: Path) -> None:
    """Without a worker: it archives, removes, and gives the space back."""
    with_runs(url)
    code, out, err = say("prune", "--older-than", "1 hour")
    assert (code, out) == (0, "")
    assert "0 closed runs with 0 events removed" in err
    code, out, err = say("prune", "--older-than", "0 s", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out) == {
        "runs": 20, "events": 40, "by_workflow": {"done": 20}, "needed": 0, "failed": 0, "busy": 0, "dry_run": True, "space": None,
    }  # fmt: skip
    folder = tmp_path / "archive"
    code, out, err = say("prune", "--older-than", "0 s", "--archive", str(folder), "--gzip", "--vacuum")
    assert (code, out.split()) == (0, ["20", "done"])
    assert "20 closed runs with 40 events removed" in err
    assert "MB on disk now" in err
    assert len(replay_files([done], [folder])) == 20
    assert say("list")[2].startswith("no runs")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--older-than", "soon"),
        ("--older-than", "1 h", "--gzip"),
        ("--older-than", "1 h", "--dry-run", "--vacuum"),
        ("--older-than", "1 h", "--status", "running"),
    ],
)
def test_prune_refuses_what_makes_no_sense(url: str, say: Say, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is touched."""
    with_runs(url, runs=1)
    assert say("prune", *arguments)[0] == 2


def test_prune_says_what_it_could_not_archive(url: str, say: Say, tmp_path: Path) -> None:
    """Exit code 1; the runs stay."""
    with_runs(url, runs=2)
    (tmp_path / "file").write_text("no folder")
    code, _, err = say("prune", "--older-than", "0 s", "--archive", str(tmp_path / "file" / "below"))
    assert code == 1
    assert "2 kept: they could not be read or archived" in err
    assert json.loads(say("list", "--json")[1])


def test_the_doctor_finds_a_store_without_open_runs_well(url: str, say: Say) -> None:
    """Exit code 0. No worker runs, and none is needed."""
    with_runs(url)
    code, out, _ = say("doctor")
    assert code == 0, out
    assert "SQLite finds no damage" in out
    assert "no run is stuck" in out


def test_the_doctor_says_what_is_wrong_and_what_to_do(url: str, say: Say) -> None:
    """Runs of unknown workflows and versions, activities that nobody has, partitions without an owner."""

    async def make() -> None:
        async with Client.connect(url) as client:
            for each in (unknown, old, calls_nowhere):
                await client.start(each, id=each.name)()
            async with Worker(client, workflows=[calls_nowhere]):

                async def both() -> bool:
                    return bool(await client.store.inspect.tasks() and await client.list(stuck=True))

                await until_async(both)

    asyncio.run(make())
    code, out, _ = say("doctor", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["ok"] is False
    problems = {finding["check"]: finding for finding in found["findings"] if finding["level"] == "problem"}
    assert set(problems) == {"owners", "workflows", "versions", "activities", "stuck runs"}
    assert "workflow unknown, which no live worker knows" in out
    assert "version 1 of workflow old" in problems["versions"]["what"]
    assert "activity nowhere" in problems["activities"]["what"]
    assert "unknown" in problems["stuck runs"]["what"]
    assert all(finding["advice"] for finding in problems.values())
    code, out, _ = say("doctor")
    assert code == 1
    assert "start a worker" in out


async def test_the_doctor_sees_workers_and_lags(url: str) -> None:
    """Who owns what, what is waiting there, and for how long."""
    async with Client.connect(url) as client:
        await client.start(done, id="late")(1)
        health = await client.health()
        assert [(worker.name) for worker in health.workers] == []
        (waiting,) = [each for each in health.partitions if each.unread_ms]
        assert waiting.owner is None
        async with Worker(client, workflows=[done, unknown]):
            assert await client.handle("late").result() == 1
            await client.start(unknown, id="open")()

            async def all_owned() -> bool:
                owners = [each.owner for each in (await client.health()).partitions]
                return bool(owners) and None not in owners

            await until_async(all_owned)
            health = await client.health()
            assert health.ok, health.findings
            (worker,) = health.workers
            assert (worker.workflows, worker.activities, worker.lacks) == (("done", "unknown"), (), ())
            assert {each.owner for each in health.partitions} == {worker.name}
            assert health.runs == {"completed": 1, "running": 1}
