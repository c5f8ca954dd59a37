"""Other engines at the same work, if they are installed: `--peers`. Each pass is a process of its own."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from durable.testing.benchmark import Line, lines_of, number
from tests.benchmarks.child import figures_of

# Peer -> the package that it needs in this environment. Each is a module beside this one; README.md says what survives with each.
NEEDS = {"dbos": "dbos", "temporal": "temporalio", "restate": "restate"}
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6")
_ROOT = Path(__file__).parent.parent.parent.parent


def measure(args: argparse.Namespace, say: Callable[[str], None]) -> list[Line]:
    """Measure the peers that are installed, and say which are not."""
    lines: list[Line] = []
    for peer, package in NEEDS.items():
        if find_spec(package) is None:
            say(f"{peer}: the package {package!r} is not installed, so it is left out")
            continue
        for workload in [name for name in args.workloads if name in WORKLOADS]:
            passes = []
            for turn in range(1, args.repeats + 1):
                say(f"{workload} {peer}: pass {turn} of {args.repeats}")
                command = [sys.executable, "-m", "tests.benchmarks.peers.child", peer, workload, args.scale]
                done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
                if done.returncode:
                    say(f"{workload} {peer}: the pass failed with exit code {done.returncode}")
                    break
                passes.append(figures_of(done.stdout.splitlines()[-1]))
            found = lines_of(workload, peer, passes)
            for line in found:
                say(f"    {line.figure or line.unit}: {number(line.value)} {line.unit}")
            lines += found
    return lines
