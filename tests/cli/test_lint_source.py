"""`lint_source`: what it finds in workflow code, and what it leaves alone."""

import textwrap

import pytest

from durable.cli._lint_rules import RULES, Finding
from durable.cli._lint_source import lint_source

HEAD = "from durable import activity, local, proxy, side_effect, workflow\n"


def found(body: str, head: str = HEAD) -> list[Finding]:
    return lint_source(head + textwrap.dedent(body))


def codes(body: str, head: str = HEAD) -> list[str]:
    return [finding.rule for finding in found(body, head)]


def in_workflow(statement: str, imports: str = "") -> str:
    """Return a module whose workflow holds `statement`."""
    body = textwrap.indent(textwrap.dedent(statement), "    ")
    return f"{imports}\n@workflow\nasync def order(x, names: set[str], where=None):\n{body}\n"


BROKEN = [
    ("import time", "time.time()", "DUR101"),
    ("from time import monotonic as clock", "clock()", "DUR101"),
    ("import time as t", "t.perf_counter_ns()", "DUR101"),
    ("from datetime import datetime as dt", "dt.now()", "DUR101"),
    ("import datetime", "datetime.datetime.utcnow()", "DUR101"),
    ("from datetime import UTC, datetime", "datetime.now(UTC)", "DUR101"),
    ("import datetime as d", "d.date.today()", "DUR101"),
    ("import time", "time.gmtime()", "DUR101"),
    ("import time", "time.strftime('%Y')", "DUR101"),
    ("import random", "random.choice([1, 2])", "DUR102"),
    ("from random import randint", "randint(1, 6)", "DUR102"),
    ("import random", "random.Random()", "DUR102"),
    ("import os", "os.urandom(8)", "DUR102"),
    ("import secrets", "secrets.token_hex()", "DUR102"),
    ("import numpy as np", "np.random.rand()", "DUR102"),
    ("import uuid", "uuid.uuid4()", "DUR103"),
    ("from uuid import uuid1 as new", "str(new())", "DUR103"),
    ("", "open('file')", "DUR104"),
    ("from pathlib import Path", "Path('a').read_text()", "DUR104"),
    ("import pathlib", "(pathlib.Path('a') / 'b').exists()", "DUR104"),
    ("from pathlib import Path", "p = Path('a')\np.write_text('')", "DUR104"),
    ("import socket", "socket.create_connection(x)", "DUR104"),
    ("import subprocess as sp", "sp.run(['ls'])", "DUR104"),
    ("import requests", "requests.get(x)", "DUR104"),
    ("import httpx", "async with httpx.AsyncClient() as c:\n    await c.get(x)", "DUR104"),
    ("from urllib.request import urlopen", "urlopen(x)", "DUR104"),
    ("import threading", "threading.Thread(target=x).start()", "DUR105"),
    ("import asyncio", "await asyncio.to_thread(x)", "DUR105"),
    ("import asyncio", "await asyncio.get_running_loop().run_in_executor(None, x)", "DUR105"),
    ("from concurrent.futures import ThreadPoolExecutor", "ThreadPoolExecutor()", "DUR105"),
    ("import time", "time.sleep(1)", "DUR106"),
    ("", "for n in names:\n    await x(n)", "DUR107"),
    ("", "for n in {'a', 'b'}:\n    await x(n)", "DUR107"),
    ("", "seen = set()\nseen.add(x)\nfor n in seen:\n    await n", "DUR107"),
    ("", "list(set(x))", "DUR107"),
    ("", "[await x(n) for n in names]", "DUR107"),
    ("", "first = next(iter(names))", "DUR107"),
    ("", "for i, n in enumerate(names | {'z'}):\n    pass", "DUR107"),
    ("", "x(*names)", "DUR107"),
    ("", "names.pop()", "DUR107"),
    ("", "', '.join(names)", "DUR107"),
    ("", "for key in x.keys() - {'a'}:\n    pass", "DUR107"),
    ("", "{n: 1 for n in frozenset(x)}", "DUR107"),
    ("", "{await x(n) for n in names}", "DUR107"),
    ("KINDS = {'a', 'b'}", "for kind in KINDS:\n    pass", "DUR107"),
]

FINE = [
    ("import time", "time.gmtime(0), time.strftime('%Y', x), time.struct_time"),
    ("from datetime import datetime, timedelta", "datetime.fromisoformat(x) + timedelta(days=1)"),
    ("import random", "random.Random(42).choice([1])"),
    ("from durable import random", "random().choice([1])"),
    ("import durable", "durable.now(), durable.uuid4(), durable.random().random()"),
    ("import random", "random = x\nrandom.choice([1])"),
    ("import uuid", "uuid.uuid5(uuid.NAMESPACE_URL, 'a'), uuid.UUID(x)"),
    ("def open(x): return x", "open('file')"),
    ("", "where.open(), x.read_text(), x.now(), x.time()"),
    ("from pathlib import Path", "Path('a').name, Path('a') / 'b'"),
    ("import requests", "try:\n    pass\nexcept requests.HTTPError:\n    pass"),
    ("import asyncio", "await asyncio.sleep(1)\nawait asyncio.gather(x, x)\nasyncio.get_running_loop().time()"),
    ("", "for n in sorted(names):\n    await x(n)"),
    ("", "sorted(list(names)), len(names), sum(n.size for n in names), max(names), 'a' in names"),
    ("", "{n.lower() for n in names}, {*names, 'z'}, any(n for n in names)"),
    ("", "for n in {1, 2, 3}:\n    await x(n)"),
    ("", "for n in dict.fromkeys(x):\n    pass"),
    ("import asyncio", "done, pending = await asyncio.wait(x)\nfor task in done:\n    await task"),
    ("import asyncio", "jobs = set()\nfor n in x:\n    jobs.add(asyncio.create_task(n))\nfor job in jobs:\n    await job"),
    ("import asyncio", "jobs = {asyncio.create_task(n) for n in x}\nfor job in jobs:\n    await job"),
    ("import time", "await side_effect(lambda: time.time())"),
    ("import time", "@activity\ndef inner():\n    return time.time()\nawait inner()"),
    ("", "names = list(x)\nfor n in names:\n    pass"),
]  # fmt: skip


