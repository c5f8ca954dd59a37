"""The test kit finds bugs: each is planted in a copy of the package or of sample workflows, and looked for there.

A few of them by default; all of them, and what nobody expects to be found, with `nox -s planted` (`DURABLE_PLANTED=all`).
"""

import os
from pathlib import Path

import pytest

from tests.planted.bugs import BUGS
from tests.planted.harness import ROOT, Look, Planted, edited, look
from tests.planted.make_table import PAGE, label, text_of
from tests.planted.sample import RULES

ALL = os.environ.get("DURABLE_PLANTED") == "all"
EVERY = [bug for bugs in BUGS.values() for bug in bugs]
SLOW = "simulate"  # by default it looks for nothing here: tests/simulation has bugs of its own for it, and seeds where none is
LOOKS = [
    (bug, each)
    for bug in EVERY
    for each in bug.looks
    if ALL or (bug.quick and each.finds and not each.finder.startswith(SLOW))
]
ASKED = [each for bug in EVERY for each in bug.looks]
CONTROLS = [
    *(Look(finder, budget=300) for finder in ("simulate", "simulate:4") if ALL),
    Look("conformance"),
    Look("definition"),
    Look("lint"),
    Look("replay:pack", budget=100 if ALL else 10),
    *(Look(f"deterministic:{workflow}", budget=200) for workflow in ("pack", "checkout") if ALL),
    *(
        Look(f"executions:{rule}", budget=max(each.budget for each in ASKED if each.finder == f"executions:{rule}"))
        for rule in RULES
        if ALL or rule == "loses_no_item"
    ),
]
pytestmark = [
    pytest.mark.timeout(900 if ALL else 120),
    pytest.mark.skipif(bool(os.environ.get("DURABLE_TEST_CACHE")), reason="the copies have settings of their own"),
]


@pytest.mark.parametrize(("bug", "each"), LOOKS, ids=[f"{bug.name} - {each.finder}" for bug, each in LOOKS])
def test_a_planted_bug_is_found(bug: Planted, each: Look) -> None:
    """Within its budget, and for the right reason. What is not expected to be found is not: else the table is out of date."""
    answer = look(bug, each)
    assert answer.found == each.finds, f"{each.finder}: {answer}"
    assert answer.what.startswith(each.what), f"{each.finder} has found something else: {answer}"


@pytest.mark.parametrize("each", CONTROLS, ids=[each.finder for each in CONTROLS])
def test_nothing_is_found_where_nothing_is_planted(each: Look) -> None:
    """The copy as it is passes what finds the bugs, with the same budget."""
    answer = look(None, each)
    assert not answer.found, answer


@pytest.mark.parametrize("bug", EVERY, ids=[bug.name for bug in EVERY])
def test_a_planted_bug_fits_the_code(bug: Planted) -> None:
    """Each text to replace stands there exactly once, and what comes of it is Python."""
    path = ROOT / bug.file if bug.file.startswith("durable/") else Path(__file__).parent / "sample" / bug.file
    text = path.read_text(encoding="utf-8")
    changed = edited(text, bug.edits, bug.file)
    assert changed != text
    compile(changed, bug.file, "exec")


def test_a_text_that_is_not_there_once_is_told() -> None:
    """So that a refactoring cannot quietly empty the table."""
    with pytest.raises(AssertionError, match=r"a\.py has this 0 times, not once; adapt the planted bug"):
        edited("one", (("two", "three"),), "a.py")
    with pytest.raises(AssertionError, match="has this 2 times"):
        edited("one one", (("one", "two"),), "a.py")


def test_the_page_has_every_bug() -> None:
    """`python -m tests.planted.make_table` writes it anew. How many examples it took may change with the code."""
    page = PAGE.read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ") and line.count("|") == 5
    }
    rows = {name: row for name, row in rows.items() if name != "bug"}
    assert set(rows) == {bug.name for bug in EVERY}, "run: python -m tests.planted.make_table"
    for bug in EVERY:
        for each in bug.looks:
            wanted = f"{label(each)}: " if each.finds else f"not by {label(each)}"
            assert wanted in rows[bug.name], f"{bug.name}: {wanted!r}; run: python -m tests.planted.make_table"
        assert bug.remark in rows[bug.name]
    found, whole = sum(any(each.finds for each in bug.looks) for bug in EVERY), len(EVERY)
    assert text_of(found, whole) in page
