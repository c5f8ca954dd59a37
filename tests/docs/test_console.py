"""What the pages tell a reader to type is typed here, in a shell, page by page, and must answer as the page says.

`$ ` begins a command; the lines below it are what it prints on standard output, where `...` stands for anything, and times,
durations, run ids and the lines of tables do not matter. A command without such lines must only succeed.

A comment right above a block says more. `<!-- file: NAME -->`: it is saved in the folder in which the commands run.
`<!-- not run: WHY -->`: it is passed over. `<!-- retry: WHY -->`: it is repeated until it answers as shown.
"""

import doctest
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, Block, blocks, name_of

SECONDS_MAX = 50  # for a page: less than the time limit of a test, so that the message says which page hangs
TRIES = 50  # with a pause of 0.2 s between them
WITH_COMMANDS = [page for page in PAGES if any(b.language == "console" and not b.not_run for b in blocks(page))]
SAME = doctest.OutputChecker()
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
VARYING = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?": "TIME",
    r"\b[0-9a-z]{26}\b": "RUN-ID",
    r"\+\d+(\.\d+)? m?s\b": "",
    r"\bafter \d+(\.\d+)? m?s\b": "after DURATION",
    r"─": "",
}
PRELUDE = """
set -m
run() { printf '\\n=== %s\\n' "$1"; eval "$2"; printf '\\n=== exit %s\\n' "$?"; }
until_like() {
  for _ in $(seq TRIES); do
    eval "$2" > try.out 2>&1
    if python -m tests.docs.test_console "$3" < try.out; then break; fi
    sleep 0.2
  done
  printf '\\n=== %s\\n' "$1"; cat try.out; printf '\\n=== exit 0\\n'
}
"""


@dataclass(frozen=True)
class Command:
    """A line that the reader types, and what it prints (empty: not said)."""

    text: str
    output: str
    line: int
    repeated: bool


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    line = block.line + 1
    for part in parts[1:]:
        text, _, output = part.partition("\n")
        yield Command(text, output.rstrip(), line, block.repeated)
        line += part.count("\n")


def agrees(expected: str, output: str) -> bool:
    """Return whether `output` is what a page shows."""
    return SAME.check_output(steady(expected), steady(output), LOOSELY)


def steady(text: str) -> str:
    """Return `text` without what differs from one time to the next."""
    for pattern, word in VARYING.items():
        text = re.sub(pattern, word, text)
    return " ".join(text.split()) + "\n"


def in_a_shell(page: Path, folder: Path, typed: list[Command]) -> list[tuple[str, str]]:
    """Run the commands of a page in one shell; return the exit code and output of each that was run."""
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("durable", "-m durable.cli"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (programs / name).chmod(0o755)
    script = [PRELUDE.replace("TRIES", str(TRIES))]
    for number, command in enumerate(typed):
        quoted = "'" + command.text.replace("'", "'\\''") + "'"
        if command.repeated:
            expected = folder / f"expected-{number}.txt"
            expected.write_text(command.output)
            script.append(f"until_like {number} {quoted} {expected}")
        else:
            script.append(f"run {number} {quoted}")
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "",
        "NO_COLOR": "1",
    }
    # Into files, not pipes: what the page leaves running in the background would keep a pipe open.
    with (folder / "stdout.txt").open("w") as output, (folder / "stderr.txt").open("w") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(script)], cwd=folder / "work", env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
        )  # fmt: skip
        try:
            shell.wait(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name_of(page)} is not through within {SECONDS_MAX} s; {said(folder)}")
        finally:
            end_all_of(shell.pid)
            shell.wait()
    printed = (folder / "stdout.txt").read_text()
    found = re.findall(r"^=== (\d+)\n(.*?)\n=== exit (\d+)$", printed, re.MULTILINE | re.DOTALL)
    return [(code, text) for _, text, code in found]


def end_all_of(session: int) -> None:
    """Kill what the shell of this session left running."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, ValueError):  # it has ended meanwhile
            continue


def said(folder: Path) -> str:
    """Return what the commands of a page said beside their output."""
    texts = [(folder / name).read_text() for name in ("stdout.txt", "stderr.txt")]
    texts += [f"--- {log.name}\n{log.read_text()}" for log in sorted((folder / "work").glob("*.log"))]
    return "\n".join(texts)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells its own processes apart by /proc")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_what_a_page_tells_to_type_answers_as_it_says(page: Path, tmp_path: Path) -> None:
    """Every command of the page succeeds and prints what the page shows."""
    (tmp_path / "work").mkdir()
    typed: list[Command] = []
    for block in blocks(page):
        if block.file:
            (tmp_path / "work" / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "console" and not block.not_run:
            typed += commands(block)
    answers = in_a_shell(page, tmp_path, typed)
    for command, (code, output) in zip(typed, answers, strict=True):
        where = f"{name_of(page)}:{command.line}: $ {command.text}"
        assert code == "0", f"{where}\nended with {code} and printed\n{output}\n{said(tmp_path)}"
        if command.output:
            shown = f"{where}\nprinted\n{output}\nbut the page shows\n{command.output}\n{said(tmp_path)}"
            assert agrees(command.output, output), shown


if __name__ == "__main__":  # what `until_like` asks: is this the answer?
    sys.exit(0 if agrees(Path(sys.argv[1]).read_text(), sys.stdin.read()) else 1)
