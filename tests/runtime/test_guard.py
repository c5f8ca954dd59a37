"""What workflow code must not do is refused while it runs, or found when it is registered, and nothing else is."""

import asyncio
import datetime as dt
import gc
import io
import logging
import os
import random
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import uuid
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from time import time as wall_clock
from typing import Any

import pytest

from durable._runtime import guard
from durable._runtime.loop import DeterministicLoop
from durable.errors import DefinitionError, NonDeterminismError


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    guard.install()


def as_workflow(function: Callable[[], Any]) -> Any:
    """Run `function` in a task of a workflow's loop, guarded, and return or raise what it does."""
    loop = DeterministicLoop(start_timer=lambda d, f: 0, cancel_timer=lambda t: None, on_unhandled=lambda c: None)

    async def main() -> Any:
        return function()

    task = loop.create_task(main())
    guard.enter()
    try:
        loop.run_until_quiescent()
    finally:
        guard.leave()
        loop.dispose()
    return task.result()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "open": (lambda: open(__file__), "files in an activity"),  # noqa: SIM115
    "pathlib": (lambda: Path(__file__).read_text(), "files in an activity"),
    "os.open": (lambda: os.open(__file__, os.O_RDONLY), "files in an activity"),
    "os.listdir": (lambda: os.listdir("."), "files in an activity"),
    "os.remove": (lambda: os.remove("/nowhere/at/all"), "files in an activity"),
    "os.system": (lambda: os.system("true"), "processes in an activity"),
    "subprocess": (lambda: subprocess.run(["true"]), "processes in an activity"),
    "socket": (lambda: socket.socket(), "network in an activity"),
    "getaddrinfo": (lambda: socket.getaddrinfo("localhost", 80), "network in an activity"),
    "urllib": (lambda: urllib.request.urlopen("http://localhost:1"), "network in an activity"),
    "sqlite3": (lambda: sqlite3.connect(":memory:"), "database in an activity"),
}
if sys.version_info >= (3, 12):
    REFUSED["thread"] = (lambda: threading.Thread(target=int).start(), "runs in a thread")
if sys.version_info >= (3, 13):
    REFUSED["sleep"] = (lambda: time.sleep(0), "durable.sleep")


@pytest.mark.parametrize("name", REFUSED)
def test_io_in_workflow_code_is_refused_with_advice(name: str) -> None:
    """It raises before anything happens, says what was called, and what to do instead."""
    call, advice = REFUSED[name]
    with pytest.raises(NonDeterminismError, match="no replay could repeat") as caught:
        as_workflow(call)
    assert advice in str(caught.value)


def test_io_outside_of_a_step_is_untouched() -> None:
    """After the step, and within `allowed()`, everything works as ever."""
    as_workflow(lambda: None)
    with open(__file__) as file:
        assert file.read(3) == '"""'

    def with_leave() -> str:
        with guard.allowed(), guard.allowed(), open(__file__) as file:
            return file.read(3)

    assert as_workflow(with_leave) == '"""'


def test_allowed_ends_with_its_block() -> None:
    """Nested blocks restore what was before each of them."""

    def nested() -> list[bool]:
        seen = []
        with guard.allowed():
            with guard.allowed():
                seen.append(guard.is_active())
            seen.append(guard.is_active())
        return [*seen, guard.is_active()]

    assert as_workflow(nested) == [False, False, True]


def test_allowed_outside_of_a_step_turns_nothing_on() -> None:
    """The block of a thread that runs no workflow leaves it unguarded."""
    with guard.allowed():
        pass
    assert not guard.is_active()


def test_other_threads_do_their_io_during_a_step() -> None:
    """An activity's thread opens a file in the very moment in which a workflow's step runs."""
    go, done, seen = threading.Event(), threading.Event(), []

    def activity() -> None:
        go.wait(10)
        try:
            with open(__file__) as file:
                seen.append(file.read(3))
        except BaseException as error:
            seen.append(error)
        done.set()

    thread = threading.Thread(target=activity)
    thread.start()

    def step() -> None:
        go.set()
        done.wait(10)

    as_workflow(step)
    thread.join()
    assert seen == ['"""']


def test_an_import_in_workflow_code_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module may be imported inside, and may read its own files while it is."""
    (tmp_path / "guard_probe.py").write_text("with open(__file__) as file: text = file.read(4)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def code() -> str:
        import guard_probe  # type: ignore[import-not-found]

        return guard_probe.text

    assert as_workflow(code) == "with"


def test_tracebacks_zones_and_logging_work(tmp_path: Path) -> None:
    """What reads files for its own sake in the middle of workflow code is let through."""
    zoneinfo.ZoneInfo.clear_cache()
    log = logging.Logger("guard-test")  # noqa: LOG001 - of its own, not in the tree
    handler = logging.FileHandler(tmp_path / "log.txt", delay=True)
    log.addHandler(handler)

    def code() -> str:
        import linecache

        linecache.clearcache()
        log.error("written")
        datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).utcoffset()
        try:
            raise ValueError("shown")
        except ValueError:
            return traceback.format_exc()

    assert 'raise ValueError("shown")' in as_workflow(code)
    handler.close()
    assert (tmp_path / "log.txt").read_text() == "written\n"


def test_a_finalizer_run_by_the_collector_is_not_the_workflows(tmp_path: Path) -> None:
    """An object of somebody else, collected during a step, may close its files and remove them."""
    seen: list[object] = []

    class Other:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            try:
                with open(__file__) as file:
                    seen.append(file.read(3))
            except BaseException as error:
                seen.append(error)

    gc.collect()
    Other()
    as_workflow(gc.collect)
    assert seen == ['"""']


