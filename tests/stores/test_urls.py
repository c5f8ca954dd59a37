"""What a store's URL may be, and what a wrong one gets."""

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from durable.errors import StoreError, StoreUrlError
from durable.stores import open_store


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "no scheme"),
        ("orders.db", "no scheme"),
        ("/var/lib/orders.db", "no scheme"),
        ("postgres://localhost/db", "unknown scheme 'postgres'; expected \"memory:\""),
        ("redis://", "names no host"),
        ("redis://localhost/zero", "expected the number of a database after the host, got 'zero'"),
        ("redis://localhost:99999", "expected a host and a port from 1 to 65535, got 'localhost:99999'"),
        ("redis://localhost?namespace=a{b}", "expected a namespace of letters"),
        ("redis://localhost?wait_replicas=some", "expected wait_replicas as a number"),
        ("redis://localhost?synchronous=full", "unknown option 'synchronous'"),
        ("unix://run/redis.sock", "expected the path of a socket"),
        ("redis://one,two", "names several hosts: use redis+cluster:// or redis+sentinel://"),
        ("redis+cluster://", 'names no host; expected "redis+cluster://host:port"'),
        ("redis+cluster://one,,two", "names no host"),
        ("redis+cluster://one:0", "expected a host and a port from 1 to 65535, got 'one:0'"),
        ("redis+cluster://one:7000:2", "expected a host and a port"),
        ("redis+cluster://[::1", "it is no URL"),
        ("redis+cluster://one/2", "a cluster has no database but 0, got 2"),
        ("redis+cluster://one?tls_ca=x", "unknown option 'tls_ca'"),
        ("redis+cluster://one?sentinel_user=x", "unknown option 'sentinel_user'"),
        ("redis+sentinel://localhost", "names no service"),
        ("redis+sentinel://localhost/orders/x", "expected the number of a database after the host, got 'x'"),
        ("rediss://localhost?tls_ca=/no/such.crt", "tls_ca names no file: '/no/such.crt'"),
        ("valkey://localhost", "write redis://"),
        ("sqlite:", "names no file; expected"),
        ("sqlite://", "names no file; expected"),
        ("sqlite:///", "names no file; expected"),
        ("sqlite://orders.db", "names no file; expected"),
        ("sqlite:orders.db", "names no file; expected"),
        ("sqlite:///:memory:", 'use "memory:" instead'),
        ("sqlite:////no/such/folder/orders.db", "no folder '/no/such/folder'"),
        ("sqlite:///x.db?synchronous=off", "expected synchronous=full or synchronous=normal, got 'off'"),
        (
            "sqlite:///x.db?syncronous=full",
            "unknown option 'syncronous'; expected one of busy_timeout, partitions, synchronous",
        ),
        ("sqlite:///x.db?busy_timeout=soon", "busy_timeout"),
        ("sqlite:///x.db?partitions=0", "expected 1 to 1024 partitions, got 0"),
        ("sqlite:///x.db?partitions=many", "expected partitions as a whole number, got 'many'"),
        ("sqlite:///x.db?partitions=2&partitions=3", "given twice"),
        ("memory:?partitions=2000", "expected 1 to 1024 partitions, got 2000"),
        ("memory:?synchronous=full", "unknown option 'synchronous'"),
    ],
)
async def test_a_wrong_url_is_refused_and_shown(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the URL and what was expected, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUrlError) as caught:
        await open_store(url)
    assert expected in str(caught.value)
    assert repr(url) in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://me:hunter2@host/1",
        "redis+sentinel://host/s?sentinel_password=hunter2&x=y",
        "other://hunter2@host",
        "sqlite:///x.db?password=hunter2&a=b",
    ],
)
async def test_no_error_shows_a_password(url: str) -> None:
    """The error names the URL without its password."""
    with pytest.raises(StoreUrlError) as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)
    assert url.partition(":")[0] in str(caught.value)


async def test_a_url_that_is_no_text_is_refused() -> None:
    """A `Path` is no URL, and its text is not shown as one."""
    with pytest.raises(StoreUrlError, match="as text"):
        await open_store(Path("orders.db"))  # type: ignore[arg-type]


async def test_a_relative_path_is_one_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes: relative. Four: absolute. Percent signs are decoded."""
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///my%20orders.db") as store:
        assert (tmp_path / "my orders.db").exists()
        assert store.partitions == 8
    async with open_store(f"sqlite:///{tmp_path}/my orders.db?busy_timeout=2.5") as store:
        assert store.url.startswith("sqlite:////")


async def test_the_number_of_partitions_is_fixed_when_the_store_is_made(tmp_path: Path) -> None:
    """Another number for a store that exists is refused, and changes nothing; none at all is fine."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, partitions=3) as store:
        assert store.partitions == 3
    before = (tmp_path / "store.db").read_bytes()
    for more, argument in (("?partitions=4", None), ("", 4)):
        with pytest.raises(StoreUrlError, match="3 partitions, not 4"):
            await open_store(url + more, partitions=argument)
    with pytest.raises(StoreUrlError, match="asks for 3 partitions, and the argument for 4"):
        await open_store(url + "?partitions=3", partitions=4)
    assert (tmp_path / "store.db").read_bytes() == before
    async with open_store(url + "?partitions=3") as store, open_store(url) as other:
        assert (store.partitions, other.partitions) == (3, 3)


async def test_a_named_memory_store_keeps_its_partitions_too() -> None:
    """The same holds for stores that are shared within the process."""
    async with open_store("memory:fixed-partitions", partitions=2), open_store("memory:fixed-partitions") as store:
        assert store.partitions == 2
    with pytest.raises(StoreUrlError, match="2 partitions, not 3"):
        await open_store("memory:fixed-partitions", partitions=3)


async def test_another_distribution_can_register_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of others are found by the entry point group "durable.stores", which is looked at for unknown schemes only."""
    package = tmp_path / "other_store.py"
    package.write_text(
        "from durable.stores import open_store\n"
        "async def open_other(url, *, clock, partitions):\n"
        "    return await open_store('memory:', clock=clock, partitions=partitions)\n"
        "no_function = 3\n"
    )
    metadata = tmp_path / "other_store-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other-store\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[durable.stores]\nother = other_store:open_other\nbroken = other_store:no_function\nmemory = other_store:no_function\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert entry_points(group="durable.stores", name="other")
    async with open_store("other://host", partitions=5) as store:
        assert store.partitions == 5
    with pytest.raises(StoreUrlError, match="is no function"):
        await open_store("broken://host")
    async with open_store("memory:") as ours:
        assert ours.url == "memory:"
    sys.modules.pop("other_store", None)


@pytest.mark.parametrize(
    "url",
    [
        "redis:/me:hunter2@host", "redis:me:hunter2@host", "me:hunter2@host/0", "redis://me:hun/hunter2@host",
        "http://me:hun?hunter2@host", "redis://me:hun@hunter2@host",
    ],
)  # fmt: skip
async def test_a_password_is_hidden_in_a_mistyped_url_too(url: str) -> None:
    """Most wrong URLs are typed in a hurry: a slash too few, a password that was not quoted."""
    with pytest.raises(StoreError) as caught:  # one of them is understood, and there is no such host
        await open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "***@host" in str(caught.value)


async def test_an_at_sign_in_a_path_is_no_password(tmp_path: Path) -> None:
    """The file that is named in an error is the one that was asked for."""
    url = f"sqlite:///{tmp_path}/me@home/x.db"
    with pytest.raises(StoreUrlError, match="me@home"):
        await open_store(url)
