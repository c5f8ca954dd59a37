"""What a random program may give, told from the program alone."""

from __future__ import annotations

from collections.abc import Sequence

from ._programs import Program, Step, parts_of, steps_of


def allows(program: Program, log: Sequence[int]) -> bool:
    """Return whether a run of `program` that completed may have left `log`."""
    return len(log) in _ends(program, log, {0})


def failure_of_program(program: Program) -> str:
    """Return the message of the exception that the program ends with, or ""."""
    for step in program:
        if step[0] == "raise":
            return f"no {step[1]}"
        if step[0] == "again":
            return failure_of_program(step[1])
    return ""


def effects_at_least(program: Program) -> int:
    """Return how many activities, local ones too, a run that completed has an outcome of at least."""
    return min((_effects(step) for step in [["gather", program]]), default=0)


def is_timed(program: Program) -> bool:
    """Return whether the timing decides about the log."""
    return any(step[0] in ("race", "bounded") for step in steps_of(program))


def _ends(program: Program, log: Sequence[int], starts: set[int]) -> set[int]:
    """Return where in the log `program` may end if it begins at one of `starts`."""
    for step in program:
        starts = {end for start in starts for end in _step_ends(step, log, start)}
    return starts


def _step_ends(step: Step, log: Sequence[int], start: int) -> set[int]:
    parts = parts_of(step)
    match step[0]:
        case "gather" | "finally":
            ends = {start}
            for part in parts:
                ends = _ends(part, log, ends)
            return ends
        case "race":
            return {end for part in parts for end in _ends(part, log, {start})}
        case "sure" | "again" | "child":
            return _ends(parts[0], log, {start})
        case "bounded":
            return _ends(parts[0], log, {start}) | _literal([-2], log, start)
        case "repeat":
            ends = {start}
            for _ in range(step[1]):
                ends = _ends(parts[0], log, ends)
            return ends
        case "stopped":
            ends = _ends(parts[1], log, _ends(parts[0], log, {start}))
            return {after for end in ends for after in _literal([-3], log, end)}
        case _:
            return _literal(_leaf(step), log, start)


def _leaf(step: Step) -> list[int]:
    match step[0]:
        case "act" | "patient" | "flaky" | "shaky":
            return [2 * step[1]]
        case "local" | "near":
            return [step[1] + 1]
        case "given" | "kept":
            return [3 * step[1]]
        case "pinned":
            return [10 * step[2] + step[1]]
        case "fail" | "fail_near":
            return [-step[1]]
        case "never":
            return [-1]
        case "choice":
            return [1, 1, 7]
        case "nobody":
            return [-4]
        case "broken":
            return [-5]
        case "called":
            return [-6]
        case "raise":
            return []
        case _:
            return [0]


def _literal(items: list[int], log: Sequence[int], start: int) -> set[int]:
    end = start + len(items)
    return {end} if list(log[start:end]) == items else set()


def _effects(step: Step) -> int:
    parts = parts_of(step)
    match step[0]:
        case (
            "act" | "shaky" | "patient" | "given" | "kept" | "local" | "flaky" | "near" | "fail" | "fail_near" | "serve"
        ):
            return 1
        case "race":
            return min(sum(map(_effects, part)) for part in parts)
        case "bounded" | "child":
            return 0  # a child's are in its own history
        case "repeat":
            return int(step[1]) * sum(map(_effects, parts[0]))
        case _:
            return sum(_effects(each) for part in parts for each in part)
