"""A small soak in CI; `nox -s chaos` is the whole of it."""

import pytest

from tests.chaos.soak import Size, soak

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(240)]


async def test_a_small_soak() -> None:
    """Workers, server and connections die, freeze and come back; an outside ledger agrees with the history of every run."""
    await soak(Size(runs=1_500, lease_s=1.0, pause_s=(0.1, 1.0)), 1, print)
