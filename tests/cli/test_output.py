"""What is printed into a pipe, and on a narrow terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable.cli import main
from durable.cli._output import print_table
from durable.cli._timeline import failure_text

LONG_ID = "an-order-with-a-rather-long-id"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A store with one run."""
    url = f"sqlite:///{tmp_path}/x.db"
    monkeypatch.setenv("DURABLE_STORE", url)
    assert main(["start", "checkout", "x", "--id", LONG_ID]) == 0
    capsys.readouterr()
    return url


def test_a_table_in_a_pipe_has_one_line_a_row_and_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """So `grep` and `cut` see what people see; a wide character takes two columns."""
    print_table(("id", "what", "why"), [("1", "x" * 300, "a\nb"), ("2", "車", "")], empty="")
    lines = capsys.readouterr().out.splitlines()
    assert [line == line.rstrip() for line in lines] == [True] * len(lines)
    assert lines[0] == " id   what" + " " * 299 + "why"
    assert lines[2] == " 1    " + "x" * 300 + "   a b"
    assert lines[3] == " 2    車"


def test_an_activity_error_is_not_told_twice() -> None:
    """It quotes its cause; a cause that it does not quote is shown."""
    cause = {"type": "builtins.ConnectionError", "message": "away"}
    error = {"type": "durable.errors.ActivityError", "message": "activity 'charge' failed: ConnectionError: away"}
    assert failure_text({**error, "cause": cause}) == f"ActivityError: {error['message']}"
    other = failure_text({"type": "shop.Oops", "message": "no", "cause": cause})
    assert other == "shop.Oops: no, caused by ConnectionError: away"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("width", "shown"), [(140, True), (80, False)])
def test_a_narrow_terminal_has_fewer_columns_rather_than_folded_ones(store: str, width: int, shown: bool) -> None:
    """A time on two lines is hard to read; `--json` has everything."""
    import termios

    ours, theirs = os.openpty()
    try:
        termios.tcsetwinsize(theirs, (40, width))
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        command = [sys.executable, "-m", "durable.cli", "list"]
        environment |= {"TERM": "xterm", "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run(command, env=environment, stdin=theirs, stdout=theirs, check=True, timeout=50)
        text = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert LONG_ID in text
    assert ("closed" in text) == shown
    assert len([line for line in text.splitlines() if line.strip()]) == 3
    assert "\x1b[3" not in text  # NO_COLOR