@pytest.mark.parametrize(("imports", "statement", "code"), BROKEN)
def test_what_a_guard_refuses_is_found(imports: str, statement: str, code: str) -> None:
    """Each way to leave determinism is found once, under any name that it was imported by."""
    assert codes(in_workflow(statement, imports)) == [code]


@pytest.mark.parametrize(("imports", "statement"), FINE)
def test_what_can_be_replayed_is_left_alone(imports: str, statement: str) -> None:
    """No false alarm on what is deterministic, or recorded."""
    assert found(in_workflow(statement, imports)) == []


@pytest.mark.parametrize(("imports", "statement", "code"), BROKEN)
def test_other_code_is_nobodys_business(imports: str, statement: str, code: str) -> None:
    """The same code in an activity that runs in a thread, or in a function that no workflow uses, is fine."""
    module = in_workflow(statement, imports)
    assert [code for code in codes(module.replace("@workflow", "@activity")) if code != "DUR201"] == []
    assert codes(module.replace("@workflow", "")) == []


@pytest.mark.parametrize(
    ("head", "mark"),
    [
        ("from durable import workflow", "@workflow"),
        ("from durable import workflow", "@workflow()"),
        ("from durable import workflow as wf", "@wf(name='order')"),
        ("import durable", "@durable.workflow"),
        ("import durable as d", "@d.workflow(name='order')"),
        ("from durable.author import workflow", "@workflow"),
        ("import durable.author as a", "@a.workflow"),
    ],
)
def test_a_workflow_is_known_under_any_name(head: str, mark: str) -> None:
    """Aliases and arguments of the decorator do not hide a workflow."""
    assert codes(f"{mark}\nasync def order(): open('x')\n", f"{head}\n") == ["DUR104"]


def test_the_decorator_of_another_library_is_not_ours() -> None:
    """Only durable's decorator makes a workflow."""
    assert codes("@workflow\nasync def order(): open('x')\n", "from prefect import workflow\n") == []


def test_functions_of_the_module_are_followed() -> None:
    """What a workflow calls in its own module is part of it, over several steps, and is reported once."""
    module = """
        import time
        def deep():
            return time.time()
        def helper():
            return deep()
        @workflow
        async def one():
            return helper()
        @workflow
        async def two():
            return helper()
        """
    (finding,) = found(module)
    assert (finding.rule, finding.line) == ("DUR101", 5)
    assert finding.message == "time.time() reads the wall clock (in deep, which workflow one uses)"


def test_nested_functions_are_part_of_the_workflow() -> None:
    """Handlers, callbacks and lambdas inside of a workflow run in its steps."""
    module = """
        import time
        @workflow
        async def order():
            def inner():
                return [lambda: time.time()]
            import random as r
            return inner(), r.random()
        """
    assert codes(module) == ["DUR101", "DUR102"]


def test_a_function_handed_to_side_effect_is_not_followed() -> None:
    """A side effect is recorded, so it may do what it likes."""
    assert codes("def f(): return open('x')\n@workflow\nasync def order(): await side_effect(f)\n") == []


def test_a_recursive_helper_ends() -> None:
    """Functions that call each other are visited once."""
    assert codes("def f(): g()\ndef g(): f(); open('x')\n@workflow\nasync def order(): f()\n") == ["DUR104"]


def test_a_workflow_inside_a_function_is_found() -> None:
    """Tests define workflows inside of functions."""
    assert codes("def test_it():\n    @workflow\n    async def order():\n        open('x')\n") == ["DUR104"]


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# durable: ignore[DUR101]", []),
        ("# durable: ignore[DUR104, DUR101]", []),
        ("# durable: ignore", []),
        ("# because: durable: ignore[DUR101]", ["DUR101"]),
        ("# durable: ignore[DUR102]", ["DUR101"]),
        ("# noqa", ["DUR101"]),
    ],
)
def test_a_comment_turns_a_rule_off_on_its_line(comment: str, left: list[str]) -> None:
    """The comment names the rules, or none for all of them."""
    assert codes(in_workflow(f"time.time()  {comment}", "import time")) == left


def test_a_finding_says_where_what_and_what_to_do() -> None:
    """Positions count from 1, as in other checkers."""
    (finding,) = lint_source("import durable, time\n@durable.workflow\nasync def order():\n    t = time.time()\n")
    assert finding == Finding("DUR101", 4, 9, "time.time() reads the wall clock", RULES["DUR101"].advice)


def test_a_syntax_error_is_told_apart() -> None:
    """What is no Python is not called clean."""
    with pytest.raises(SyntaxError):
        lint_source("def (", "bad.py")
