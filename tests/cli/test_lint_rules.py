"""The rules of `durable lint` one by one: what each finds, and what it leaves alone."""

from pathlib import Path

import pytest

from durable.cli._lint_rules import RULES, Rule, codes_of
from durable.cli._lint_source import lint_source
from tests.cli.test_lint_source import codes, found, in_workflow
from tests.docs.pages import PAGES, blocks, name_of

ROOT = Path(__file__).parents[2]
HELPERS = """
import asyncio, contextlib, itertools, os, sys
from collections import Counter, defaultdict, deque
from durable import Query, Signal, Update, external, patched, side_effect, sleep, upsert_attributes, wait_condition
import settings
approved = Signal("approved", bool)
asked, changed = Query("asked"), Update("changed", int, int)
SEEN, TOTAL, NUMBERS = [], 0, itertools.count()
COUNTS: Counter[str] = Counter()
class Shop:
    open = True
@activity
async def charge(n: int = 0) -> int: return n
@activity
def ship(n: int = 0) -> int: return n
async def helper() -> int: return await charge()
"""

BROKEN = [
    # DUR108: the environment
    ("os.environ['REGION']", "DUR108"),
    ("os.getenv('REGION')", "DUR108"),
    ("if os.environ.get('DEBUG'):\n    pass", "DUR108"),
    ("sys.argv[1:]", "DUR108"),
    ("os.cpu_count()", "DUR108"),
    ("import platform\nplatform.node()", "DUR108"),
    # DUR109: hash() and id()
    ("hash(x)", "DUR109"),
    ("id(x)", "DUR109"),
    ("sorted(x, key=id)", "DUR109"),
    ("x.sort(key=hash)", "DUR109"),
    # DUR110: state that outlives the run
    ("SEEN.append(x)", "DUR110"),
    ("SEEN[0] = x", "DUR110"),
    ("del SEEN[0]", "DUR110"),
    ("COUNTS[x] += 1", "DUR110"),
    ("COUNTS.update(x)", "DUR110"),
    ("global TOTAL\nTOTAL += 1", "DUR110"),
    ("global TOTAL\nTOTAL = x", "DUR110"),
    ("Shop.open = False", "DUR110"),
    ("settings.debug = True", "DUR110"),
    ("settings.cache['a'] = x", "DUR110"),
    ("next(NUMBERS)", "DUR110"),
    ("def inner():\n    SEEN.clear()\ninner()", "DUR110"),
    # DUR112: what is not awaited
    ("charge(1)", "DUR112"),
    ("ship(1)", "DUR112"),
    ("helper()", "DUR112"),
    ("sleep(1)", "DUR112"),
    ("asyncio.sleep(1)", "DUR112"),
    ("asyncio.gather(charge(1), charge(2))", "DUR112"),
    ("wait_condition(lambda: x)", "DUR112"),
    ("proxy(charge, timeout=3)(1)", "DUR112"),
    ("local(ship)(1)", "DUR112"),
    ("slow = proxy(charge)\nslow(1)", "DUR112"),
    ("approved.receive()", "DUR112"),
    ("external('a').cancel()", "DUR112"),
    ("other = external('a')\nother.signal(approved, True)", "DUR112"),
    ("cents = charge(1)", "DUR112"),
    ("cents: int = charge(1)", "DUR112"),
    ("if charge(1):\n    pass", "DUR112"),
    ("if not charge(1):\n    pass", "DUR112"),
    ("x = charge(1) + 1\nprint(x)", "DUR112"),
    ("if charge(1) > 3:\n    pass", "DUR112"),
    ("print(f'{charge(1)} cents')", "DUR112"),
    ("print(charge(1).cents)", "DUR112"),
    ("return charge(1)", "DUR112"),
    # DUR114: what may only read
    ("@Query('q').handler\ndef q():\n    return charge(1)", "DUR114"),
    ("@asked.handler\ndef q():\n    return upsert_attributes({})", "DUR114"),
    ("@Query.dynamic\ndef q(name, args):\n    return patched('p')", "DUR114"),
    ("@changed.validator\ndef check(n):\n    if patched('p'):\n        raise ValueError", "DUR114"),
    ("@changed.validator\ndef check(n):\n    return side_effect(print)", "DUR114"),
    # DUR113: cancellation
    ("try:\n    await charge()\nexcept BaseException:\n    pass", "DUR113"),
    ("try:\n    await charge()\nexcept:\n    return 1", "DUR113"),
    ("try:\n    await charge()\nexcept asyncio.CancelledError:\n    pass", "DUR113"),
    ("try:\n    await charge()\nexcept (ValueError, asyncio.CancelledError) as e:\n    print(e)", "DUR113"),
    ("while True:\n    try:\n        await charge()\n    except asyncio.CancelledError:\n        continue", "DUR113"),
    ("with contextlib.suppress(asyncio.CancelledError):\n    await charge()", "DUR113"),
    ("with contextlib.suppress(BaseException):\n    await charge()", "DUR113"),
    ("try:\n    await charge()\nfinally:\n    return 1", "DUR113"),
]

