"""`durable export` and `durable replay`: the histories of a store as files, and whether the code still follows them."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from durable import Client, Signal, Worker, activity, sleep, workflow
from durable.cli import main

go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


@workflow(name="job")
async def job(n: int) -> int:
    await work(n)
    await go.receive()
    return n


@workflow(name="job")
async def job_with_a_nap(n: int) -> int:
    await sleep(1)
    await work(n)
    await go.receive()
    return n


@workflow(name="job")
async def job_of_more(n: int) -> int:
    await work(n + 1)
    await go.receive()
    return n


@workflow
async def shuffled() -> int:
    return sum([await work(len(word)) for word in {"a", "ab", "abc", "abcd", "abcde"}])


current = [job, shuffled]
HERE = "tests.cli.test_replay_command"
CURRENT, CHANGED = f"{HERE}:current", f"{HERE}:job_with_a_nap"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with six runs: four `job`s that are open, one that is completed, and a `shuffled`."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/runs.db"

    async def fill() -> None:
        async with Client.connect(url) as client, Worker(client, workflows=current, activities=[work]):
            await client.execute(shuffled, id="shuffled")()
            for number in range(4):
                handle = await client.start(job, id=f"job/{number}")(number)
                while len(await handle.history()) < 3:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0)
            done = await client.start(job, id="done")(7)
            await done.signal(go)
            await done.result()

    asyncio.run(fill())
    return url


@pytest.fixture(autouse=True)
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store that the commands use."""
    monkeypatch.setenv("DURABLE_STORE", url)
    monkeypatch.setenv("COLUMNS", "200")


def exported(folder: Path, *arguments: str) -> list[Path]:
    assert main(["export", "--to", str(folder), *arguments]) == 0
    return sorted(folder.iterdir())


def test_a_history_is_exported_as_it_is_stored(capfd: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, nothing else on standard output."""
    assert main(["export", "done"]) == 0
    captured = capfd.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert [event["type"] for event in events][:2] == ["RunStarted", "ActivityScheduled"]
    assert events[-1]["type"] == "RunCompleted"
    assert captured.err == "1 history exported\n"


def test_runs_are_exported_by_filter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One file a run, whose name is safe whatever the workflow id is; `--limit` says that there may be more."""
    files = exported(tmp_path / "deep" / "histories", "--workflow", "job", "--status", "running")
    assert [file.name.partition(".")[0] for file in files] == [f"job%2F{number}" for number in range(4)]
    assert f"4 histories exported to {tmp_path}" in capfd.readouterr().err
    assert main(["export", "--limit", "2"]) == 0
    captured = capfd.readouterr()
    assert captured.out.count('"RunStarted"') == 2
    assert "only the newest 2 are exported" in captured.err


@pytest.mark.parametrize("arguments", [["done", "--status", "running"], ["--run", "x"], ["a", "b", "--run", "x"]])
def test_what_to_export_is_said_in_one_way(arguments: list[str]) -> None:
    """Ids or options."""
    assert main(["export", *arguments]) == 2


def test_an_unknown_run_is_exit_code_3() -> None:
    """A typo exports nothing."""
    assert main(["export", "nothing"]) == 3


def test_code_that_follows_is_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From files, from folders, from the store."""
    files = exported(tmp_path)
    assert len(files) == 6
    for sources in [str(tmp_path)], [str(file) for file in files], []:
        capsys.readouterr()
        assert main(["replay", *sources, "--module", CURRENT]) == 0
        counts = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" job ")]
        assert [(runs, good, bad) for _, runs, _, good, bad in counts] == [("5", "5", "0")]


def test_code_that_does_not_is_exit_code_1_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides, the line and the cause; runs that differ alike are one."""
    exported(tmp_path, "--workflow", "job")
    capsys.readouterr()
    assert main(["replay", str(tmp_path), "--module", CHANGED]) == 1
    out = capsys.readouterr().out
    assert "✗ done job  differs at event 2 and 4 more alike" in out
    assert "the history says: activity 'work'" in out
    assert "the code asked for: timer of 1 s (#1)" in out
    assert f"at: {__file__}:" in out
    assert "likely cause: " in out
    assert "alike: job/0, job/1, job/2, …" in out


def test_a_store_is_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    """By all that `durable list` knows."""
    assert main(["replay", "--module", CHANGED, "--status", "completed", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    (run,) = answer["runs"]
    assert (run["workflow_id"], run["ok"], run["divergence"]["kind"], run["divergence"]["seq"]) == (
        "done",
        False,
        "changed",
        2,
    )
    assert main(["replay", "--module", CURRENT, "--prefix", "job/", "--limit", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3


def test_runs_of_other_workflows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A workflow that was renamed must not slip through in silence."""
    assert main(["replay", "--module", f"{HERE}:job"]) == 0
    assert "1 more runs are of workflows that are not in the named modules" in capsys.readouterr().err


def test_a_history_of_no_known_workflow_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its run would be stuck."""
    exported(tmp_path, "shuffled")
    assert main(["replay", str(tmp_path), "--module", f"{HERE}:job"]) == 1
    assert "no workflow is named 'shuffled'; there are: job" in capsys.readouterr().out


def test_a_damaged_file_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the line; the others are replayed."""
    exported(tmp_path, "done")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert main(["replay", str(tmp_path), "--module", CURRENT, "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["runs"]
    assert "bad.jsonl:1" in first["divergence"]["error"]
    assert second["ok"]


def test_hash_seeds_find_the_order_of_a_set(capsys: pytest.CaptureFixture[str]) -> None:
    """What one process cannot see."""
    arguments = ["replay", "--module", CURRENT, "--workflow", "shuffled"]
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--hash-seeds", "2", "--json"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["divergence"]["kind"] == "hash_seed"


def test_values_that_have_changed_are_told_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    """They are allowed, so one line is enough."""
    arguments = ["replay", "--module", f"{HERE}:job_of_more", "--workflow", "job", "--prefix", "done"]
    assert main(arguments) == 0
    assert "1 values have changed in 1 run(s)" in capsys.readouterr().err
    assert main([*arguments, "-v"]) == 0
    out = capsys.readouterr().out
    assert "[[7],{}]" in out
    assert "[[8],{}]" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--module", "no.such.module"],
        ["--module", f"{HERE}:work"],
        ["--module", CURRENT, "no/such/file"],
        ["--module", CURRENT, "--workflow", "nothing"],
        ["--module", CURRENT, "--hash-seeds", "-1"],
        ["--module", CURRENT, __file__, "--status", "running"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    """A gate that checks nothing must not be open."""
    assert main(["replay", *arguments]) == 2


def test_a_folder_without_histories_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path may be wrong."""
    assert main(["replay", str(tmp_path), "--module", CURRENT]) == 2
    assert "there is no history in" in capsys.readouterr().err


def test_a_replay_needs_no_test_tools(url: str) -> None:
    """The commands come with the extra `cli`: neither pytest nor Hypothesis need be there."""
    block = "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None; from durable.cli import main; "
    # Of the samples: this module itself imports pytest.
    code = block + f"sys.exit(main(['replay', '--store', {url!r}, '--module', 'samples.hello']))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 more runs are of workflows that are not in the named modules" in done.stderr