def test_an_idle_hook_is_cheap() -> None:
    """What the hook costs the rest of the process: it looks at nothing but the empty table of threads."""
    calls: list[str] = []

    class Watched(dict[int, int]):
        def __bool__(self) -> bool:
            calls.append("looked")
            return False

    original, guard._active = guard._active, Watched()
    try:
        sys.audit("open", "x", "r", 0)
        assert calls == ["looked"]
    finally:
        guard._active = original


# -- clocks and chance, found in the code -----------------------------------------------------------------------------


def _helper() -> float:
    return _deeper(1)


def _deeper(n: int) -> float:
    return time.time() if n else _helper()


async def _clean(order: str) -> str:
    """Mentions, but does not call: `side_effect` takes them."""
    callbacks: list[Callable[..., Any]] = [time.time, random.random, uuid.uuid4, datetime.now, wall_clock]
    key = sorted([3, 1], key=lambda one: time.time())
    rng = random.Random("seeded")
    when = datetime(2024, 1, 1) + dt.timedelta(days=rng.random())
    return f"{date(2024, 1, 1)} {callbacks} {key} {when.date()} {uuid.uuid5(uuid.NAMESPACE_DNS, order)} {os.path.join('a')}"


async def _time() -> float:
    return time.time()


async def _alias() -> float:
    return wall_clock()


async def _splat() -> float:
    return random.uniform(*[1, 2])


async def _datetime() -> datetime:
    return datetime.now(dt.UTC)


async def _module_datetime() -> datetime:
    return dt.datetime.utcnow()


async def _today() -> date:
    return date.today()


async def _random() -> int:
    return 1 + random.randint(1, 6)


async def _shuffle(items: list[int]) -> None:
    random.shuffle(items)


async def _uuid() -> str:
    return str(uuid.uuid4())


async def _urandom() -> bytes:
    return os.urandom(8)


async def _secrets() -> str:
    return secrets.token_hex() + str(secrets.choice([1]))


async def _sleep() -> None:
    time.sleep(1)  # noqa: ASYNC251


async def _local_import() -> float:
    import time as clock
    from random import randint as roll

    return clock.monotonic() + roll(1, 6)


async def _through_helper() -> float:
    return _helper()


async def _comprehension() -> list[float]:
    return [random.random() for _ in range(3)]


async def _nested() -> float:
    async def inner() -> float:
        return time.time()

    def plain() -> float:
        return time.perf_counter()

    return await inner() + plain()


def _closure() -> Callable[[], Any]:
    clock = time.time

    async def wf() -> float:
        return clock()

    return wf


FOUND: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "time": (_time, [("time.time", "durable.now()")]),
    "alias": (_alias, [("wall_clock", "durable.now()")]),
    "splat": (_splat, [("random.uniform", "durable.random()")]),
    "datetime": (_datetime, [("datetime.now", "durable.now()")]),
    "module": (_module_datetime, [("dt.datetime.utcnow", "durable.now()")]),
    "today": (_today, [("date.today", "durable.now()")]),
    "random": (_random, [("random.randint", "durable.random()")]),
    "shuffle": (_shuffle, [("random.shuffle", "durable.random()")]),
    "uuid": (_uuid, [("uuid.uuid4", "durable.uuid4()")]),
    "urandom": (_urandom, [("os.urandom", "durable.side_effect")]),
    "secrets": (_secrets, [("secrets.token_hex", "durable.side_effect"), ("secrets.choice", "durable.side_effect")]),
    "sleep": (_sleep, [("time.sleep", "await durable.sleep")]),
    "local import": (_local_import, [("clock.monotonic", "durable.now()"), ("roll", "durable.random()")]),
    "helper": (_through_helper, [("time.time", "durable.now()")]),
    "comprehension": (_comprehension, [("random.random", "durable.random()")]),
    "nested": (_nested, [("time.time", "durable.now()"), ("time.perf_counter", "durable.now()")]),
    "closure": (_closure(), [("clock", "durable.now()")]),
}


@pytest.mark.parametrize("name", FOUND)
def test_calls_of_clocks_and_chance_are_found(name: str) -> None:
    """However it is named, and in whatever the function calls in its module: the call, its line, its replacement."""
    function, expected = FOUND[name]
    findings = guard.impure_calls(function)
    assert [finding.call for finding in findings] == [call for call, _ in expected]
    for finding, (call, instead) in zip(findings, expected, strict=True):
        assert finding.instead.startswith(instead)
        assert call in Path(finding.filename).read_text().splitlines()[finding.line - 1]
        assert str(finding).startswith(f"{__file__}:{finding.line}: {call}() differs on replay; use {instead}")


@pytest.mark.parametrize("harmless", [_clean, int, None, "text", print, asyncio.sleep, io.StringIO])
def test_what_only_mentions_them_is_not_blamed(harmless: object) -> None:
    """Passing a clock on, seeded generators, fixed dates and things that are no Python functions have no findings."""
    assert guard.impure_calls(harmless) == ()
    guard.check_code(harmless)


def test_a_workflow_that_reads_the_clock_is_refused_with_all_its_reasons() -> None:
    """The error names the function and lists every call with its line and replacement."""
    with pytest.raises(DefinitionError, match="_nested cannot be replayed") as caught:
        guard.check_code(_nested)
    assert str(caught.value).count("use durable.now()") == 2
