"""What a hand does to the store below an engine: a record of a history is overwritten, or all is put back to an earlier state."""

import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from durable._log import partition_of
from durable.stores.redis._keys import Keys
from durable.testing.simulation._past import held_by, put_back
from tests.engine.env import Engines
from tests.scenario_store import KIND, shared_cluster, shared_server, shared_service


async def overwrite(env: Engines, workflow_id: str, record: bytes, *, at: int) -> None:
    """Overwrite the record numbered `at` in the history of a run."""
    number = partition_of(workflow_id, env.store.partitions)
    document = await env.store.document(number, name=workflow_id)
    assert document is not None
    if KIND == "memory":
        env.store._state.partitions[number].streams[document.id][at - 1] = record  # type: ignore[attr-defined]
    elif KIND == "sqlite":
        with sqlite3.connect(urlsplit(env.store.url).path) as connection:
            changed = connection.execute(
                "UPDATE records SET data = ? WHERE stream = ? AND seq = ?", (record, document.id, at)
            )
            assert changed.rowcount == 1
        connection.close()
    else:
        key = Keys(_namespace(env), number).history(document.id)
        (holder,) = [client for client in _servers() if key in client.keys(_pattern(env))]  # of a cluster: one of them
        holder.lset(key, at - 1, record)


def moment_of(env: Engines) -> Callable[[], None]:
    """Return a function that puts the store back to what it holds now."""
    if KIND == "memory":
        state = env.store._state  # type: ignore[attr-defined]
        held = held_by(state)
        return lambda: put_back(state, held)
    if KIND == "sqlite":
        pytest.skip("a file that is put back under those who have it open is another file")
    pattern = _pattern(env)
    dumps = [(client, {key: client.dump(key) for key in client.keys(pattern)}) for client in _servers()]

    def back() -> None:
        for client, dumped in dumps:
            for key in client.keys(pattern):
                client.delete(key)
            for key, value in dumped.items():
                client.restore(key, 0, value)

    return back


def _namespace(env: Engines) -> str:
    return parse_qs(urlsplit(env.store.url).query)["namespace"][0]


def _pattern(env: Engines) -> str:
    return f"{{{_namespace(env)}:*"


def _servers() -> list[redis.Redis]:
    """Return clients of the servers that hold data."""
    if KIND == "redis":
        return [shared_server().client()]
    if KIND == "sentinel":
        service = shared_service()
        return [service.servers[service.primary].client()]
    cluster = shared_cluster()
    return [cluster.servers[port].client() for port in cluster.primaries()]
