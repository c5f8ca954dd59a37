"""Plants a bug in a copy of the package and its samples, and lets the test kit look for it in a process of its own."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
SAMPLE = Path(__file__).parent / "sample"
TIMEOUT_S = 600


@dataclass(frozen=True)
class Look:
    """One part of the kit, and how many examples it gets. `finds`: whether it is expected to find the bug.

    `finder` is a function of `sample/probe.py`, with what it is about after a colon; `what` is the beginning of the invariant,
    property, promise or rule that it must name ("" for any).
    """

    finder: str
    what: str = ""
    budget: int = 300
    finds: bool = True


@dataclass(frozen=True)
class Planted:
    """A bug: in `file`, each `old` text becomes its `new` one. `file` is a path in the package, or one of the sample's.

    `quick` ones are looked for in every run of the suite, the others by `nox -s planted`. `remark` is for the table.
    """

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    looks: tuple[Look, ...]
    quick: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Answer:
    """What a part of the kit found."""

    found: bool
    after: int
    what: str
    text: str


def edited(text: str, edits: tuple[tuple[str, str], ...], where: str) -> str:
    """Return `text` with the edits made. Raises `AssertionError` unless each old text is found exactly once."""
    for old, new in edits:
        count = text.count(old)
        assert count == 1, (
            f"{where} has this {count} times, not once; adapt the planted bug to the code as it is:\n{old}"
        )
        text = text.replace(old, new)
    return text


def plant(folder: Path, bug: Planted | None) -> None:
    """Make in `folder` a copy of the package and of the sample, with the bug; without one for None."""
    shutil.copytree(_compiled(), folder, dirs_exist_ok=True)
    if bug is None:
        return
    path = folder / bug.file
    path.write_text(edited(path.read_text(encoding="utf-8"), bug.edits, bug.file), encoding="utf-8")


@cache
def _compiled() -> Path:
    """Return a copy without a bug, compiled once: else each process would compile the package anew."""
    kept = TemporaryDirectory(prefix="durable-planted-")
    _kept.append(kept)
    folder = Path(kept.name).resolve()
    shutil.copytree(ROOT / "durable", folder / "durable", ignore=shutil.ignore_patterns("__pycache__"))
    for file in SAMPLE.glob("*.py"):
        shutil.copy2(file, folder)
    shutil.copy2(SAMPLE / "shop.py", folder / "shop_before.py")
    compileall.compile_dir(folder, quiet=1)
    return folder


_kept: list[TemporaryDirectory[str]] = []


def look(bug: Planted | None, wanted: Look) -> Answer:
    """Plant `bug` (None: nothing) and return what that part of the kit says. Raises `AssertionError` if it cannot be asked."""
    with tempfile.TemporaryDirectory(prefix="durable-planted-") as name:
        folder = Path(name).resolve()
        plant(folder, bug)
        done = subprocess.run(
            [sys.executable, "probe.py", wanted.finder, str(wanted.budget)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, f"{wanted.finder} broke:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return Answer(**json.loads(done.stdout.strip().splitlines()[-1]))
