"""The pytest plugin, in projects of its own: with pytest-asyncio, in both of its modes, with anyio if there is one, and with unittest."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOWS = """
from durable import activity, sleep, workflow

looks = []

@activity
async def price(item: str) -> int:
    return len(item)

@workflow
async def total(item: str) -> int:
    looks.append(item)
    await sleep("30 days")
    return await price(item)
"""
PLAIN = """
from flows import *
from durable.testing import TestEnvironment

{mark}
async def test_total(durable_env):
    async with durable_env(workflows=[total], activities=[price]) as env:
        assert await env.client.execute(total, id="t-1")("tea") == {expected}
    print("looks:", len(looks))
"""


def run(folder: Path, *options: str, test: str) -> subprocess.CompletedProcess[str]:
    """Run `test` in a project of its own, with the plugin as it is when the package is installed."""
    (folder / "flows.py").write_text(FLOWS)
    (folder / "test_flows.py").write_text(test)
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings =\n    error\n    ignore::pytest.PytestDeprecationWarning\n"
    )
    plugins = ("-p", "no:durable", "-p", "durable.testing._plugin", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", *plugins, *options, "test_flows.py"],
        capture_output=True, text=True, cwd=folder, timeout=50, env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mark", "options"),
    [("", ("-o", "asyncio_mode=auto")), ("import pytest\n@pytest.mark.asyncio", ("-o", "asyncio_mode=strict"))],
)
def test_the_fixture_works_with_pytest_asyncio(tmp_path: Path, mark: str, options: tuple[str, ...]) -> None:
    """In either mode."""
    done = run(tmp_path, *options, test=PLAIN.format(mark=mark, expected=3))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "looks: 1" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("anyio") is None, reason="anyio is not installed")
def test_the_fixture_works_with_anyio(tmp_path: Path) -> None:
    """On asyncio."""
    mark = "import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n@pytest.mark.anyio"
    done = run(tmp_path, "-p", "no:asyncio", test=PLAIN.format(mark=mark, expected=3))
    assert done.returncode == 0, done.stdout + done.stderr


def test_replay_is_an_option_for_all_tests(tmp_path: Path) -> None:
    """Each step replays its run."""
    done = run(tmp_path, "-o", "asyncio_mode=auto", "--durable-replay", test=PLAIN.format(mark="", expected=3))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "looks: 3" in done.stdout


def test_a_failed_test_shows_what_its_environments_did(tmp_path: Path) -> None:
    """Their histories."""
    done = run(tmp_path, "-o", "asyncio_mode=auto", test=PLAIN.format(mark="", expected=4))
    assert done.returncode == 1
    assert "durable environment 1" in done.stdout
    assert "total 't-1': completed" in done.stdout
    assert "+2592000.000 s  ActivityScheduled #2 price" in done.stdout


def test_an_environment_that_is_not_left_is_reported(tmp_path: Path) -> None:
    """It would keep its runs to itself."""
    test = """
from flows import *

async def test_total(durable_env):
    await durable_env(workflows=[total]).__aenter__()
"""
    done = run(tmp_path, "-o", "asyncio_mode=auto", test=test)
    assert done.returncode == 1
    assert "1 environments of durable_env were entered and not left" in done.stdout


def test_a_test_module_may_import_it(tmp_path: Path) -> None:
    """pytest does not take `TestEnvironment` for a test, and unittest needs no plugin."""
    test = """
import unittest
from flows import *
from durable.testing import TestEnvironment

class TestTotal(unittest.IsolatedAsyncioTestCase):
    async def test_total(self):
        async with TestEnvironment(workflows=[total], activities=[price]) as env:
            self.assertEqual(await env.client.execute(total)("tea"), 3)
"""
    done = run(tmp_path, test=test)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_plugin_loads_nothing_until_it_is_asked(tmp_path: Path) -> None:
    """So it costs those nothing who do not use it, and does not spoil what coverage sees."""
    test = """
import sys

def test_modules():
    assert not {"durable.testing._environment", "durable._engine", "durable.client", "durable.worker"} & set(sys.modules)
"""
    done = run(tmp_path, test=test)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_registers_it() -> None:
    """As an entry point of pytest."""
    assert (
        '[project.entry-points.pytest11]\ndurable = "durable.testing._plugin"\n'
        in (ROOT / "pyproject.toml").read_text()
    )