FINE = [
    "@asked.handler\ndef q():\n    return [charge, len(x)]",
    "@changed.handler\ndef on(n):\n    upsert_attributes({})\n    return patched('p')",
    "@approved.handler\nasync def on(n):\n    await charge(1)",
    "@unknown.handler\ndef on(n):\n    return patched('p')",
    "@changed.validator\ndef check(n):\n    if n < x:\n        raise ValueError(n)",
    "os.path.join('a', x), os.sep",
    "hash(1), x.id, x.hash()",
    "sorted(x, key=len), max(x, key=lambda o: o.id)",
    "id = x\nhash = str\nid(1), hash(2)",
    "print(SEEN, TOTAL, COUNTS['a'], settings.debug, Shop.open, len(SEEN), SEEN.copy(), SEEN.index(x))",
    "SEEN = []\nSEEN.append(1)",
    "counts = Counter()\ncounts['a'] += 1\ncounts.update(x)\nx.total = 1\nx['a'] = 1",
    "numbers = itertools.count()\nnext(numbers), next(iter([1]))",
    "total = 0\ndef add():\n    nonlocal total\n    total += 1\nadd()",
    "x.append(1), where.update(2)",
    "await charge(1)",
    "return await charge(1)",
    "cents = charge(1)\nreturn await cents",
    "calls = [charge(1), helper()]\nawait asyncio.gather(*calls)",
    "a = charge(1)\nawait asyncio.wait([a], timeout=1)",
    "calls = []\ncalls.append(charge(1))\nundo = lambda: charge(1)\nawait undo()",
    "task = asyncio.create_task(helper())\nawait task",
    "asyncio.create_task(helper())",
    "return [await each for each in (charge(1), charge(2))]",
    "async def later():\n    return charge(1)\nawait (await later())",
    "def later():\n    return charge(1)\nawait later()",
    "a = charge(1)\na.add_done_callback(print)",
    "approved.receive_nowait()\nx.receive()\nx.signal(1)",
    "async with asyncio.TaskGroup() as group:\n    group.create_task(helper())",
    "await asyncio.wait_for(charge(1), 3)\nawait asyncio.shield(charge(1))",
    "def charge(n): return n\ncharge(1)",
    "try:\n    await charge()\nexcept asyncio.CancelledError:\n    await ship()\n    raise",
    "try:\n    await charge()\nexcept BaseException as e:\n    if x:\n        raise\n    raise ValueError from e",
    "try:\n    await charge()\nexcept asyncio.CancelledError:\n    return 'cancelled'",
    "try:\n    await charge()\nexcept Exception:\n    pass",
    "try:\n    await charge()\nfinally:\n    await ship()",
    "try:\n    async with asyncio.timeout(3):\n        await charge()\nexcept TimeoutError:\n    pass",
    "task = asyncio.create_task(helper())\ntask.cancel()\ntry:\n    await task\nexcept asyncio.CancelledError:\n    pass",
    "task = asyncio.create_task(helper())\ntask.cancel()\nwith contextlib.suppress(asyncio.CancelledError):\n    await task",
    "with contextlib.suppress(ValueError):\n    await charge()",
]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_example_of_a_rule_breaks_it_and_its_remedy_does_not(rule: Rule) -> None:
    """What `--explain` and the reference show is true, and nothing else is found in it."""
    assert [finding.rule for finding in lint_source(rule.bad)] == [rule.code]
    assert lint_source(rule.good) == []


@pytest.mark.parametrize(("statement", "code"), BROKEN)
def test_each_way_to_break_a_rule_is_found_once(statement: str, code: str) -> None:
    """And nothing else with it."""
    assert codes(in_workflow(statement, HELPERS)) == [code]


@pytest.mark.parametrize("statement", FINE)
def test_what_is_right_is_left_alone(statement: str) -> None:
    """No false alarm."""
    assert found(in_workflow(statement, HELPERS)) == []


@pytest.mark.parametrize("default", ["[]", "{}", "set()", "list()", "{'a': 1}", "[1]", "defaultdict(list)", "deque()"])
def test_a_default_that_can_be_changed_is_found(default: str) -> None:
    """In a workflow and in what it uses; what is defined inside of a run is made anew for each."""
    body = f"async def helper(a={default}): return a\n@workflow\nasync def order(x, *, b={default}):\n"
    assert codes(f"{HELPERS}\n{body}    return await helper()\n") == ["DUR111", "DUR111"]
    inside = (
        f"@workflow\nasync def order(x=(), y=None, z=0):\n    def inner(a={default}): return a\n    return inner()\n"
    )
    assert codes(f"{HELPERS}\n{inside}") == []
    assert codes(f"{HELPERS}\n@activity\ndef work(a={default}): return a\n") == []


