"""Checked by mypy and pyright, never run: what an activity knows of itself, and what a worker takes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_type

from durable import ActivityInfo, Client, Worker, activity, activity_info, heartbeat, workflow


@dataclass
class Page:
    """How far it is."""

    number: int


@activity
async def crawl() -> None:
    """Says how far it is."""
    info = activity_info()
    assert_type(info, ActivityInfo)
    assert_type(info.details(Page), Page | None)
    assert_type(info.scheduled_at, datetime)
    assert_type(info.timeout, timedelta | None)
    assert_type(info.cancelled, bool)
    info.attempt = 2  # type: ignore[misc]
    heartbeat()
    heartbeat(Page(1))


@workflow
async def run_it() -> None:
    """Does nothing."""


async def check_worker(client: Client) -> None:
    """Functions, instances and modules are activities; workflows are what is decorated."""
    async with Worker(client, workflows=[run_it], activities=[crawl]) as worker:
        assert_type(worker, Worker)
    Worker(client, workflows=[crawl])  # type: ignore[list-item]
    Worker(client, workflows=[run_it], lease_ttl=[5])  # type: ignore[arg-type]
    await Worker(client, activities=[crawl], lease_ttl="5 s", grace=timedelta(seconds=3)).run()
