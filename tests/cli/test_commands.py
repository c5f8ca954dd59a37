"""The commands that look after runs, on a SQLite file and with a real worker process beside them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from durable import Client, errors
from durable._log import AttemptToken, write_token
from durable.cli import main

ROOT = Path(__file__).parents[2]
SHOP = "tests.cli.shop"
ORDER = '{"id": "o-1", "amount": 3}'

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are stopped by signals of POSIX")


@contextmanager
def worker(store: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A worker of the shop, until the end of the block: then it is asked to stop, and ends well."""
    command = [sys.executable, "-m", "durable.cli", "worker", SHOP, "--store", store, *options]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said
            assert "Traceback" not in said
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store with a worker; the tests of this module share it, each with workflow ids of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}"
    with worker(url):
        # Once a run has ended, there is a store to look at, and a worker that hears the signal to stop.
        assert main(["start", f"{SHOP}:refund", "a", "--wait", "--timeout", "30", "--store", url]) == 0
        yield url


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command on the store; returns its exit code and what it said on both streams."""
    monkeypatch.setenv("DURABLE_STORE", store)

    def say(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return say


def ended(store: str, workflow_id: str) -> Any:
    """Wait until the run has ended, and return its result or what `result` raised."""

    async def wait() -> Any:
        async with Client.connect(store) as client:
            try:
                return await client.handle(workflow_id).result(timeout=30)
            except Exception as error:
                return error

    return asyncio.run(wait())


def test_start_and_wait_prints_the_result(say: Say) -> None:
    """Text as it is, so that a shell can use it; with --json one document."""
    code, out, _ = say("start", f"{SHOP}:checkout", ORDER, "soon", "--wait", "--timeout", "30")
    assert (code, out) == (0, "paid 3 soon\n")
    code, out, _ = say("start", f"{SHOP}:refund", "a", "b", "--id", "r-1", "--wait", "--json")
    assert (code, json.loads(out)["workflow_id"], json.loads(out)["result"]) == (0, "r-1", 2)


def test_a_workflow_can_be_started_by_its_name(say: Say) -> None:
    """Its code need not be here: the worker has it."""
    code, out, _ = say("start", "refund-order", "a", "--wait", "--timeout", "30")
    assert (code, out) == (0, "1\n")


def test_a_run_that_fails_is_exit_code_1_with_its_cause(say: Say) -> None:
    """The cause is that of the workflow's own code."""
    code, out, err = say("start", f"{SHOP}:broken", "--id", "b-1", "--wait", "--timeout", "30")
    assert (code, out) == (1, "")
    assert "ValueError: out of stock" in err
    assert err.count("out of stock") == 1
    assert "Traceback" not in err
    _, out, _ = say("show", "b-1")
    assert "run failed" in out
    assert "ValueError: out of stock" in out


def test_waiting_may_end_before_the_run_does(say: Say) -> None:
    """The run goes on."""
    code, _, _ = say("start", f"{SHOP}:approval", "o-7", "--id", "a-7", "--wait", "--timeout", "0.01")
    assert code == 1
    _, out, _ = say("show", "a-7", "--json")
    assert json.loads(out)["run"]["status"] == "running"


def test_an_id_that_is_open_is_refused(say: Say) -> None:
    """The run that is open is left alone."""
    assert say("start", f"{SHOP}:approval", "o-2", "--id", "a-2")[0] == 0
    code, out, err = say("start", f"{SHOP}:approval", "o-2", "--id", "a-2")
    assert (code, out) == (1, "")
    assert "'a-2' is open" in err


def test_policies_say_what_becomes_of_an_id_that_is_taken(say: Say, store: str) -> None:
    """The open run may be used or replaced; a used id may be refused."""
    start = ("start", f"{SHOP}:approval", "o-9", "--id", "a-9", "--execution-timeout", "1 day")
    first = say(*start)[1].split()[1]
    assert say(*start, "--on-conflict", "use-existing")[1].split()[1] == first
    second = say(*start, "--on-conflict", "terminate-existing")[1].split()[1]
    assert second != first
    assert say("signal", "a-9", "approved", "true")[0] == 0
    assert ended(store, "a-9") == "o-9 approved"
    code, out, err = say(*start, "--reuse", "after-failure")
    assert (code, out) == (1, "")
    assert f"run {second}, completed" in err
    assert say(*start, "--reuse", "sometimes")[0] == 2


