"""W8: how quickly a run comes back from its history."""

import gc
from collections.abc import Sequence
from functools import partial

from durable._engine.loading import load_execution
from durable.testing.benchmark import Bench, Part, Sample, Scale, Workload, sized
from durable.testing.benchmark._programs import chain


def _replays(scale: Scale) -> Sequence[Part]:
    many, length = sized(scale, 100, 20, 2), sized(scale, 500, 250, 5)
    long = sized(scale, 10_000, 2_000, 20)
    return [
        Part(f"{many} runs of {2 * length + 2:,} events", partial(_replay, runs=many, length=length)),
        Part(f"a run of {2 * long + 2:,} events", partial(_replay, runs=1, length=long)),
    ]


async def _replay(bench: Bench, *, runs: int, length: int) -> Sequence[Sample]:
    async with bench.working():
        await bench.execute_many(chain, length, runs=runs, at_once=20, result=length)
    store = bench.client.store
    documents = [
        (partition, document)
        for partition in range(store.partitions)
        for number in range(runs)
        if (document := await store.document(partition, name=f"run-{number}")) is not None
    ]
    assert len(documents) == runs
    events, specs = 0, {chain.name: chain}
    gc.collect()
    with bench.timed() as timer:
        for partition, document in documents:
            execution = await load_execution(store, specs, bench.client.codec, partition, document, lambda step: step())
            events += execution.seq
            execution.dispose()
    assert events == runs * (2 * length + 2)
    return [Sample("", "events/s", timer.rate(events))]


REPLAYS = Workload("W8", "replay of histories that no cache holds, read and decoded", _replays)
