"""`durable demo`: the proof, what it leaves behind, and how it ends when something goes wrong."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "durable.cli", "demo"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary files go to `tmp_path/tmp`, so that the test sees what is left there."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"), "PYTHONUTF8": "1", "COLUMNS": "200"}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Runs the demo in `tmp_path`, to its end."""

    def run(*args: str, command: list[str] = DEMO) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=55,
        )

    return run


def left_behind(tmp_path: Path) -> list[str]:
    return [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path != tmp_path / "tmp"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_the_proof_holds_as_data(run: Run, tmp_path: Path) -> None:
    """One JSON document on stdout, nothing on stderr, and no file left."""
    done = run("--orders", "120", "--kills", "1", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert report["proof_holds"]
    assert report["problems"] == []
    assert report["orders_read"] == 120
    assert report["orders_started"] == 120 - sum(report["bad_data"].values()) == report["ended_exactly_once"]
    assert sum(end["orders"] for end in report["ended"]) == report["orders_started"]
    assert (report["kills"], report["charged_twice"], report["charged_without_end"]) == (1, 0, 0)
    assert all(m["charged"] - m["refunded"] == m["shipped"] > 0 for m in report["money"].values())
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_without_a_terminal_it_tells_the_story_in_lines(run: Run, tmp_path: Path) -> None:
    """Each worker's life is a line, and its process is gone at the end."""
    done = run("--orders", "60", "--kills", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    started = [int(pid) for pid in re.findall(r"worker (\d+) started", done.stdout)]
    killed = [int(pid) for pid in re.findall(r"worker (\d+) killed with SIGKILL", done.stdout)]
    assert len(started) == 3
    assert killed == started[:2]
    assert f"worker {started[2]} took over" in done.stdout
    assert re.search(r"charged twice +0 +✓", done.stdout)
    assert "none was charged twice" in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(is_alive(pid) for pid in started)
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_kept_folder_can_be_looked_into(run: Run, tmp_path: Path) -> None:
    """`--keep` leaves the store and the ledger, and says how to look at them."""
    done = run("--orders", "20", "--kills", "0", "--keep", "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    store = f"sqlite:///{(tmp_path / 'kept' / 'shop.db').resolve().as_posix()}"
    assert f"durable list --store {store}" in done.stdout
    assert (tmp_path / "kept" / "ledger.db").is_file()
    listed = run("--store", store, "list", "--json", command=[sys.executable, "-m", "durable.cli"])
    assert listed.returncode == 0, listed.stderr
    assert "A-100001" in listed.stdout


def test_a_folder_that_is_not_empty_is_refused(run: Run, tmp_path: Path) -> None:
    """Nobody's files are mixed with ours."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    done = run("--keep", "full")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert left_behind(tmp_path) == ["full", "full/letter.txt"]


@pytest.mark.slow
def test_a_proof_that_does_not_hold_is_exit_code_1_with_the_rows(run: Run, tmp_path: Path) -> None:
    """A shop that makes up a new key for each attempt charges twice when an answer is lost, and the demo says so."""
    sabotaged = tmp_path / "tmp" / "orders"
    shutil.copytree(ROOT / "samples" / "orders", sabotaged, ignore=shutil.ignore_patterns("__pycache__"))
    shop = (sabotaged / "shop.py").read_text(encoding="utf-8")
    wrong = shop.replace(
        "world.charge_card(order, me.idempotency_key,", 'world.charge_card(order, f"{order.id}/{me.attempt}",'
    )
    assert wrong != shop
    (sabotaged / "shop.py").write_text(wrong, encoding="utf-8")
    code = f"import durable.cli._demo as d; d.find_sample = lambda: {str(sabotaged)!r}; d.demo_command()"
    done = run("--orders", "150", "--kills", "0", command=[sys.executable, "-c", code])
    assert done.returncode == 1, done.stderr
    assert re.search(r"charged twice +[1-9]\d* +✗", done.stdout)
    assert re.search(r"A-\d+: was charged 2 times; the ledger has .*charge \(A-\d+/2\)", done.stdout)
    assert "The proof does not hold" in done.stdout


@pytest.mark.slow
def test_a_worker_that_cannot_start_is_told_with_its_log(run: Run, tmp_path: Path) -> None:
    """A broken worker ends the demo at once, with what it said."""
    broken = tmp_path / "tmp" / "orders"
    shutil.copytree(ROOT / "samples" / "orders", broken, ignore=shutil.ignore_patterns("__pycache__"))
    (broken / "worker.py").write_text("raise RuntimeError('no coffee')\n", encoding="utf-8")
    code = f"import durable.cli._demo as d; d.find_sample = lambda: {str(broken)!r}; d.demo_command()"
    done = run(command=[sys.executable, "-c", code])
    assert done.returncode == 1
    assert "ended by itself with exit code 1" in done.stderr
    assert "no coffee" in done.stderr
    assert [path for path in left_behind(tmp_path) if "orders" not in path] == []


def begun(tmp_path: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """Start the demo, and return it with the pid of its worker once that has started."""
    environment = {**environment, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        DEMO,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "of 1,164 orders" in line:
            pytest.fail("the worker's line did not come")
        if found := re.search(r"worker (\d+) started", line):
            return process, int(found[1])
    pytest.fail("the demo ended before its worker started")


@posix
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    """Ctrl-C, a polite kill and a closed terminal: the worker is gone, and so are the files."""
    process, worker = begun(tmp_path, environment)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "Interrupted" in output
    assert not is_alive(worker)
    assert left_behind(tmp_path) == []


@posix
@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs pidfd_open to wait for a process that is not our child"
)
def test_no_worker_outlives_a_killed_demo(tmp_path: Path, environment: dict[str, str]) -> None:
    """Even SIGKILL of the demo itself leaves no process: its worker notices."""
    process, worker = begun(tmp_path, environment)
    watched = os.pidfd_open(worker)
    try:
        process.kill()
        process.communicate(timeout=30)
        ready, _, _ = select.select([watched], [], [], 30)
        assert ready == [watched]
    finally:
        os.close(watched)
