"""A worker stops as gently as it is allowed to, hands everything back, and never hangs silently."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable import Client, Worker, activity, activity_info, workflow
from durable.errors import StoreUnavailableError
from tests.worker.faulty import FaultyStore
from tests.worker.harness import until, until_async

PROGRAM = Path(__file__).with_name("signalled.py")


class Program:
    """The program under test, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def lines(self) -> list[str]:
        output, _ = self._process.communicate(timeout=30)
        return output.splitlines()

    def write(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def children(self) -> list[int]:
        """Return the pids of its child processes that run activities."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        pids = [int(pid) for path in threads for pid in path.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


@contextmanager
def program(mode: str, manner: str, ending: Path = Path("nowhere")) -> Iterator[Program]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), mode, manner, str(ending)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["async", "thread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_lets_activities_end(mode: str, number: signal.Signals) -> None:
    """Their results are recorded in the inbox for the next owner; session and leases are gone; handlers are put back."""
    with program(mode, "ends") as running:
        assert running.line() == "started"
        running.send(number)
        assert running.line() == "workflows handed over"
        running.write()
        assert running.lines() == ["tasks []", "counts 0 0", "inbox 1, running", "handlers restored True", "ended"]


@pytest.mark.parametrize("mode", ["async", "thread", "process"])
def test_a_second_signal_stops_hard(mode: str) -> None:
    """Whatever the activity does: its claim is handed back, its delivery does not count, and the process ends."""
    with program(mode, "hangs") as running:
        assert running.line() == "started"
        running.send(signal.SIGTERM)
        running.send(signal.SIGINT)
        running.send(signal.SIGTERM)
        lines = [line for line in running.lines() if line not in ("cancelled", "told", "workflows handed over")]
        assert lines == ["tasks [(False, 0)]", "counts 0 0", "inbox 0, running", "handlers restored True", "ended"]


async def test_a_stop_hands_unfinished_work_to_other_workers() -> None:
    """After the grace, running activities are cancelled and their claims given back; the delivery does not count."""
    started = asyncio.Event()

    @activity
    async def work() -> list[int]:
        if not started.is_set():
            started.set()
            await asyncio.Event().wait()
        return [activity_info().attempt, activity_info().delivery]

    @workflow
    async def run_it() -> list[int]:
        return await work()

    async with Client.connect("memory:") as client:
        async with Worker(client, workflows=[run_it], activities=[work], grace=0.05):
            handle = await client.start(run_it)()
            await started.wait()
        assert (await client.store.inspect.counts())["sessions"] == 0
        async with Worker(client, workflows=[run_it], activities=[work]):
            assert await handle.result(timeout=10) == [1, 1]


async def test_a_stop_claims_nothing_more() -> None:
    """What comes while the last activities end is left to others."""
    started, release = asyncio.Event(), asyncio.Event()

    @activity
    async def work() -> int:
        started.set()
        await release.wait()
        return activity_info().delivery

    @workflow
    async def run_it() -> int:
        return await work()

    async with Client.connect("memory:") as client:
        worker = Worker(client, workflows=[run_it], activities=[work])
        running = asyncio.ensure_future(worker.run())
        await client.start(run_it, id="one")()
        await started.wait()
        worker.stop()
        await client.start(run_it, id="two")()
        await until_async(lambda: _count_is(client, "leases", 0))  # the engine goes first, others take over at once
        async with Worker(client, workflows=[run_it]):
            await until_async(lambda: _count_is(client, "tasks", 2))
            assert not running.done()
            release.set()
            await running
            (task,) = await client.store.inspect.tasks()
            assert (task.task.name, task.claimed_by, task.deliveries) == ("two", None, 0)
            assert await client.handle("one").result(timeout=10) == 1


async def test_signals_are_left_alone_outside_of_the_main_thread() -> None:
    """`run` works there, and is stopped by `stop`."""
    before = signal.getsignal(signal.SIGTERM)
    outcome: list[object] = []

    def in_thread() -> None:
        async def main() -> None:
            async with Client.connect("memory:") as client:
                worker = Worker(client, activities=[noop])
                asyncio.get_running_loop().call_later(0.01, worker.stop)
                await worker.run()
                outcome.append(signal.getsignal(signal.SIGTERM))

        asyncio.run(main())

    thread = threading.Thread(target=in_thread)
    thread.start()
    await until(lambda: not thread.is_alive())
    assert outcome == [before]


async def _count_is(client: Client, what: str, count: int) -> bool:
    return (await client.store.inspect.counts())[what] == count


@activity
async def noop() -> None: ...


async def test_a_worker_whose_part_dies_does_not_hang(caplog: pytest.LogCaptureFixture) -> None:
    """The block that waits is cancelled, and raises what happened; it is logged as well."""

    class Broken(FaultyStore):
        async def claim(self, *_args: object) -> list[object]:  # type: ignore[override]
            raise ZeroDivisionError("a bug of this store")

    with caplog.at_level(logging.ERROR, "durable.worker"):
        with pytest.raises(ZeroDivisionError, match="a bug of this store"):
            async with Worker(Client(Broken()), activities=[noop]):
                await asyncio.Event().wait()
        with pytest.raises(ZeroDivisionError, match="a bug of this store"):
            await Worker(Client(Broken()), activities=[noop]).run()
    assert "a part of the worker (claims-async) failed" in caplog.text
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_error_of_the_block_is_what_the_block_raises() -> None:
    """The worker stops, and does not get in its way."""
    async with Client.connect("memory:") as client:
        with pytest.raises(LookupError, match="mine"):
            async with Worker(client, activities=[noop]):
                raise LookupError("mine")
        assert (await client.store.inspect.counts())["sessions"] == 0


async def test_cancelling_run_stops_the_worker_gracefully() -> None:
    """As `asyncio.timeout` or the end of a `TaskGroup` does; the session ends, and `CancelledError` is passed on."""
    started, release = asyncio.Event(), asyncio.Event()

    @activity
    async def work() -> None:
        started.set()
        await release.wait()

    @workflow
    async def run_it() -> None:
        await work()

    async with Client.connect("memory:") as client:
        running = asyncio.ensure_future(Worker(client, workflows=[run_it], activities=[work]).run())
        handle = await client.start(run_it)()
        await started.wait()
        running.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await client.store.inspect.counts())["sessions"] == 0
        async with Worker(client, workflows=[run_it]):  # has no activities: the result must be there already
            await handle.result(timeout=10)


async def test_a_store_that_is_away_at_the_end_does_not_keep_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    """What it holds is free when the session expires; that is logged."""
    store = FaultyStore()
    store.refuse["end_session"] = 1
    with caplog.at_level(logging.WARNING, "durable.worker"):
        async with Worker(Client(store), activities=[noop]):
            pass
    assert "the session could not be ended" in caplog.text


async def test_a_store_that_is_away_at_the_start_is_an_error() -> None:
    """Nothing runs then."""

    class Away(FaultyStore):
        async def begin_session(self, *_args: object) -> None:  # type: ignore[override]
            raise StoreUnavailableError("away")

    before = asyncio.all_tasks()
    with pytest.raises(StoreUnavailableError):
        async with Worker(Client(Away()), activities=[noop]):
            pass
    assert asyncio.all_tasks() == before


def test_the_end_of_the_program_does_not_fail_activities() -> None:
    """`asyncio.run` cancels all tasks at its end, activities among them: these are handed back, not failed."""
    tasks: list[tuple[bool, int]] = []
    inbox: list[int] = []

    async def main(client: Client) -> None:
        started = asyncio.Event()

        @activity
        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        @workflow
        async def run_it() -> None:
            await work()

        worker = Worker(client, workflows=[run_it], activities=[work])
        main.running = asyncio.ensure_future(worker.run())  # type: ignore[attr-defined] - kept, and left alone
        await client.start(run_it)()
        await started.wait()

    async def whole() -> Client:
        client = await Client.connect("memory:")
        await main(client)
        return client

    client = asyncio.run(whole())

    async def look() -> None:
        tasks.extend((task.claimed_by is not None, task.deliveries) for task in await client.store.inspect.tasks())
        counts = await client.store.inspect.counts()
        inbox.extend([counts["inbox"], counts["sessions"]])

    asyncio.run(look())
    assert tasks == [(False, 0)]
    assert inbox == [0, 0]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the children by /proc")
async def test_children_end_with_their_worker() -> None:
    """However it dies: nobody is left to take their results."""
    with program("process", "hangs") as running:
        assert running.line() == "started"
        (child,) = running.children()
        running.send(signal.SIGKILL)
        await until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # a zombie has ended, and waits for whoever adopted it


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the children by /proc")
def test_a_signal_to_the_whole_group_lets_activities_in_processes_end(tmp_path: Path) -> None:
    """Service managers send SIGTERM to each process of a service: it is the worker who decides what that means for its children."""
    with program("process", "ends", tmp_path / "ending") as running:
        assert running.line() == "started"
        (child,) = running.children()
        running.send(signal.SIGTERM)
        os.kill(child, signal.SIGTERM)
        assert running.line() == "workflows handed over"
        (tmp_path / "ending").touch()
        lines = ["ending", "tasks []", "counts 0 0", "inbox 1, running", "handlers restored True", "ended"]
        assert running.lines() == lines


EXITS = """
import asyncio, sys
from durable import Client, Worker, proxy, workflow
from tests.worker.cpu import until_cancelled
from pathlib import Path

folder = Path(sys.argv[1])

@workflow
async def run_it() -> None:
    await proxy(until_cancelled)(folder)

async def main() -> None:
    client = await Client.connect("memory:")
    await Worker(client, workflows=[run_it], activities=[until_cancelled]).__aenter__()
    await client.start(run_it)()
    while not (folder / "started").exists():
        await asyncio.sleep(0.01)

if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())  # and nothing is closed
"""


def test_a_program_that_does_not_close_its_worker_still_ends(tmp_path: Path) -> None:
    """Its child processes do not keep it."""
    script = tmp_path / "exits.py"
    script.write_text(EXITS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], env=environment, timeout=30, capture_output=True
    )
    assert (tmp_path / "started").exists(), ended.stderr
