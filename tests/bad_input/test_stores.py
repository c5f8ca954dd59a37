"""Row 7: stores that cannot be reached, and URLs that are none."""

from pathlib import Path

import pytest

from durable import Client
from durable.errors import StoreError, StoreUnavailableError, StoreUrlError


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgres://user:secret@host/db", "postgres"),
        ("orders.db", "orders.db"),
        ("", "expected"),
        ("sqlite:", "sqlite"),
        ("sqlite:///x.db?synchronous=maybe", "maybe"),
        ("sqlite:///x.db?unknown=1", "unknown"),
        ("memory:?partitions=none", "none"),
        ("redis+cluster://:secret@localhost/7", "redis"),
    ],
)
async def test_a_url_that_is_not_understood_is_shown_without_its_password(url: str, says: str) -> None:
    """With what was expected."""
    with pytest.raises(StoreUrlError) as caught:
        await Client.connect(url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_store_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """A folder that does not exist, and one in place of a file."""
    for place in (tmp_path / "no" / "such" / "folder" / "runs.db", tmp_path):
        with pytest.raises(StoreError) as caught:
            await Client.connect(f"sqlite:///{place}")
        assert str(place) in str(caught.value)


def test_unavailable_is_the_one_that_may_be_repeated() -> None:
    """Its outcome is unknown, and a repeat is safe; a wrong URL stays wrong."""
    assert StoreUnavailableError.retryable
    assert not StoreUrlError.retryable
