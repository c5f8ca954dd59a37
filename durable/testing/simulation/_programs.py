"""Random workflow programs, as data: what a program is, and how one is drawn.

A program is a list of steps, each `[kind, argument...]`; some arguments are programs again. `_interpreter` runs one as a
workflow, `_oracle` says what it may give, without the engine. Steps and what they put into the log:

act n · local n          2n · n + 1
flaky n k · near n k     the same, after k attempts that fail
patient n                2n: an activity whose end is waited for, if it is cancelled
given n · kept n         3n: an activity that somebody outside ends; `kept`: its end is waited for, if it is cancelled
shaky n              2n: an activity that fails for good, until it is mended and the run is retried (once in a program)
fail n · fail_near n     -n, and the failure is the last word
nap s · hear             0 (after s seconds) · 0 (the value goes to `heard`)
serve                    0: an update was carried out; what it asked for goes to `served`
never s                  -1: nothing is received within s seconds
choice                   1 1 7: a random number in its range, a patch, a side effect; it sets attributes as well
gather P...              the logs of its parts, in their order
race P...                the log of one of them (timing decides)
sure P                   the log of P, which races with something that never happens
bounded s P              the log of P, or -2 (timing decides); whole or not at all
repeat n P               the log of P, n times
finally P C              the logs of both
stopped P C              the logs of P and C, and -3: P has run when it is cancelled, and C cleans up
child P              the log of P, which a run of its own has run
broken n · called n  -5: a child that fails · -6: a child that is started and asked to cancel
pinned v n           10n + v: a chain of two runs that are pinned to version v
left n p             0: a child that nobody waits for; p says what becomes of it when its parent closes (see `PARENT_CLOSE`)
tell n · nobody          0: n is signalled to another run · -4: there is no such run
halt i                   0: the i-th victim of this program is asked to cancel
raise n                  ends the run as failed (last step only)
again P                  the log of P, in a new run that continues this one as new (last step only)
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Protocol

Step = list[Any]
Program = list[Step]

VICTIMS_MAX = 2  # runs that one program may cancel
RUNS_MAX = 4  # in a chain
_NESTED = {
    "gather": 0,
    "race": 0,
    "sure": 0,
    "bounded": 1,
    "repeat": 1,
    "finally": 0,
    "stopped": 0,
    "child": 0,
}  # where programs begin
# What is more frequent is there more than once.
_LEAVES: tuple[str, ...] = ("act", "local", "nap", "flaky", "near", "fail", "fail_near", "choice", "choice", "never", "act", "broken", "called",
    "patient", "pinned")  # fmt: skip
_ALONE_NOT: tuple[str, ...] = ("given", "given", "kept")
_ONCE: tuple[str, ...] = ("hear", "serve")
_OUTWARD: tuple[str, ...] = ("tell", "nobody")
_PARTS_FROM = {**_NESTED, "again": 0}


class Chooser(Protocol):
    """Draws numbers: a generator of random ones, or Hypothesis."""

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1; 0 is the simplest."""
        ...


