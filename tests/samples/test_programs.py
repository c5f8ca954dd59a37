"""Each small sample runs as it stands, on each embedded store, and prints the result that it promises."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scenario_store import EVERYWHERE, scenario_url

PRINTS = {
    "hello": ["Hello, world!"],
    "approval": [
        "Ada's expense waits for: manager",
        "Ada: approved (the manager)",
        "Bo: approved (the director)",
        "Cy: refused (nobody answered)",
        "  to the director: may Cy have 40 euros back?",
    ],
    "reminder": [
        "Reminder: the tea is ready!",
        "The first worker is gone. Spring cleaning: running, calendar: ['spring cleaning']",
        "Spring cleaning is called off, calendar: []",
    ],
    "parallel": [
        "an album of 40 pictures, from 001.small.jpg to 040.small.jpg; at most 5 at a time",
        "and a contact sheet: 001.small.jpg, 002.small.jpg, 003.small.jpg ...",
    ],
    "retries": [
        "fetched https://example.com at attempt 3",
        "posted hello at attempt 2",
        "not paid: no cover for 1000 euros",
        "not looked into, after 1 attempt: the cellar is locked",
        "the second attempt copied pieces 5, 6, 7, 8, 9, 10",
    ],
    "saga": [
        "Ada: booked flight, hotel, car",
        "Bo: there is no hotel for Bo",
        "Cy: cancelled",
        "still booked: car for Ada, flight for Ada, hotel for Ada",
    ],
    "polling": ["the near job is done", "the far job is done"],
    "early_return": [
        "The customer has a number: True; the run is running",
        "Later: True",
        "The customer is told: this card was reported as stolen",
    ],
    "versioning": [
        "without a patch: does not follow the history of open runs",
        "with a patch: fits",
        "subscription-ada ended with the second version",
        "subscription-bo ended with the second version",
        "charged Ada, checked Bo, charged Ada, charged Bo, charged Bo",
        "plan-ada ended on version 1",
        "plan-bo ended on version 2",
    ],
    "cart": [
        "checked out: {'pear': 50, 'apple': 50}, in more than one run: True",
        "the first of them: continued_as_new",
    ],
    "sliding_window": ["260 of 260 records are done", "in 3 runs, at most 10 records at a time"],
    "mending": [
        "lamp to NO: no price",
        "quote-lamp, retried: 1200",
        "quote-chair, retried: 1500",
        "quote-vase, forked: 800, before: 8000",
        "by status: {'completed': 5}",
        "weighed: ['book', 'lamp', 'chair', 'vase']",
    ],
    "tenants": ["ada: ['letter', 'will']", "bo: ['bill']"],
    "callback": ["published: A LETTER", "not published: nobody can read this"],
    "safe_handlers": [
        "2 jobs got 4 machines each, no machine twice: True",
        "the third: 4 machines, and 2 are free",
        "refused, and not recorded: job-4 wants 11 machines; this cluster has 10",
        "still lent: {}",
        "jobs: 2",
    ],
}


def test_every_sample_is_tested(samples: Path) -> None:
    """A new sample joins this list, and the index."""
    assert sorted(path.stem for path in samples.glob("*.py")) == sorted(PRINTS)
    index = (samples / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.py)" in index for name in PRINTS)


def loaded(path: Path) -> ModuleType:
    """Import a sample by its path, anew."""
    spec = importlib.util.spec_from_file_location(f"sample_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("store", EVERYWHERE)
@pytest.mark.parametrize("name", PRINTS)
async def test_a_sample_prints_its_result(
    name: str, store: str, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sample's `main`, unchanged, on a store of this test: only the URL says which."""
    url = os.environ.get("DURABLE_STORE_URL") or scenario_url(store)
    await loaded(samples / f"{name}.py").main(url)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in PRINTS[name] if line not in printed] == []


@pytest.mark.parametrize("name", PRINTS)
def test_a_sample_is_a_program_that_leaves_nothing_behind(name: str, samples: Path, tmp_path: Path) -> None:
    """`python samples/NAME.py`, from any folder, without a setting: it works and cleans up; stderr has what failed."""
    (tmp_path / "tmp").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "DURABLE_STORE_URL"}
    environment |= {"PYTHONPATH": str(samples.parent), "TMPDIR": str(tmp_path / "tmp"), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(samples / f"{name}.py")],
        capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, env=environment, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warnings = done.stderr.splitlines()  # as Python prints them for a program that does not set up its logging
    assert [line for line in warnings if " failed, attempt " not in line and ") failed: " not in line] == []
    assert bool(warnings) == (name in ("mending", "retries", "saga"))
    assert PRINTS[name][0] in done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]
