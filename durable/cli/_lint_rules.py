"""The rules of `durable lint`: what each forbids, why, and what to do instead. The reference and `--explain` are made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that code must not do, and what to do instead. `bad` and `good` are modules, which the tests check."""

    code: str
    name: str
    problem: str
    advice: str
    why: str
    bad: str
    good: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in source that breaks a rule. `line` and `column` count from 1."""

    rule: str
    line: int
    column: int
    message: str
    advice: str


def _workflow(body: str, imports: str = "", before: str = "", *, names: str = "workflow") -> str:
    """Return the module of an example: its imports, what stands before the workflow, and the workflow's body."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.strip().split("\n"))
    first = f"{imports}\n\n" if imports else ""
    middle = f"{before.strip()}\n\n\n" if before else ""
    return f"{first}from durable import {names}\n\n\n{middle}@workflow\nasync def order(item: str) -> object:\n{lines}"


_CHARGE = """
@activity
async def charge(item: str) -> int:
    return 1
"""

CLOCK = Rule(
    "DUR101", "wall-clock", "reads the wall clock", "use durable.now(), which gives the same time on every replay",
    "A replay happens later, maybe on another machine: a branch on the time would go the other way.",
    _workflow("return datetime.now(UTC).isoformat()", "from datetime import UTC, datetime"),
    _workflow("return now().isoformat()", names="now, workflow"),
)  # fmt: skip
CHANCE = Rule(
    "DUR102", "randomness", "makes a random number", "use durable.random(), which gives the same numbers on every replay",
    "A replay would draw other numbers.",
    _workflow("return random.choice([1, 2])", "import random"),
    _workflow("return random().choice([1, 2])", names="random, workflow"),
)  # fmt: skip
IDS = Rule(
    "DUR103", "random-id", "makes an id by chance", "use durable.uuid4(), which gives the same id on every replay",
    "A replay would make another id, and whatever was done under the first one is not found again.",
    _workflow("return str(uuid.uuid4())", "import uuid"),
    _workflow("return str(uuid4())", names="uuid4, workflow"),
)  # fmt: skip
IO = Rule(
    "DUR104", "io", "does I/O", "move it into an activity, whose result is recorded",
    "It would be done again on each replay, and its answer may be another one. A worker refuses it, and the run is stuck.",
    _workflow("return open(item).read()"),
    _workflow(
        "return await read(item)", names="activity, workflow",
        before="@activity\ndef read(path: str) -> str:\n    with open(path) as file:\n        return file.read()",
    ),
)  # fmt: skip
THREADS = Rule(
    "DUR105", "threads", "leaves the workflow's event loop",
    "move the work into an activity; a plain `def` runs in a thread",
    "When a thread ends is not recorded, so no replay could repeat it.",
    _workflow("return await asyncio.to_thread(len, item)", "import asyncio"),
    _workflow(
        "return await count(item)", names="activity, workflow",
        before="@activity\ndef count(item: str) -> int:\n    return len(item)",
    ),
)  # fmt: skip
BLOCKING = Rule(
    "DUR106", "blocking-sleep", "blocks the process", "use `await durable.sleep()`, which survives a crash",
    "All runs of the worker wait meanwhile, and again on each replay.",
    _workflow("time.sleep(60)", "import time"),
    _workflow('await sleep("1 min")', names="sleep, workflow"),
)  # fmt: skip
ORDER = Rule(
    "DUR107", "set-order", "depends on the order of a set",
    "use sorted(), a list or a dict: sets of text differ by process",
    "Text hashes differently in each process, so a loop over a set of it asks for its activities in another order.",
    _workflow(
        "for each in {item, 'fee'}:\n    await charge(each)", names="activity, workflow", before=_CHARGE
    ),
    _workflow(
        "for each in sorted({item, 'fee'}):\n    await charge(each)", names="activity, workflow", before=_CHARGE
    ),
)  # fmt: skip
ENVIRONMENT = Rule(
    "DUR108", "environment", "looks at the process or machine that it runs on",
    "pass it as an argument, or read it in an activity or `side_effect`, whose value is recorded",
    "A replay may run in another process, on another machine, with other settings.",
    _workflow('return os.environ["REGION"]', "import os"),
    _workflow('return side_effect(lambda: os.environ["REGION"])', "import os", names="side_effect, workflow"),
)  # fmt: skip
IDENTITY = Rule(
    "DUR109", "hash-order", "gives another number in each process",
    "use what the value is, not where it lies: a field of it, or its text",
    "`hash()` of text is salted for each process, and `id()` is an address.",
    _workflow("return hash(item) % 10"),
    _workflow("return zlib.crc32(item.encode()) % 10", "import zlib"),
)  # fmt: skip
STATE = Rule(
    "DUR110", "global-state", "changes state that outlives the run",
    "keep it in local variables, or in the outside world by an activity",
    "A replay changes it once more, other runs share it, and another worker does not have it.",
    _workflow("seen.append(item)\nreturn len(seen)", before="seen: list[str] = []"),
    _workflow("seen = [item]\nreturn len(seen)"),
)  # fmt: skip
DEFAULT = Rule(
    "DUR111", "mutable-default", "is made once and shared by all runs of a process",
    "use None, and make a new one inside",
    "What one run leaves in it, the next one finds, and a replay finds it twice.",
    "from durable import workflow\n\n\n@workflow\nasync def order(items: list[str] = []) -> object:\n    return items\n",
    "from durable import workflow\n\n\n@workflow\nasync def order(items: tuple[str, ...] = ()) -> object:\n    return items\n",
)  # fmt: skip
UNAWAITED = Rule(
    "DUR112", "not-awaited", "is not awaited", "await it, or keep it and await it later",
    "The call has only begun then: its result and its failure are lost, and the run may end before it.",
    _workflow("charge(item)", names="activity, workflow", before=_CHARGE),
    _workflow("await charge(item)", names="activity, workflow", before=_CHARGE),
)  # fmt: skip
SWALLOWED = Rule(
    "DUR113", "swallowed-cancellation", "takes a cancellation and goes on",
    "end it with `raise`, use `finally` for cleanup, or catch `Exception`",
    "`handle.cancel()` and `asyncio.timeout` end code by that exception: without it the run cannot be cancelled.",
    _workflow(
        "try:\n    await sleep(60)\nexcept BaseException:\n    return 0", names="sleep, workflow"
    ),
    _workflow(
        "try:\n    await sleep(60)\nexcept Exception:\n    return 0", names="sleep, workflow"
    ),
)  # fmt: skip
READER = Rule(
    "DUR114", "reader-commands", "commands something where code may only read",
    "do it in the workflow, or in the handler of a signal or an update",
    "Query handlers and validators leave no trace in the history, so what they began could not be found again. A worker refuses it.",
    _workflow(
        '@Query("cents").handler\ndef tell() -> object:\n    return charge(item)\n\nawait sleep(60)', names="Query, activity, sleep, workflow",
        before=_CHARGE,
    ),
    _workflow(
        'cents = await charge(item)\n\n@Query("cents").handler\ndef tell() -> object:\n    return cents\n\nawait sleep(60)',
        names="Query, activity, sleep, workflow", before=_CHARGE,
    ),
)  # fmt: skip
BLOCKED_LOOP = Rule(
    "DUR201", "blocking-activity", "blocks the event loop of its worker",
    "write the activity as a plain `def`, which runs in a thread, or use an async library",
    "While an `async def` activity waits without `await`, all other activities of the worker stand still.",
    "import time\n\nfrom durable import activity\n\n\n@activity\nasync def charge(item: str) -> None:\n    time.sleep(1)\n",
    "import time\n\nfrom durable import activity\n\n\n@activity\ndef charge(item: str) -> None:\n    time.sleep(1)\n",
)  # fmt: skip

RULES = {
    rule.code: rule
    for rule in (
        CLOCK, CHANCE, IDS, IO, THREADS, BLOCKING, ORDER, ENVIRONMENT, IDENTITY, STATE, DEFAULT, UNAWAITED, SWALLOWED,
        READER, BLOCKED_LOOP,
    )
}  # fmt: skip


def codes_of(text: str) -> set[str]:
    """Return the codes that `text` stands for: codes, beginnings of codes, or names, with commas between them.

    Raises `ValueError` for one that stands for none.
    """
    found: set[str] = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        codes = {rule.code for rule in RULES.values() if rule.name == word or rule.code.startswith(word.upper())}
        if not codes:
            raise ValueError(f"there is no rule {word!r}; there are: {', '.join(RULES)}")
        found |= codes
    return found
