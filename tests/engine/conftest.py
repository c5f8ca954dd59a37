"""Drops the runs of a test at its end, as an engine drops those that nobody needs."""

from collections.abc import Iterator

import pytest

from tests.engine.harness import ALIVE


@pytest.fixture(autouse=True)
def _dispose_of_runs() -> Iterator[None]:
    yield
    for run in ALIVE:
        run.dispose()
    ALIVE.clear()
