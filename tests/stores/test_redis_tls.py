"""TLS: certificates are checked both ways, and what is wrong with them is said."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable.errors import StoreUnavailableError, StoreUrlError
from durable.stores import open_store
from durable.stores._protocol import Append
from durable.testing.conformance._base import TTL_MS, applied, document, entry, lease_for
from tests.redis_cluster import free_port, until
from tests.redis_server import RedisServer, server_binary
from tests.redis_tls import Certificates, TlsServer, tls_binary


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strict(redis_process: RedisServer, keys: Certificates) -> Iterator[TlsServer]:
    """Yield a server that wants a client's certificate."""
    server = TlsServer(tls_binary(), keys, clients=True)
    yield server
    server.close()


@pytest.fixture
def started(redis_process: RedisServer) -> Iterator[Callable[[RedisServer], RedisServer]]:
    """Yield a function that ends a server with the test."""
    servers: list[RedisServer] = []

    def kept(server: RedisServer) -> RedisServer:
        servers.append(server)
        return server

    yield kept
    for server in servers:
        server.close()


def url_of(server: TlsServer, keys: Certificates, *, ca: Path | None = None, scheme: str = "rediss") -> str:
    certificate, key = keys.client
    return f"{scheme}://{server.address}?tls_ca={ca or keys.ca}&tls_cert={certificate}&tls_key={key}"


async def _work(url: str) -> None:
    """Use every kind of connection: commands, subscriptions, and the thread that renews."""
    async with open_store(url) as store, open_store(url) as other:
        lease = await lease_for(store)
        await applied(store, lease, appends=[Append("h", 0, [b"1"])])
        watch = store.watch(["inbox/1/orders"])
        assert await store.document(1, name="nobody") is None
        await other.create(1, document(), [entry()])
        async with asyncio.timeout(10):
            assert await watch.wait(None)
        watch.close()
        assert (await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])).leases == ()


async def test_a_store_over_tls_with_certificates_on_both_sides(strict: TlsServer, keys: Certificates) -> None:
    """All of its connections."""
    await _work(url_of(strict, keys))


async def test_a_cluster_over_tls(started: Callable[[RedisServer], RedisServer], keys: Certificates) -> None:
    """The servers are found by the ports at which they speak TLS; one that does not know its own address is meant where it answered."""
    server = TlsServer(
        tls_binary(), keys, "--cluster-enabled", "yes", "--tls-cluster", "yes", "--tls-replication", "yes", clients=True
    )  # fmt: skip
    started(server)
    with server.client() as client:
        client.response_callbacks.clear()
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))  # type: ignore[no-untyped-call]
        until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), "the cluster is whole")  # type: ignore[no-untyped-call]
    await _work(url_of(server, keys, scheme="rediss+cluster"))


async def test_a_server_that_another_ca_signed_is_not_trusted(strict: TlsServer, keys: Certificates) -> None:
    """The same if no CA is named, and the machine's are asked."""
    with pytest.raises(StoreUnavailableError, match="certificate is not trusted: tls_ca must name the CA"):
        await open_store(url_of(strict, keys, ca=keys.other_ca))
    with pytest.raises(StoreUnavailableError, match="certificate is not trusted"):
        await open_store(f"rediss://{strict.address}")


async def test_a_missing_client_certificate_is_told(strict: TlsServer, keys: Certificates) -> None:
    """The server only hangs up, so the error says what it may want."""
    with pytest.raises(
        StoreUnavailableError, match=r"want a client's certificate \(tls_cert, tls_key\)\. Nothing was written"
    ):
        await open_store(f"rediss://{strict.address}?tls_ca={keys.ca}")


async def test_a_certificate_for_another_host_is_refused(
    started: Callable[[RedisServer], RedisServer], keys: Certificates
) -> None:
    """Unless the URL says that the name does not matter."""
    server = TlsServer(tls_binary(), keys, clients=False, misnamed=True)
    started(server)
    url = f"rediss://{server.address}?tls_ca={keys.ca}"
    with pytest.raises(StoreUnavailableError, match="the host must be one of its names"):
        await open_store(url)
    await _work(f"{url}&tls_check_hostname=no")


async def test_a_plain_url_of_a_server_that_speaks_tls_is_told(strict: TlsServer) -> None:
    """It says which URL to use."""
    with pytest.raises(StoreUnavailableError, match=r"use rediss://\. Nothing was written"):
        await open_store(f"redis://{strict.address}")


async def test_tls_at_a_port_that_does_not_speak_it_is_told(
    started: Callable[[RedisServer], RedisServer], keys: Certificates
) -> None:
    """The server waits for a command, so it takes as long as connecting may take."""
    port = free_port()
    started(RedisServer(server_binary(), "--port", str(port), "--bind", "127.0.0.1"))
    with pytest.raises(StoreUnavailableError, match="may not speak TLS at this port"):
        await open_store(f"rediss://127.0.0.1:{port}?tls_ca={keys.ca}")


async def test_files_that_do_not_fit_are_refused(keys: Certificates, tmp_path: Path) -> None:
    """Before anything is connected, by the option's name."""
    certificate, key = keys.client
    for options, expected in (
        (f"tls_ca={tmp_path}/none.crt", "tls_ca names no file"),
        (f"tls_ca={key}", "tls_ca: expected PEM files"),
        (f"tls_key={key}", "tls_key needs tls_cert"),
        (
            f"tls_cert={certificate}&tls_key={keys.server[1]}",
            "tls_cert and tls_key: expected PEM files that belong together",
        ),
        ("tls_check_hostname=maybe", "expected tls_check_hostname=yes or no, got 'maybe'"),
    ):
        with pytest.raises(StoreUrlError, match=expected):
            await open_store(f"rediss://127.0.0.1:1?{options}")
    with pytest.raises(StoreUrlError, match="unknown option 'tls_ca'"):
        await open_store(f"redis://127.0.0.1:1?tls_ca={keys.ca}")