class RandomChooser:
    """Draws a program's numbers from a generator."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def below(self, limit: int) -> int:
        """See `Chooser`."""
        return int(self._chance.random() * limit)


class _Drawing:
    """One program while it is drawn. `once`: the step runs exactly once, whatever the timing, if its run is left alone."""

    def __init__(self, chooser: Chooser, size: int, alone: bool, inward: bool) -> None:
        self._below = chooser.below
        self.left, self._alone, self._inward = size, alone, inward
        self.victims = 0

    def body(self, depth: int, *, once: bool, least: int = 1) -> Program:
        steps: Program = []
        for _ in range(least + self._below(3)):
            if steps and self.left <= 0:
                break
            self.left -= 1
            steps.append(self.step(depth, once=once))
        return steps

    def step(self, depth: int, *, once: bool) -> Step:
        below = self._below
        leaves = list(_LEAVES)
        if not self._alone:
            leaves += _ALONE_NOT if self._inward else [*_ALONE_NOT, "left"]
        if once:
            leaves += _ONCE if self._inward else _ONCE + _OUTWARD
            if not self._inward and self.victims < VICTIMS_MAX:
                leaves.append("halt")
        kinds = leaves + (list(_NESTED) if depth < 3 and self.left > 0 else [])
        kind = kinds[below(len(kinds))]
        match kind:
            case "act" | "patient" | "given" | "kept" | "local" | "fail" | "fail_near" | "broken" | "called":
                return [kind, 1 + below(9)]
            case "tell":
                return [kind, 1 + below(9)]
            case "flaky" | "near":
                return [kind, 1 + below(9), 1 + below(2)]
            case "pinned":
                return [kind, 1 + below(2), 1 + below(9)]
            case "left":
                return [kind, 1 + below(9), below(3)]
            case "nap":
                return [kind, below(9)]
            case "never":
                return [kind, 1 + below(5)]
            case "halt":
                self.victims += 1
                return [kind, self.victims - 1]
            case "gather":
                return [kind, *(self.body(depth + 1, once=once) for _ in range(2 + below(2)))]
            case "race":
                return [kind, *(self.body(depth + 1, once=False) for _ in range(2 + below(2)))]
            case "child":
                # What runs, victims and listeners are there for is the program's own run.
                return [kind, self.body(depth + 1, once=False)]
            case "sure":
                return [kind, self.body(depth + 1, once=once)]
            case "bounded":
                return [kind, 1 + below(8), self.body(depth + 1, once=False)]
            case "repeat":
                # What a loop does happens more than once, so a victim would be hit twice.
                return [kind, 2 + below(2), self.body(depth + 1, once=False)]
            case "finally":
                return [kind, self.body(depth + 1, once=once), self.cleanup()]
            case "stopped":
                return [kind, self.body(depth + 1, once=once), self.cleanup()]
            case _:
                return [kind]

    def cleanup(self) -> Program:
        """Draw what a `finally` does: an activity at least, so that it can be seen whether it ran."""
        kinds = ["act", "local", "flaky"]
        steps: Program = []
        for _ in range(1 + self._below(2)):
            kind = kinds[self._below(len(kinds))]
            steps.append([kind, 1 + self._below(9), *([1] if kind == "flaky" else [])])
        return steps


def draw_program(chooser: Chooser, *, size: int = 8, alone: bool = False, inward: bool = False) -> Program:
    """Return a program of about `size` steps. `alone`: nobody outside ends activities, and its end is that of all it has begun.

    `inward`: it is one run, which asks nothing of other ones than its children.
    """
    drawing = _Drawing(chooser, size, alone, inward)
    bodies = [drawing.body(0, once=True, least=2)]
    if inward:
        return bodies[0]
    while len(bodies) < RUNS_MAX and chooser.below(4) == 3:
        drawing.left += size // 2
        bodies.append(drawing.body(0, once=True))
    if not alone and chooser.below(6) == 5:
        body = bodies[chooser.below(len(bodies))]
        body.insert(chooser.below(len(body) + 1), ["shaky", 1 + chooser.below(9)])
    program = bodies.pop()
    if chooser.below(12) == 11:
        program.append(["raise", 1 + chooser.below(9)])
    while bodies:
        program = [*bodies.pop(), ["again", program]]
    return program


def parts_of(step: Step) -> list[Program]:
    """Return the programs within a step."""
    first = _PARTS_FROM.get(step[0])
    return [] if first is None else list(step[1 + first :])


def steps_of(program: Program) -> Iterator[Step]:
    """Yield all steps of a program, those within steps too."""
    for step in program:
        yield step
        for part in parts_of(step):
            yield from steps_of(part)


def count_of(program: Program, kind: str) -> int:
    """Return how many steps of `kind` a program has. Each of them runs once, for the kinds where that matters."""
    return sum(step[0] == kind for step in steps_of(program))


def arguments_of(program: Program, kind: str) -> list[int]:
    """Return the first argument of each step of `kind`."""
    return [step[1] for step in steps_of(program) if step[0] == kind]
