"""What a store asks of its servers, however many they are and wherever a partition lives."""

from collections.abc import Sequence
from typing import Any, Protocol

from ._calls import Call, Plain
from ._clients import Address
from ._cluster import Cluster
from ._options import Options
from ._sentinel import Sentinels
from ._single import Fixed, Single


class Connection(Protocol):
    """The way to the servers. What may have reached one is not sent again: whoever calls knows whether a repeat is safe."""

    async def about(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what each primary says of itself (see `asked`), and its address. Raises errors of redis-py."""
        ...

    async def run(self, calls: Sequence[Call | Plain]) -> list[Any]:
        """Run calls in one round trip; the answer of each is in its place, or the error of ours that it got.

        A `StoreUnavailableError`, raised or as an answer, leaves the outcome open unless it says that nothing was written.
        """
        ...

    def run_blocking(self, calls: Sequence[Call]) -> list[Any]:
        """As `run`, from any thread, on connections of their own."""
        ...

    async def subscriber(self) -> Any:
        """Return a connection for subscriptions, a `PubSub` of redis-py; the caller closes it."""
        ...

    async def close(self) -> None:
        """Wait for calls under way, then close all connections. A second call does nothing."""
        ...


def connection_of(options: Options) -> Connection:
    """Return the kind of connection that the URL asks for. Nothing is connected yet."""
    addresses = [Address(*each) for each in options.addresses]
    if options.kind == "cluster":
        return Cluster(options, addresses)
    if options.kind == "sentinel":
        return Single(options, Sentinels(options, addresses))
    return Single(options, Fixed(addresses[0]))
