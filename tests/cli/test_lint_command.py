"""`durable lint`: its output, its exit codes, and which files it reads."""

import json
from pathlib import Path

import pytest

from durable.cli import main

BAD = "import durable, time\n@durable.workflow\nasync def order():\n    return time.time()\n"
GOOD = "import durable\n@durable.workflow\nasync def order():\n    return durable.now()\n"


def test_a_finding_is_one_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line has the form that editors know."""
    file = tmp_path / "orders.py"
    file.write_text(BAD)
    assert main(["lint", str(file)]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{file}:4:12: DUR101 time.time() reads the wall clock; use durable.now()")
    assert out.count("\n") == 1


def test_clean_code_is_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on standard output means that nothing was found."""
    (tmp_path / "orders.py").write_text(GOOD)
    assert main(["lint", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, standard output is a list, empty or not."""
    (tmp_path / "a.py").write_text(BAD)
    assert main(["lint", "--json", str(tmp_path)]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["line"], found["column"], Path(found["path"]).name) == ("DUR101", 4, 12, "a.py")
    (tmp_path / "a.py").write_text(GOOD)
    assert main(["lint", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("content", [b"def (", b"\xff\xfe", b"a\x00b"])
def test_what_is_no_python_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    """A file that could not be read is not passed over; the others are still checked."""
    (tmp_path / "broken.py").write_bytes(content)
    (tmp_path / "orders.py").write_text(BAD)
    assert main(["lint", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "DUR101" in captured.out
    assert "broken.py: " in captured.err


def test_a_missing_path_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in a path is not a clean result."""
    assert main(["lint", "no/such/path"]) == 2
    assert "no/such/path" in capsys.readouterr().err


def test_installed_and_hidden_code_is_not_ours_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A virtual environment inside of the folder is passed over, unless it is named itself."""
    for folder in ("venv", ".venv", "__pycache__", "lib/site-packages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "orders.py").write_text(BAD)
    assert main(["lint", str(tmp_path)]) == 0
    assert main(["lint", str(tmp_path / "venv")]) == 1
    assert capsys.readouterr().out.count("DUR101") == 1
