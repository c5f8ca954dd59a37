"""Workers and clients outlast what a server goes through: no hot loop meanwhile, and afterwards nothing is lost or there twice."""

import asyncio
import logging

import pytest

from durable.stores.redis import _clients, _watch
from tests.faults import server_faults as faults
from tests.faults.group import LEASE_S, Group

OUTAGE_S = 1.5 * LEASE_S
ASKED_A_SECOND_MAX = (
    250  # requests and connections of two workers and a client that have work; a hot loop makes thousands
)


async def _outlasts(fault: faults.Fault) -> None:
    async with Group.begun() as group:
        proxy, clock = group.proxy, group.client.store.clock
        await group.start(range(6))
        async with fault(group.server, proxy):
            began_s, before = clock.monotonic(), proxy.requests + proxy.connections
            waiting = asyncio.create_task(group.signal(0))
            await clock.sleep(OUTAGE_S)  # that is what an outage is
            asked = (proxy.requests + proxy.connections - before) / (clock.monotonic() - began_s)
        assert asked < ASKED_A_SECOND_MAX
        await waiting
        await group.start(range(6, 8))
        for number in range(1, 8):
            await group.signal(number)
        await group.check(range(8))


async def _all_outlast(caplog: pytest.LogCaptureFixture, *all_faults: faults.Fault) -> None:
    """Each fault befalls a server of its own, all at once: mostly they wait."""
    with caplog.at_level(logging.INFO, "durable"):
        outcomes = await asyncio.gather(*map(_outlasts, all_faults), return_exceptions=True)
    for fault, outcome in zip(all_faults, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise AssertionError(f"{fault.__name__}: {outcome!r}") from outcome
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []  # nothing that nobody foresaw


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer take as long as a test has patience for, and notifications be missed as soon."""
    monkeypatch.setattr(_clients, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(_watch, "PING_S", 0.5)


async def test_a_server_that_refuses_is_outlasted(caplog: pytest.LogCaptureFixture) -> None:
    """`OOM`, `READONLY`, `BUSY`, `LOADING`, `MISCONF`, `NOREPLICAS`, `NOPERM`, `NOSCRIPT`."""
    await _all_outlast(
        caplog, faults.full, faults.demoted, faults.busy, faults.loading, faults.unable_to_save, faults.short_of_replicas,
        faults.forbidden, faults.forgetful,
    )  # fmt: skip


async def test_a_server_that_cannot_be_reached_is_outlasted(caplog: pytest.LogCaptureFixture) -> None:
    """Dead and back, frozen, cut off, slow, behind connections that are half-open, or lose an answer now and then."""
    await _all_outlast(
        caplog, faults.killed, faults.frozen, faults.unreachable, faults.slow, faults.half_open, faults.lossy
    )
