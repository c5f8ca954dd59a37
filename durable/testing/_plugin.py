"""The pytest plugin: it comes with the package, and loads nothing of it until a test asks.

- the fixture `durable_env` makes environments: `async with durable_env(workflows=[...]) as env`. What they did is shown when
  the test fails. It works with any async plugin, since it is no async fixture itself.
- the option `--durable-replay` makes every `TestEnvironment` forget its runs after each step, and replay them for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._environment import TestEnvironment

_MADE = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--durable-replay`."""
    parser.getgroup("durable").addoption(
        "--durable-replay",
        action="store_true",
        help="let every TestEnvironment replay its runs at each step: finds workflow code that is not deterministic",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Apply `--durable-replay`."""
    if config.getoption("--durable-replay"):
        from . import _environment

        _environment.CACHE_DEFAULT[0] = 0


@pytest.fixture
def durable_env(request: pytest.FixtureRequest) -> Iterator[Callable[..., TestEnvironment]]:
    """Make a `TestEnvironment`, with its own arguments; to be used in `async with`. If the test fails, its report says what each did."""
    from ._environment import TestEnvironment

    made: list[TestEnvironment] = []
    item: pytest.Item = request.node  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    item.stash[_MADE] = made

    def make(**options: Any) -> TestEnvironment:
        environment = TestEnvironment(**options)
        made.append(environment)
        return environment

    yield make
    open_ones = [environment for environment in made if environment.is_open]
    if open_ones:
        pytest.fail(f"{len(open_ones)} environments of durable_env were entered and not left: use `async with`")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the environments of `durable_env` did, when a test has failed."""
    report = yield
    if call.when == "call" and report.failed:
        none: list[Any] = []
        made = item.stash.get(_MADE, none)
        for number, environment in enumerate(made, 1):
            if environment.last_words:
                report.sections.append((f"durable environment {number}", environment.last_words))
    return report