def test_a_signal_reaches_its_run(say: Say, store: str) -> None:
    """The value is JSON; the timeline shows it."""
    assert say("start", f"{SHOP}:approval", "o-3", "--id", "a-3")[0] == 0
    assert say("signal", "a-3", "approved", "true")[:2] == (0, "a-3: signalled approved\n")
    assert ended(store, "a-3") == "o-3 approved"
    code, out, _ = say("show", "a-3")
    assert code == 0
    assert "signal approved received" in out
    assert "run completed" in out


def test_a_signal_by_its_object_is_checked(say: Say, store: str) -> None:
    """What does not fit the declared type is refused before anything is sent; a word is no JSON, so a bare name refuses it."""
    say("start", f"{SHOP}:approval", "o-3", "--id", "a-10")
    code, _, err = say("signal", "a-10", f"{SHOP}:approved", "yes")
    assert code == 2
    assert "the value of signal approved: expected bool, got str; got 'yes'" in err
    code, _, err = say("signal", "a-10", "approved", "yes")
    assert code == 2
    assert "is not JSON: 'yes'" in err
    code, _, err = say("signal", "a-10", f"{SHOP}:approval", "true")
    assert code == 2
    assert "is no Signal; of type Signal it has approved" in err
    code, _, err = say("signal", "a-10", f"{SHOP}:aproved", "true")
    assert code == 2
    assert "has no 'aproved'; of type Signal it has approved" in err
    assert "SignalReceived" not in say("show", "a-10", "--json")[1]
    assert say("signal", "a-10", f"{SHOP}:approved", "true")[:2] == (0, "a-10: signalled approved\n")
    assert ended(store, "a-10") == "o-3 approved"


def test_an_update_is_sent_and_its_result_printed(say: Say) -> None:
    """By its object, checked, or by its name; the id makes a repeat harmless."""
    say("start", f"{SHOP}:stock", "10", "--id", "s-1")
    assert say("update", "s-1", f"{SHOP}:take", "3")[:2] == (0, "7\n")
    assert say("update", "s-1", "take", "2", "--update-id", "u-1")[:2] == (0, "5\n")
    code, out, _ = say("update", "s-1", "take", "2", "--update-id", "u-1", "--json")
    assert (code, json.loads(out)) == (0, {"workflow_id": "s-1", "update_id": "u-1", "result": 5})
    assert say("update", "s-1", "take", "1", "--update-id", "u-2", "--no-wait")[:2] == (0, "u-2\n")
    _, out, _ = say("show", "s-1")
    assert "update take (u-1) accepted" in out
    assert "update take (u-1) completed" in out


def test_an_update_that_fails_is_exit_code_1(say: Say) -> None:
    """Refused, failed, or unknown: with the reason; a bad value is wrong usage."""
    say("start", f"{SHOP}:stock", "1", "--id", "s-2")
    for arguments, code, told in (
        (["take", "-1"], 2, "No such option"),
        (["take", "--", "-1"], 1, "was not accepted: ValueError: not a number of items: -1"),
        ([f"{SHOP}:take", "5"], 1, "update 'take' failed: SoldOutError: only 1 left"),
        (["take", "5"], 1, "SoldOutError: only 1 left"),
        (["give", "5", "--timeout", "1"], 1, "has no handler for it yet; it has: take"),
        ([f"{SHOP}:take", "many"], 2, "expected int, got str; got 'many'"),
        (["take", "many"], 2, "is not JSON"),
    ):
        got, out, err = say("update", "s-2", *arguments)
        assert (got, out) == (code, ""), err
        assert told in err
        assert "bug" not in err


def test_a_query_prints_its_answer(say: Say) -> None:
    """By name or by its object, with arguments."""
    say("start", f"{SHOP}:stock", "4", "--id", "s-3")
    assert say("query", "s-3", "left")[:2] == (0, '{\n  "items": 4\n}\n')
    code, out, _ = say("query", "s-3", f"{SHOP}:left", "pens", "--json")
    assert (code, json.loads(out)) == (0, {"workflow_id": "s-3", "answer": {"pens": 4}})
    code, _, err = say("query", "s-3", "unknown")
    assert code == 1
    assert "it has: left" in err
    code, _, err = say("query", "s-3", f"{SHOP}:take")
    assert code == 2
    assert "is no Query; of type Query it has left" in err


def test_show_as_json_has_the_events_as_they_are_stored(say: Say, store: str) -> None:
    """For scripts: the run, why it waits, what is pending, and the history."""
    say("start", f"{SHOP}:checkout", ORDER, "--id", "c-4", "--wait")
    _, out, _ = say("show", "c-4", "--json")
    shown = json.loads(out)
    assert (shown["run"]["status"], shown["why"], shown["pending"]) == ("completed", "completed", [])
    assert [event["seq"] for event in shown["history"]] == list(range(1, len(shown["history"]) + 1))
    assert [event["type"] for event in shown["history"]] == [
        "RunStarted",
        "ActivityScheduled",
        "ActivityCompleted",
        "RunCompleted",
    ]


