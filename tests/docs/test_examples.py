"""The examples of the reference: each is a program that runs as it stands, and stands below a name that there is."""

import ast
import runpy
from pathlib import Path

import pytest

from .pages import ROOT, blocks, name_of

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
REFERENCE = ROOT / "docs" / "reference"
LINES_MAX = 50  # one that is longer belongs into a how-to page or into the samples


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_runs(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs nothing but the package, and ends by itself: what it claims holds."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_is_short_and_claims_something(example: Path) -> None:
    """It says what it shows, and asserts it."""
    text = example.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert (ast.get_docstring(tree) or "").count("\n") == 0
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert text.count("\n") <= LINES_MAX


def test_every_example_is_in_the_reference_once() -> None:
    """None is left over, and none stands below a name that went away."""
    shown = [block.text for page in REFERENCE.glob("*.md") for block in blocks(page) if block.language == "python"]
    programs = [example.read_text(encoding="utf-8").partition('"""\n\n')[2] for example in EXAMPLES]
    assert sorted(shown) == sorted(programs)