BLOCKING = [
    ("import time", "time.sleep(1)"),
    ("import requests", "requests.get(x)"),
    ("import httpx", "httpx.post(x)"),
    ("from urllib.request import urlopen", "urlopen(x).read()"),
    ("", "open(x).read()"),
    ("", "with open(x) as file:\n    file.read()"),
    ("from pathlib import Path", "Path(x).write_text('a')"),
    ("import subprocess", "subprocess.run(['ls'])"),
    ("import sqlite3", "sqlite3.connect(x)"),
    ("import smtplib", "smtplib.SMTP(x)"),
    ("import time\ndef pause(): time.sleep(1)", "pause()"),
    ("import time\nasync def pause(): time.sleep(1)", "await pause()"),
]
NOT_BLOCKING = [
    ("import asyncio, time", "await asyncio.to_thread(time.sleep, 1)"),
    ("import asyncio, time\ndef pause(): time.sleep(1)", "await asyncio.to_thread(pause)"),
    ("import asyncio, time", "await asyncio.to_thread(lambda: time.sleep(1))"),
    ("import asyncio", "await asyncio.sleep(1)"),
    ("import httpx", "async with httpx.AsyncClient() as c:\n    await c.get(x)"),
    ("import time, random, uuid", "time.time(), random.random(), uuid.uuid4()"),
    ("import asyncio", "await asyncio.create_subprocess_exec('ls')"),
    ("from pathlib import Path", "Path(x).exists(), Path(x).name"),
    ("import requests", "try:\n    pass\nexcept requests.HTTPError:\n    pass"),
    ("def open(x): return x", "open(x)"),
]


def in_activity(statement: str, imports: str, kind: str) -> str:
    return in_workflow(statement, imports).replace("@workflow\nasync def", f"@activity\n{kind}")


@pytest.mark.parametrize(("imports", "statement"), BLOCKING)
def test_an_async_activity_that_blocks_is_found(imports: str, statement: str) -> None:
    """Also in what it uses of its module. A plain `def` may block: it runs in a thread."""
    assert codes(in_activity(statement, imports, "async def")) == ["DUR201"]
    assert codes(in_activity(statement.replace("await ", ""), imports, "def")) == []


@pytest.mark.parametrize(("imports", "statement"), NOT_BLOCKING)
def test_an_async_activity_that_waits_as_it_should_is_left_alone(imports: str, statement: str) -> None:
    """Threads, async libraries, and what is quick."""
    assert codes(in_activity(statement, imports, "async def")) == []


def test_a_finding_says_how() -> None:
    """The message is a sentence."""
    (finding,) = found(in_workflow("charge(1)", HELPERS))
    assert finding.message == "charge() is not awaited: what it gives is dropped"
    (finding,) = found(in_workflow("cents = charge(1)", HELPERS))
    assert finding.message == "charge() is not awaited: it is kept in 'cents', which is never used"


@pytest.mark.parametrize(
    ("imported", "called"),
    [
        ("from app.activities import charge", "charge()"),
        ("from .activities import charge as pay", "pay()"),
        ("import app.activities as acts", "acts.charge()"),
        ("from activities import charge", "charge()"),
    ],
)
def test_activities_of_other_files_are_known_if_told(imported: str, called: str) -> None:
    """`durable lint FOLDER` reads all files before it judges one."""
    text = f"from durable import workflow\n{imported}\n@workflow\nasync def order():\n    {called}\n"
    known = {"app.activities.charge": "activity", "activities.charge": "activity"}
    assert [finding.rule for finding in lint_source(text, known=known)] == ["DUR112"]
    assert lint_source(text) == []


def test_rules_are_told_by_code_by_its_beginning_or_by_name() -> None:
    """On the command line and in comments."""
    assert codes_of("DUR101") == {"DUR101"}
    assert codes_of("dur2, io") == {"DUR201", "DUR104"}
    assert codes_of("DUR") == set(RULES)
    assert codes_of("") == set()
    with pytest.raises(ValueError, match="there is no rule 'nonsense'"):
        codes_of("io, nonsense")


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# durable: ignore[not-awaited]", []),
        ("# durable: ignore[DUR1]", []),
        ("# durable: ignore[io, not-awaited]", []),
        ("# durable: ignore[io]", ["DUR112"]),
        ("# durable: ignore[nonsense]", ["DUR112"]),
    ],
)
def test_a_comment_may_name_a_rule(comment: str, left: list[str]) -> None:
    """A name that is no rule turns nothing off."""
    assert codes(in_workflow(f"charge(1)  {comment}", HELPERS)) == left


@pytest.mark.parametrize("path", sorted((ROOT / "samples").rglob("*.py")), ids=lambda path: path.name)
def test_nothing_is_found_in_the_samples(path: Path) -> None:
    """They are written as workflows should be."""
    assert lint_source(path.read_text(encoding="utf-8")) == []


# Pages that show on purpose what must not be done, with the rules that they break.
SHOWN_BROKEN = {
    "docs/explanation/replay-and-determinism.md": {"DUR101", "DUR104"},
    "docs/how-to/property-tests.md": {"DUR110"},
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_found_in_the_documentation(page: Path) -> None:
    """A page is one program, cut into blocks."""
    texts = [block.text for block in blocks(page) if block.language == "python" and not block.not_run]
    rules = {finding.rule for finding in lint_source("\n".join(texts))}
    assert rules == SHOWN_BROKEN.get(page.relative_to(ROOT).as_posix(), set())
