"""What every test shares: Hypothesis profiles, the size of the execution cache, and a Redis server for those that want one."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from durable import _limits
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer, server_binary, servers
from tests.scenario_store import close_all, fresh_namespace, shared_cluster, shared_server

# Failed assertions of the shipped suite are explained like those of a test module. Here, before anything imports it.
pytest.register_assert_rewrite("durable.testing.conformance")

settings.register_profile("dev", max_examples=50, deadline=None)
# In CI a run must depend on the code alone: the same examples each time, and no deadline, since machines differ.
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# The suite runs a second time with DURABLE_TEST_CACHE=0: then no execution is kept, and every step replays its run.
# Set before any test imports the engine, so that it holds wherever the limit is used as a default.
if cache := os.environ.get("DURABLE_TEST_CACHE"):
    _limits.CACHE_RUNS_MAX = int(cache)


def pytest_unconfigure() -> None:
    """End the servers that tests of this process shared."""
    close_all()


@pytest.fixture(scope="session")
def redis_process() -> RedisServer:
    """Return a server that all tests of this process share."""
    return shared_server()


@pytest.fixture(scope="session", params=list(servers()) or [None])
def each_redis_process(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Yield each server that is here, one after the other."""
    server = RedisServer(servers()[request.param] if request.param else server_binary())
    yield server
    server.close()


@pytest.fixture
def redis_server(redis_process: RedisServer) -> RedisServer:
    """Return the server, which holds nothing."""
    redis_process.flush()
    return redis_process


@pytest.fixture
def redis_url(redis_process: RedisServer) -> str:
    """Return the URL of a namespace that nobody has used."""
    return fresh_namespace(redis_process)


@pytest.fixture(scope="session")
def redis_nodes() -> RedisCluster:
    """Return a cluster that all tests of this process share."""
    return shared_cluster()


@pytest.fixture
def redis_cluster(redis_nodes: RedisCluster) -> RedisCluster:
    """Return the cluster, which holds nothing."""
    redis_nodes.flush()
    return redis_nodes
