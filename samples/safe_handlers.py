"""Safe message handlers: a run that is asked by many at once, and never does two things to the same state.

Run it with `python samples/safe_handlers.py`. A cluster of machines is one run. It is asked by updates to lend machines to
jobs, and to take them back; each caller gets its answer. The handlers await activities, and no lock is needed: the
handlers of a run take their messages one at a time, in order. What cannot be done is refused by a validator before it is
recorded. The run ends when it is told to shut down, and waits until its handlers have ended.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass

from durable import Client, Query, Signal, Update, Worker, activity, all_handlers_finished, wait_condition, workflow
from durable.errors import RequestFailedError


@dataclass
class Job:
    """A job and how many machines it wants."""

    name: str
    machines: int


lend = Update("lend", Job, list[str])
take_back = Update("take_back", str, int)
shut_down = Signal("shut_down")
lent = Query("lent", dict[str, str])


@activity
async def prepare(machine: str, job: str) -> None:
    """Would install what the job needs."""
    await asyncio.sleep(0.001)


@activity
async def wipe(machine: str) -> None:
    """Would remove what the job left behind."""
    await asyncio.sleep(0.001)


@workflow
async def cluster(size: int) -> int:
    """Lend machines until told to shut down; return how many jobs there were."""
    machines: dict[str, str] = {f"machine-{number}": "" for number in range(1, size + 1)}
    jobs = 0

    @lend.handler
    async def lend_machines(job: Job) -> list[str]:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        nonlocal jobs
        free = [machine for machine, holder in machines.items() if not holder]
        if len(free) < job.machines:
            raise ValueError(f"{job.name} wants {job.machines} machines, and {len(free)} are free")
        chosen = free[: job.machines]
        for machine in chosen:  # nobody else looks for free machines meanwhile, although this takes its time
            await prepare(machine, job.name)
            machines[machine] = job.name
        jobs += 1
        return chosen

    @lend.validator
    def check(job: Job) -> None:  # pyright: ignore[reportUnusedFunction]
        if not 1 <= job.machines <= size:
            raise ValueError(f"{job.name} wants {job.machines} machines; this cluster has {size}")

    @take_back.handler
    async def take_machines_back(name: str) -> int:  # pyright: ignore[reportUnusedFunction]
        held = [machine for machine, holder in machines.items() if holder == name]
        for machine in held:
            await wipe(machine)
            machines[machine] = ""
        return len(held)

    @lent.handler
    def tell() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {machine: holder for machine, holder in machines.items() if holder}

    await shut_down.receive()
    await wait_condition(all_handlers_finished)  # a run waits for its handlers anyhow; `jobs` is to count theirs
    return jobs


async def main(store: str) -> None:
    """Ask for more machines than there are, all at once."""
    async with Client.connect(store) as client, Worker(client, workflows=[cluster], activities=[prepare, wipe]):
        run = await client.start(cluster, id="cluster")(10)
        jobs = [Job(f"job-{number}", 4) for number in range(1, 4)]
        answers = await asyncio.gather(*(run.update(lend, job) for job in jobs), return_exceptions=True)
        got = [answer for answer in answers if isinstance(answer, list)]
        print(f"{len(got)} jobs got 4 machines each, no machine twice: {len({m for g in got for m in g}) == 8}")
        for answer in answers:
            if isinstance(answer, RequestFailedError):
                print(f"the third: {str(answer.__cause__).partition(' wants ')[2]}")
        try:
            await run.update(lend, Job("job-4", 11))
        except RequestFailedError as error:
            print(f"refused, and not recorded: {error.__cause__}")

        holders = sorted(set((await run.query(lent)).values()))
        await asyncio.gather(*(run.update(take_back, name) for name in holders))
        print(f"still lent: {await run.query(lent)}")
        await run.signal(shut_down)
        print(f"jobs: {await run.result()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/cluster.db")))
