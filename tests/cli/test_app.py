"""The frame of the command line: help, version, exit codes, and errors without passwords."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

import durable
from durable import errors
from durable.cli import main
from durable.cli._app import COMMANDS, app
from durable.cli._exit import exit_code_of
from durable.cli._settings import Settings

ROOT = Path(durable.__file__).parent.parent
URL = "redis://user:s3cr%2Fet@host:6379/0"


def run(*arguments: str, blocked: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command line in a process of its own; `blocked` is a package that it cannot import."""
    block = f"sys.modules[{blocked!r}] = None; " if blocked else ""
    code = f"import sys; {block}from durable.cli import main; sys.exit(main({list(arguments)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"durable, version {durable.__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those whose modules are not loaded for it."""
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_is_there_and_says_the_same(name: str) -> None:
    """The list of commands and the commands themselves tell the same."""
    command = app.get_command(click.Context(app), name)
    assert command is not None
    assert command.name == name
    line = COMMANDS[name][1]
    assert (command.help or "").split()[:3] == line.split()[:3]


def test_help_is_quick_since_it_loads_nothing() -> None:
    """No command, no rich, no engine, no store is loaded to print the list of commands."""
    code = (
        "import sys; from durable.cli import main; main(['--help']); "
        "print([m for m in ('rich', 'msgspec', 'sqlite3', 'durable.client', 'durable.author', 'durable.cli._show') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    """The distribution can be installed without the command line; then `durable` explains itself."""
    done = run("list", blocked=missing) if missing == "click" else run("lint", "--help", blocked="click")
    assert done.returncode == 2
    assert 'pip install "durable-sdk[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["list", "--no-such-option"], ["list", "--status", "odd"], ["show"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is not understood is said on standard error."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage:" in captured.err


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_store_may_stand_before_or_after_the_command(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """People type it in either place."""
    option = ["--store", "sqlite:////no/such/place.db"]
    assert main([*option, "list"] if where == "before" else ["list", *option]) == 4
    assert "/no/such/place.db" in capsys.readouterr().err


def test_a_look_at_a_missing_store_does_not_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`durable list` in the wrong folder says so, and leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DURABLE_STORE", "sqlite:///shop.db")
    assert main(["list"]) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith("durable: there is no store at 'sqlite:///shop.db'")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RunNotFoundError("x"), 3),
        (errors.StoreUnavailableError("x"), 4),
        (errors.StoreUrlError("x"), 4),
        (errors.DamagedRecordError("x"), 4),
        (errors.RunFailedError("x"), 1),
        (errors.RunTimedOutError("x"), 1),
        (errors.RunClosedError("x"), 1),
        (errors.RunAlreadyOpenError("x"), 1),
        (errors.RequestTimeoutError("x"), 1),
        (TimeoutError("x"), 1),
        (errors.InvalidIdError("x"), 2),
        (errors.EncodeError("x"), 2),
        (errors.DefinitionError("x"), 2),
        (errors.InternalError("x"), 5),
        (ZeroDivisionError("x"), 5),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    """Scripts tell failures apart by the code."""
    assert exit_code_of(error) == code


def test_no_password_is_ever_printed() -> None:
    """Neither in the URL nor alone, encoded or decoded, whoever wrote the message."""
    text = Settings(store=URL).redacted(f"cannot reach {URL}: AUTH s3cr/et failed, s3cr%2Fet")
    assert "s3cr" not in text
    assert "host:6379" in text


def test_an_error_of_ours_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """`--debug` shows the traceback as well."""
    assert main(["--store", "sqlite:////no/such/place.db", "list"]) == 4
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "--store", "sqlite:////no/such/place.db", "list"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_had_enough_is_no_error(tmp_path: Path) -> None:
    """`durable lint ... | head -1` ends quietly."""
    (tmp_path / "orders.py").write_text("import durable\n@durable.workflow\nasync def order(): open('x')\n")
    code = (
        "import os, sys; from durable.cli import main; read, write = os.pipe(); os.dup2(write, 1); os.close(read); "
        f"sys.exit(main(['lint', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