def test_show_asks_for_handlers_on_demand(say: Say, store: str) -> None:
    """The run's worker knows them; without one there is nobody to say."""
    say("start", f"{SHOP}:stock", "5", "--id", "s-handlers")
    _, out, _ = say("show", "s-handlers", "--handlers", "--json")
    assert json.loads(out)["handlers"] == {
        "signals": ["approved"], "queries": ["left"], "updates": ["take"],
    }  # fmt: skip
    _, out, _ = say("show", "s-handlers", "--handlers")
    assert "takes queries left\n" in out
    assert "takes updates take\n" in out
    assert "takes signals approved\n" in out
    assert "handlers" not in json.loads(say("show", "s-handlers", "--json")[1])
    say("start", f"{SHOP}:approval", "o-1", "--id", "h-nowhere", "--queue", "nowhere")
    _, out, _ = say("show", "h-nowhere", "--handlers", "--json")
    assert json.loads(out)["handlers"] is None
    assert "no worker said what it takes" in say("show", "h-nowhere", "--handlers")[1]


def test_list_finds_runs_by_what_is_known_of_them(say: Say) -> None:
    """And counts them by status."""
    for number in range(3):
        say("start", f"{SHOP}:refund", "x", "--id", f"list-{number}", "--wait")
    _, out, _ = say("list", "--prefix", "list-", "--status", "completed", "--since", "1 hour", "--json")
    assert [run["workflow_id"] for run in json.loads(out)] == ["list-2", "list-1", "list-0"]
    _, out, err = say("list", "--prefix", "list-", "--limit", "2")
    assert "list-2" in out
    assert "list-0" not in out
    assert "--limit" in err
    assert say("list", "--prefix", "list-", "--workflow", "checkout", "--json")[1] == "[]\n"
    assert json.loads(say("list", "--prefix", "list-", "--count", "--json")[1])["completed"] == 3


def test_a_run_can_be_cancelled_or_terminated(say: Say, store: str) -> None:
    """Both end it, the second at once; then it takes no more."""
    for workflow_id, command, outcome in (
        ("a-5", "cancel", errors.RunCancelledError),
        ("a-6", "terminate", errors.RunTerminatedError),
    ):
        say("start", f"{SHOP}:approval", "o", "--id", workflow_id)
        assert say(command, workflow_id)[0] == 0
        assert isinstance(ended(store, workflow_id), outcome)
        assert say("signal", workflow_id, "approved", "true")[0] == 1


def token_of(store: str, workflow_id: str) -> str:
    """Return the token of the first activity of a run, once that is known to be completed from outside."""

    async def look() -> str:
        async with Client.connect(store) as client, asyncio.timeout(20):
            handle = client.handle(workflow_id)
            while not any(type(e.event).__name__ == "ActivityDeferred" for e in await handle.history()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return write_token(AttemptToken(workflow_id, handle.run_id or "", 1, 1))

    return asyncio.run(look())


def test_an_activity_can_be_completed_or_failed_from_outside(say: Say, store: str) -> None:
    """By its token; one that is over says so, and one that is none is not understood."""
    say("start", f"{SHOP}:outside", "o", "--id", "out-1")
    token = token_of(store, "out-1")
    assert "to be completed from outside" in say("show", "out-1")[1]
    assert say("complete", token, "not json")[0] == 2
    assert say("complete", token, '"yes"')[:2] == (0, "out-1: attempt 1 completed\n")
    assert ended(store, "out-1") == "o: yes"
    code, _, said = say("complete", token, '"no"')
    assert code == 1
    assert "the activity has completed" in said
    say("start", f"{SHOP}:outside", "o", "--id", "out-2")
    code, said, _ = say("fail", token_of(store, "out-2"), "no answer", "--json")
    assert (code, json.loads(said)["done"]) == (0, "failed")
    assert isinstance(ended(store, "out-2"), errors.RunFailedError)
    assert say("fail", "nonsense", "no")[0] == 2


def test_a_failed_run_can_be_reopened(say: Say, store: str) -> None:
    """It goes on from the failure; here the code is as it was, so it fails again."""
    say("start", f"{SHOP}:broken", "--id", "b-8", "--wait")
    assert say("retry", "b-8")[:2] == (0, "b-8: reopened\n")
    assert isinstance(ended(store, "b-8"), errors.RunFailedError)
    shown = say("show", "b-8")[1]
    assert "run reopened" in shown
    assert "reopened once" in shown


def test_a_run_that_did_not_fail_is_not_retried(say: Say, store: str) -> None:
    """No worker need be asked, so the answer comes at once, and without one."""
    say("start", f"{SHOP}:approval", "o", "--id", "a-11", "--queue", "nobody")
    code, _, said = say("retry", "a-11")
    assert code == 1
    assert "only a failed run can be retried" in said
    assert "is running" in said


def test_a_run_can_be_forked(say: Say, store: str) -> None:
    """The new run says where it comes from, and the source is as it was."""
    say("start", f"{SHOP}:broken", "--id", "b-9", "--wait")
    code, said, _ = say("fork", "b-9", "--at", "1", "--id", "b-9-again")
    assert (code, said) == (0, "b-9-again: forked from b-9 after event 1\n")
    assert isinstance(ended(store, "b-9-again"), errors.RunFailedError)
    shown = say("show", "b-9-again")[1]
    assert "forked from b-9" in shown
    assert "forked here" in shown
    code, said, _ = say("fork", "b-9", "--at", "1", "--json")
    assert code == 0
    assert json.loads(said)["forked_from"]["event"] == 1
    assert say("fork", "b-9", "--at", "99")[0] == 2
    assert say("fork", "nobody")[0] == 3


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["signal", "{}", "approved"],
        ["update", "{}", "take"],
        ["query", "{}", "left"],
        ["cancel"],
        ["terminate"],
        ["retry"],
        ["fork"],
    ],
    ids=lambda c: c[0],
)
def test_what_is_not_there_is_exit_code_3(say: Say, command: list[str]) -> None:
    """A script can tell a wrong id from anything else."""
    arguments = [part.replace("{}", "no-such-run") for part in command]
    code, out, err = say(*(arguments if "{}" in command else [*arguments, "no-such-run"]))
    assert (code, out) == (3, "")
    assert "no-such-run" in err


