"""`python -m tests.planted.make_table`: looks for every planted bug, and writes the table of docs/explanation/planted-bugs.md."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from .bugs import BUGS
from .harness import ROOT, Answer, Look, Planted, look

PAGE = ROOT / "docs" / "explanation" / "planted-bugs.md"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
TITLES = {
    "store": "In a store",
    "engine": "In the engine, the runtime, the worker, the client",
    "workflows": "In workflows",
}
KITS = {
    "simulate": "simulation", "conformance": "conformance suite", "executions": "executions", "replay": "replayer",
    "deterministic": "`assert_deterministic`", "lint": "`durable lint`", "definition": "`@workflow`",
}  # fmt: skip
UNITS = {
    "simulate": "seed",
    "conformance": "test",
    "executions": "example",
    "replay": "example",
    "deterministic": "example",
}


def label(each: Look) -> str:
    """Return what a part of the kit is called in the table."""
    finder, _, about = each.finder.partition(":")
    if finder == "simulate" and about:
        return f"{KITS[finder]}, faults × {about}"
    return KITS[finder]


def text_of(found: int, whole: int) -> str:
    """Return the sentence that counts."""
    return f"Of {whole} planted bugs, the kit finds {found}."


def cell(each: Look, answer: Answer) -> str:
    """Return what the table says of one part of the kit."""
    unit = UNITS.get(each.finder.partition(":")[0], "")
    if not answer.found:
        budget = f" ({each.budget} {unit}s)" if unit and unit != "test" else ""
        return f"not by {label(each)}{budget}"
    count = f"{answer.after} {unit}{'s' if answer.after != 1 else ''}, " if unit else ""
    what = answer.what if answer.what != "assert_deterministic" else "differs on replay"
    return f"{label(each)}: {count}`{what}`" if what != "differs on replay" else f"{label(each)}: {count}{what}"


def row(bug: Planted, answers: list[Answer]) -> str:
    """Return the row of a bug."""
    cells = [cell(each, answer) for each, answer in zip(bug.looks, answers, strict=True)]
    if bug.remark:
        cells.append(f"({bug.remark})")
    where = bug.file if bug.file.startswith("durable/") else f"tests/planted/sample/{bug.file}"
    return f"| {bug.name} | `{where}` | {'<br>'.join(cells)} | {'yes' if any(a.found for a in answers) else 'no'} |"


def main() -> int:
    """See the module."""
    looks = [(bug, each) for bugs in BUGS.values() for bug in bugs for each in bug.looks]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda pair: look(*pair), looks))
    answers = {(bug.name, each): answer for (bug, each), answer in zip(looks, found, strict=True)}
    lines = [text_of(sum(any(answers[bug.name, each].found for each in bug.looks) for bugs in BUGS.values() for bug in bugs),
                     sum(map(len, BUGS.values()))), ""]  # fmt: skip
    for kind, bugs in BUGS.items():
        lines += [
            f"## {TITLES[kind]}",
            "",
            "| bug | planted in | found by, after how many | found |",
            "|---|---|---|---|",
        ]
        lines += [row(bug, [answers[bug.name, each] for each in bug.looks]) for bug in bugs]
        lines.append("")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")
    odd = [f"{bug.name} - {each.finder}" for bug, each in looks if answers[bug.name, each].found != each.finds]
    print(*[f"not as expected: {each}" for each in odd], sep="\n")
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
