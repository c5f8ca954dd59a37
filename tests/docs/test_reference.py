"""The reference is written from the docstrings, and is up to date."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import durable
from durable.cli._app import COMMANDS

from .pages import ROOT


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that writes the reference."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(maker: ModuleType) -> dict[str, str]:
    """What the script would write now."""
    pages: dict[str, str] = maker.pages()
    return pages


def test_the_reference_is_up_to_date(written: dict[str, str]) -> None:
    """After a change of a docstring: `python docs/make_reference.py`."""
    folder = ROOT / "docs" / "reference"
    stale = [
        name
        for name, text in written.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run `python docs/make_reference.py`, for {', '.join(stale)}"


def test_no_page_of_the_reference_is_left_over(written: dict[str, str]) -> None:
    """A page that the script writes no more is removed."""
    assert {path.name for path in (ROOT / "docs" / "reference").glob("*.md")} == {
        name for name in written if "/" not in name
    }


def test_every_public_name_has_its_place(maker: ModuleType) -> None:
    """What is importable from `durable` is in the reference, once."""
    listed = [name for _, _, names in maker.PAGES.values() for name in names if "." not in name]
    assert sorted(listed) == sorted(set(durable.__all__) - maker.COVERED_ELSEWHERE)


def test_every_command_has_its_place(written: dict[str, str]) -> None:
    """Each command of the command line is in its page."""
    missing = [name for name in COMMANDS if f"### durable {name}\n" not in written["command-line.md"]]
    assert not missing


def test_a_stale_page_is_found_and_written_anew(
    maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--check` only says which pages differ; without it they are written."""
    folder = tmp_path / "reference"
    monkeypatch.setattr(maker, "FOLDER", folder)
    told: list[str] = []
    assert maker.main(["--check"], say=told.append) == 1
    assert maker.main([], say=told.append) == 0
    assert maker.main(["--check"], say=told.append) == 0
    assert "limits.md" in told[0]
    (folder / "limits.md").write_text("old")
    assert maker.main(["--check"], say=told.append) == 1
    assert told[-1] == "stale: limits.md"
