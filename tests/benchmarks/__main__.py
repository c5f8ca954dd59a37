"""The benchmark suite: `nox -s bench`, or `python -m tests.benchmarks`. See README.md beside this file."""

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import durable
from durable.testing.benchmark import Figure, Line, Workload, lines_of, number
from tests.benchmarks import peers, report
from tests.benchmarks.child import figures_of
from tests.benchmarks.stores import NAMES, opened
from tests.benchmarks.workloads import WORKLOADS, parts_on, passes_of

ROOT = Path(__file__).parent.parent.parent
CHILD_S = 3_600  # past that a pass hangs


def read_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all if none is named"
    )
    parser.add_argument("--store", action="append", choices=NAMES, help="may be given again; all if none is named")
    parser.add_argument("--repeats", type=int, help="passes of each, of which the median counts (5, with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="less of everything: the whole table in three minutes")
    parser.add_argument("--folder", help="where the files of SQLite and Redis are made: the disk that is measured")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="where the results are written")
    parser.add_argument("--peers", action="store_true", help="measure other engines as well, those that are installed")
    args = parser.parse_args(argv)
    args.workloads = [name.upper() for name in args.workloads] or list(WORKLOADS)
    unknown = [name for name in args.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}; expected one of {', '.join(WORKLOADS)}")
    args.repeats = args.repeats or (1 if args.quick else 5)
    args.scale = "quick" if args.quick else "full"
    return args


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "durable": durable.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "load before": round(os.getloadavg()[0], 1),
    }


def measure(args: argparse.Namespace) -> list[Line]:
    """Measure what was asked for, and say on standard error how it goes."""
    lines: list[Line] = []
    for store in args.store or NAMES:
        with opened(store, args.folder) as url:
            if url is None:
                say(f"{store}: no server is installed, so it is left out")
                continue
            for name in args.workloads:
                lines += measure_workload(WORKLOADS[name], store, url, args)
    return lines


def measure_workload(workload: Workload, store: str, url: str, args: argparse.Namespace) -> list[Line]:
    """Measure a workload on a store. A pass that fails is told, and its figures are missing."""
    lines: list[Line] = []
    passes = passes_of(workload, args.repeats)
    for index, part in enumerate(parts_on(workload, store, args.scale)):
        figures: list[list[Figure]] = []
        for turn in range(1, passes + 1):
            say(f"{workload.name} {store} {part.label}: pass {turn} of {passes}")
            command = [sys.executable, "-m", "tests.benchmarks.child", workload.name, str(index), args.scale, url]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=CHILD_S, check=False)
            if done.returncode:
                say(f"{workload.name} {store} {part.label}: the pass failed with exit code {done.returncode}")
            else:
                figures.append(figures_of(done.stdout))
        found = lines_of(workload.name, store, figures)
        for line in found:
            say(f"    {line.figure or line.unit}: {number(line.value)} {line.unit} {line.shown_ratio}")
        lines += found
    return lines


def say(text: str) -> None:
    """Say how it goes."""
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the results, print the table."""
    args = read_arguments(sys.argv[1:] if argv is None else argv)
    head = machine()
    lines = measure(args)
    if args.peers:
        lines += peers.measure(args, say)
    titles = {name: workload.title for name, workload in WORKLOADS.items()}
    print(report.write(lines, titles, head, args.out))
    say(f"written to {args.out}: results.jsonl, results.md, results.svg")
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main())
