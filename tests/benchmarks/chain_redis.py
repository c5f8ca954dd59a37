"""How close the engine comes to Redis: chains of activities, against bare redis-py writing the same.

    python -m tests.benchmarks.chain_redis [--runs 1000] [--length 10] [--at-once 50] [--rounds 3] [--url redis://localhost/9]

Each round runs the workflows with one worker in this process, on a server of its own (without persistence, on a socket) unless
a URL is given. Then bare redis-py makes the same writes again: stream entries, hash fields and members of sorted sets, added and
removed in the order in which so many runs at once make them, 50 to a call of a Lua script that does nothing else. The figure
is the ratio of the two rates in the same round; quote the median.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import redis

from durable import Client, Worker
from durable.history import WIRE, ActivityCompleted, ActivityScheduled
from durable.stores import Document, DocumentFilter, open_store
from tests.benchmarks.chain import Round, chain, step
from tests.redis_server import RedisServer, server_binary

BATCH = 50  # writes in a call of the floor
NAMESPACE = "bench"
_SCRIPT = """
local at = 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
"""

Write = tuple[str | bytes | int, ...]


async def run_engine(url: str, *, runs: int, length: int, at_once: int) -> float:
    """Return the activities a second of `runs` chains, `at_once` at a time."""
    async with Client.connect(url) as client, Worker(client, workflows=[chain], activities=[step]):
        await client.execute(chain, id="warm-up")(length)
        slots = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with slots:
                result = await client.execute(chain, id=f"chain-{number}")(length)
                assert result == 90 * length, result

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(runs)))
        return runs * length / (time.perf_counter() - began)


async def lives_of(url: str) -> list[list[list[Write]]]:
    """Return what each run wrote, step by step."""
    async with open_store(url) as store:
        found = await store.inspect.documents(DocumentFilter(), limit=1_000_000)
        lives = []
        for number, (partition, document) in enumerate(found, 1):
            records = await store.read(partition, document.id, limit=1_000_000)
            lives.append(list(_life(number, f"floor:{partition}:", document, records)))
        return lives


def _life(number: int, at: str, document: Document, records: Sequence[bytes]) -> Iterator[list[Write]]:
    head, id_, name = b"h" * 150, document.id, document.name
    yield [
        ("HSET", f"{at}documents", id_, head),
        ("HSET", f"{at}bodies", id_, document.body),
        ("HSET", f"{at}open", name, id_),
        ("HSET", f"{at}latest", name, id_),
        ("ZADD", f"{at}by_id", 0, id_),
        ("ZADD", f"{at}names", 0, name + id_),
        ("XADD", f"{at}inbox", f"{number}-0", "i", document.request, "n", name, "d", records[0]),
        ("HSET", f"{at}entries", document.request, number),
        ("HINCRBY", f"{at}waiting", name, 1),
    ]
    step: list[Write] = [
        ("XDEL", f"{at}inbox", f"{number}-0"),
        ("HDEL", f"{at}entries", document.request),
        ("HDEL", f"{at}waiting", name),
    ]
    tasks: list[str] = []
    for record in records:
        event = WIRE.decode(record)
        if event.role == "inbound" and len(step) > 3:
            yield step
            step = []
        step.append(("RPUSH", f"{at}history:{id_}", record))
        if isinstance(event, ActivityCompleted):
            task = tasks.pop(0)
            step += (
                ("ZREM", f"{at}held", "s" * 60 + task),
                ("HDEL", f"{at}tasks", task),
                ("HDEL", f"{at}states", task),
            )
        elif isinstance(event, ActivityScheduled):
            task = f"{id_}/{event.id}"
            tasks.append(task)
            step += (
                ("HSET", f"{at}tasks", task, b"t" * 350),
                ("HSET", f"{at}states", task, "s" * 60 + task),
                ("ZADD", f"{at}held", 0, "s" * 60 + task),
            )
    step += (("HSET", f"{at}documents", id_, head), ("HDEL", f"{at}open", name))
    yield step


def run_floor(client: redis.Redis, lives: Sequence[list[list[Write]]], *, length: int, at_once: int) -> float:
    """Return the activities a second at which bare redis-py makes these writes."""
    writes = [
        write
        for first in range(0, len(lives), at_once)
        for steps in zip_longest(*lives[first : first + at_once], fillvalue=())
        for step in steps
        for write in step
    ]
    script = client.register_script(_SCRIPT)
    began = time.perf_counter()
    for first in range(0, len(writes), BATCH):
        script(args=[part for write in writes[first : first + BATCH] for part in (len(write), *write)])  # type: ignore[no-untyped-call]
    return len(lives) * length / (time.perf_counter() - began)


def measure(url: str, client: redis.Redis, *, runs: int, length: int, at_once: int) -> Round:
    """Run one round."""
    engine = asyncio.run(run_engine(url, runs=runs, length=length, at_once=at_once))
    lives = asyncio.run(lives_of(url))
    _forget(client, f"{{{NAMESPACE}:*")
    try:
        return Round(engine, run_floor(client, lives, length=length, at_once=at_once))
    finally:
        _forget(client, "floor:*")


def _forget(client: redis.Redis, pattern: str) -> None:
    for key in client.scan_iter(pattern, count=1_000):
        client.unlink(key)


def main() -> None:
    """Print each round and the medians; `--json` for machines."""
    parser = argparse.ArgumentParser(description="chains of activities on Redis, against bare redis-py")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", default="")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    server = None if args.url else RedisServer(server_binary())
    url = args.url or (server.url if server else "")
    client = redis.Redis.from_url(url)
    rounds = []
    try:
        for number in range(1, args.rounds + 1):
            used = f"{url}?namespace={NAMESPACE}"
            result = measure(used, client, runs=args.runs, length=args.length, at_once=args.at_once)
            rounds.append(result)
            if not args.json:
                print(
                    f"round {number}: engine {result.engine:8,.0f}/s  bare redis-py {result.floor:8,.0f}/s  "
                    f"ratio {result.ratio:.0%}",
                    flush=True,
                )
    finally:
        client.close()
        if server is not None:
            server.close()
    ratio = statistics.median(each.ratio for each in rounds)
    engine, floor = statistics.median(r.engine for r in rounds), statistics.median(r.floor for r in rounds)
    if args.json:
        print(json.dumps({"engine": engine, "floor": floor, "ratio": ratio, "rounds": args.rounds}))
    else:
        print(f"median:  engine {engine:8,.0f}/s  bare redis-py {floor:8,.0f}/s  ratio {ratio:.0%}")


if __name__ == "__main__":
    main()
