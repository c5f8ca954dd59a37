"""How often the store is asked, how many commits, and how many bytes: for a workflow, and for each of its activities."""

from pathlib import Path

import pytest

from tests.budgets.counted import counted, within


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'x.db'}?synchronous=normal"


async def test_a_workflow_of_one_activity(url: str) -> None:
    """The start, a look at the inbox, a commit for the first step and one for the last; then its caller looks for the result."""
    async with counted(url) as found:
        await found.chains(runs=20, length=1, at_once=1)
        calls = found.store.calls
        assert calls["create"] == 20
        within("commits of a workflow with one activity", calls["commit"] / 20, 2)
        within("reads of inboxes for a start", calls["read_inboxes"] / 20, 1)
        within("reads by whoever waits for a result", (calls["document"] + calls["read_last"]) / 20, 4)
        within("all calls of the store for a workflow with one activity", calls.total() / 20, 8)


async def test_an_activity_of_a_long_run(url: str) -> None:
    """One commit, which records the result, ends the task, and sets and claims the next: nothing is read, and nothing else is asked."""
    async with counted(url) as found:
        await found.chains(runs=1, length=200, at_once=1)
        within("calls of the store for an activity of a chain", found.store.calls.total() / 200, 1.04)
        within("bytes of history for an activity", found.store.record_bytes / 200, 285)
        within("bytes of its task", found.store.task_bytes / 200, 251)


async def test_activities_of_many_runs_share_commits(url: str) -> None:
    """All that is there is stepped, and goes out in one call; each partition's part of it is one commit."""
    async with counted(url) as found:
        await found.chains(runs=50, length=10, at_once=50)
        store = found.store
        calls, partitions = store.calls, found.real.partitions
        # On a busy machine the 50 starts do not come at once, and the runs are not in step.
        slack = 1 if url == "memory:" else 4
        within("calls of the store for an activity, 50 runs at once", calls.total() / 500, 0.53 * slack)
        within("calls with commits for an activity, 50 runs at once", calls["commit"] / 500, 0.022 * slack)
        within(
            "commits of a partition for an activity, 50 runs at once", store.commits / partitions / 500, 0.022 * slack
        )
