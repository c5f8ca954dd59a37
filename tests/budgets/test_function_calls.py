"""How many functions of Python are called in the thread of the event loop: what an activity costs, whatever the machine is."""

from durable._engine.loading import load_execution
from durable.testing.benchmark._programs import chain
from tests.budgets.counted import counted, function_calls, within


async def test_for_an_activity_of_a_long_run() -> None:
    """The step, its commit, the memory store, the activity itself, and what asyncio calls for all of it."""
    async with counted("memory:") as found:
        await found.chains(runs=1, length=10, at_once=1)
        with function_calls() as calls:
            await found.chains_only(1, 500, 1)
    within("calls of Python functions for an activity", calls["call"] / 500, 374)


async def test_for_a_workflow_of_one_activity() -> None:
    async with counted("memory:") as found:
        await found.chains(runs=2, length=1, at_once=1)
        with function_calls() as calls:
            await found.chains_only(100, 1, 1)
    within("calls of Python functions for a workflow with one activity", calls["call"] / 100, 1_076)


async def test_for_an_activity_of_many_runs() -> None:
    async with counted("memory:") as found:
        await found.chains(runs=2, length=2, at_once=2)
        with function_calls() as calls:
            await found.chains_only(50, 10, 50)
    within("calls of Python functions for an activity, 50 runs at once", calls["call"] / 500, 224)


async def test_for_a_replayed_event() -> None:
    async with counted("memory:") as found:
        await found.client.execute(chain, id="long")(500)
        documents = [await found.real.document(each, name="long") for each in range(found.real.partitions)]
        ((partition, document),) = [(n, each) for n, each in enumerate(documents) if each is not None]
        specs = {chain.name: chain}
        for _ in range(2):  # the first time plans for types are made
            with function_calls() as calls:
                execution = await load_execution(
                    found.real, specs, found.client.codec, partition, document, lambda step: step()
                )
            execution.dispose()
    assert execution.seq == 1_002
    within("calls of Python functions for a replayed event", calls["call"] / 1_002, 21.6)
