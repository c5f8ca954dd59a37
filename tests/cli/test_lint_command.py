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


WORSE = BAD + "\n@durable.activity\nasync def work():\n    time.sleep(1)\n"


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ([], ["DUR101", "DUR201"]),
        (["--select", "DUR2"], ["DUR201"]),
        (["--select", "wall-clock,io"], ["DUR101"]),
        (["--select", "DUR101", "--select", "DUR201"], ["DUR101", "DUR201"]),
        (["--ignore", "blocking-activity"], ["DUR101"]),
        (["--select", "DUR", "--ignore", "DUR1"], ["DUR201"]),
        (["--ignore", "DUR"], []),
    ],
)
def test_rules_can_be_chosen(
    options: list[str], rules: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By code, by the beginning of one, by name."""
    (tmp_path / "orders.py").write_text(WORSE)
    assert main(["lint", "--json", *options, str(tmp_path)]) == bool(rules)
    assert [found["rule"] for found in json.loads(capsys.readouterr().out)] == rules


@pytest.mark.parametrize("options", [["--select", "nonsense"], ["--ignore", "DUR9"], ["--explain", "nonsense"], []])
def test_an_unknown_rule_or_no_path_is_wrong_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A typo must not turn a check off."""
    assert main(["lint", *options, *(["."] if options and "--explain" not in options else [])]) == 2
    assert capsys.readouterr().out == ""


def test_a_rule_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Why, what instead, and an example of each."""
    assert main(["lint", "--explain", "set-order"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("DUR107 set-order: depends on the order of a set\n")
    assert "Instead: use sorted()" in out
    assert (
        out.index("Not like this:")
        < out.index("    for each in {")
        < out.index("But like this:")
        < out.index("sorted({")
    )


def test_the_source_is_shown_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a mark below the place."""
    file = tmp_path / "orders.py"
    file.write_text(BAD)
    assert main(["lint", "--format", "full", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "    4 |     return time.time()"
    assert lines[2] == "      |            ^"


def test_annotations_for_github(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They show at the line of a pull request."""
    file = tmp_path / "orders.py"
    file.write_text(BAD)
    assert main(["lint", "--format", "github", str(file)]) == 1
    assert capsys.readouterr().out.startswith(f"::error file={file},line=4,col=12,title=DUR101::time.time() reads")


def test_activities_of_other_files_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If they are among what is checked, and it is clear which one is meant."""
    (tmp_path / "app").mkdir()
    activity = "from durable import activity\n@activity\nasync def charge(): ...\n"
    (tmp_path / "app" / "activities.py").write_text(activity)
    text = "from durable import workflow\nfrom .activities import charge\n@workflow\nasync def order():\n    charge()\n"
    (tmp_path / "app" / "orders.py").write_text(text)
    assert main(["lint", str(tmp_path)]) == 1
    assert f"{tmp_path}/app/orders.py:5:5: DUR112 charge() is not awaited" in capsys.readouterr().out
    assert main(["lint", str(tmp_path / "app" / "orders.py")]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "activities.py").write_text(activity)
    assert main(["lint", str(tmp_path)]) == 0  # two modules end in "activities": which is meant is not sure
