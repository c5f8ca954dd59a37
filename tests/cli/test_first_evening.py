"""What people type wrong on their first evening, and what they are told."""

from pathlib import Path

import pytest

from durable.cli import main

SHOP = """
from durable import activity, workflow

@workflow
async def checkout(order: str) -> str:
    return order
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's own, with a store that has one open run: `order-1`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DURABLE_STORE", "sqlite:///shop.db")
    (tmp_path / "evening_shop.py").write_text(SHOP)
    assert main(["start", "evening_shop:checkout", "x", "--id", "order-1"]) == 0
    return tmp_path


def test_a_module_is_not_taken_for_the_name_of_a_workflow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the `:checkout`, the run would wait for a workflow `evening_shop` for ever."""
    assert main(["start", "evening_shop", "x"]) == 2
    assert "MODULE:WORKFLOW; its workflows are checkout" in capsys.readouterr().err


def test_a_name_that_is_both_is_the_workflow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A workflow may be named like its module; its arguments are checked then."""
    (folder / "evening_refund.py").write_text(SHOP.replace("checkout", "evening_refund"))
    assert main(["start", "evening_refund", "x", "--id", "r-1"]) == 0
    assert main(["start", "evening_refund", "--id", "r-2"]) == 2
    assert "missing a required argument: 'order'" in capsys.readouterr().err


def test_a_name_of_elsewhere_is_taken_although_a_broken_module_has_it(folder: Path) -> None:
    """By name, no code is needed here; so none can be in the way."""
    (folder / "evening_broken.py").write_text("1 / 0")
    assert main(["start", "evening_broken", "x"]) == 0


def test_an_empty_id_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unset variable of a shell script is no wish for an id of our own."""
    assert main(["start", "evening_shop:checkout", "x", "--id", ""]) == 2
    assert "must not be empty" in capsys.readouterr().err


def test_an_open_id_is_refused_with_the_command_that_shows_its_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What helps in Python, `error.handle`, is of no use here."""
    assert main(["start", "evening_shop:checkout", "x", "--id", "order-1"]) == 1
    said = capsys.readouterr().err
    assert "`durable show order-1`" in said
    assert "error.handle" not in said


@pytest.mark.parametrize("command", [["list"], ["start", "checkout", "x"], ["worker", "evening_shop"]])
def test_a_store_in_memory_is_refused(folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It would end with the command, and what was acknowledged with it."""
    assert main([*command, "--store", "memory:"]) == 4
    assert 'like "sqlite:///durable.db"' in capsys.readouterr().err


def test_a_syntax_error_is_shown_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No frame of theirs holds it."""
    (folder / "evening_typo.py").write_text("def f(:\n    pass\n")
    assert main(["worker", "evening_typo"]) == 2
    said = capsys.readouterr().err
    assert 'evening_typo.py", line 1' in said
    assert "def f(:" in said


def test_several_processes_do_not_try_a_wrong_store_again_and_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once, and the command ends."""
    (folder / "text.db").write_text("not a database")
    assert main(["worker", "evening_shop", "--processes", "2", "--store", "sqlite:///text.db"]) == 4
    assert capsys.readouterr().err.count("no SQLite database") == 1


def test_an_end_that_no_worker_has_carried_out_is_a_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a worker the run is open still, so the command must not claim more."""
    assert main(["terminate", "order-1"]) == 0
    assert capsys.readouterr().out.endswith("order-1: termination requested\n")
    assert main(["list", "--status", "running"]) == 0
    assert "order-1" in capsys.readouterr().out