def test_parked_tasks_can_be_looked_at(say: Say) -> None:
    """None here: the list is empty, and a task that is not parked is not found."""
    assert say("parked", "list", "--json") == (0, "[]\n", "")
    assert say("parked", "list")[0] == 0
    assert say("parked", "inspect", "nothing")[0] == 3
    assert say("parked", "release", "nothing")[0] == 3
    assert say("parked", "discard", "nothing", "--yes")[0] == 3


def test_several_processes_serve_one_file_and_the_dead_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker process dies of SIGKILL; runs still complete, and SIGTERM ends all of them. Each has the interceptors, the first one outermost."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    around = ("--interceptor", f"{SHOP}:Stamping", "--interceptor", f"{SHOP}:underlining")
    with worker(url, "--processes", "2", *around) as supervisor:
        assert supervisor.stderr is not None
        pids: list[int] = []
        while len(pids) < 3:
            line = supervisor.stderr.readline()
            assert line, "the supervisor ended"
            if line.startswith("worker "):
                pids.append(int(line.split()[1].rstrip(":")))
                if len(pids) == 2:
                    os.kill(pids[0], signal.SIGKILL)
        capsys.readouterr()
        assert main(["start", f"{SHOP}:checkout", ORDER, "--wait", "--timeout", "30", "--store", url]) == 0
        assert "<_paid 3_>" in capsys.readouterr().out
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (f"{SHOP}:number", "is no durable.Interceptor, nor a class of them: it is 7"),
        (SHOP, "name one of it, as"),
        (f"{SHOP}:Underlining", "missing 1 required positional argument: 'mark'; name an instance of it"),
        (f"{SHOP}:nothing", "has no 'nothing'"),
    ],
)
def test_what_is_no_interceptor_is_wrong_usage(
    target: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is served."""
    assert main(["worker", SHOP, "--interceptor", target, "--store", f"sqlite:///{tmp_path / 'shop.db'}"]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_run_that_nobody_serves_is_shown_as_such(say: Say, store: str) -> None:
    """The run waits, since a worker may come; whoever looks at it is told which one it takes."""
    assert say("start", f"{SHOP}:approval", "o-1", "--id", "elsewhere-1", "--queue", "nowhere")[0] == 0
    _, out, _ = say("show", "elsewhere-1")
    assert "nobody has begun it; no running worker of queue nowhere knows workflow approval" in out
    assert say("start", f"{SHOP}:outsourced", "--id", "outsourced-1")[0] == 0
    while not (shown := json.loads(say("show", "outsourced-1", "--json")[1]))["pending"]:
        pass  # its worker is about to begin it
    assert shown["why"].endswith("attempt 1; no running worker of queue gpu knows activity render")
