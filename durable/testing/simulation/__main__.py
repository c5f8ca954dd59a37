"""`python -m durable.testing.simulation [SEED ...] [--seeds N] [--from K] [--json FILE] [--trace]`: run simulations.

Ends with 0 if every seed kept every promise, with 1 if one did not; each failure is printed with its seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from ..._clock import SystemClock
from ._chaos import Chaos
from ._simulate import SimulationError, simulate

_PROGRESS_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m durable.testing.simulation", description="Simulate the whole system."
    )
    parser.add_argument("seed", nargs="*", type=int, help="seeds to run; default: see --seeds")
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="how many seeds to run (default: 200)")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="K", help="the first of them (default: 0)")
    parser.add_argument(
        "--faults", type=float, default=1.0, metavar="F", help="how many times as much goes wrong; 0: nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--trace", action="store_true", help="show each line of the trace")
    options = parser.parse_args(arguments)
    seeds = options.seed or range(options.first, options.first + options.seeds)
    return _run(list(seeds), Chaos().scaled(options.faults), options.json, trace=options.trace)


def _run(seeds: list[int], chaos: Chaos, figures: Path | None, *, trace: bool) -> int:
    clock, counts, failed = SystemClock(), Counter[str](), list[int]()
    began = shown = clock.monotonic()
    virtual_s = 0.0
    for number, seed in enumerate(seeds, 1):
        try:
            report = simulate(seed, chaos=chaos, on_line=_say if trace else None)
        except SimulationError as error:
            failed.append(seed)
            _say(str(error))
        else:
            counts.update(report.counts)
            virtual_s += report.virtual_s
        if clock.monotonic() - shown > _PROGRESS_S:
            shown = clock.monotonic()
            _say(f"{number} of {len(seeds)} seeds, {len(failed)} failed, {counts['commits']:,} commits")
    took_s = clock.monotonic() - began
    result = {
        "seeds": len(seeds),
        "first": seeds[0] if seeds else None,
        "failed": failed,
        "real_s": round(took_s, 2),
        "virtual_s": round(virtual_s, 1),
        "counts": dict(sorted(counts.items())),
    }
    if figures is not None:
        figures.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _say(
        f"{len(seeds)} seeds in {took_s:.1f} s ({virtual_s / 3600:.1f} simulated hours), {len(failed)} failed: {failed}"
    )
    _say(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
