"""The connections to a cluster: a lane to each primary, and calls that follow their slots."""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError  # noqa: A004 - the names of redis-py

from ...errors import StoreUnavailableError, StoreUrlError
from ._calls import Call, Plain, by_hash, by_source
from ._clients import Address, Clients, closed_error
from ._durability import asked
from ._errors import is_missing_script, mapped
from ._lane import Argument
from ._node import ASKING, BlockingNode, Node
from ._options import Options
from ._slots import Group, Routing, SlotMap

_CONNECT_S = 3.0  # a server that is not there takes no longer to be missed
_RENEW_S = 2.0  # for an answer to a renewal: a frozen server must not cost the leases of the others, which last 5 s
_PAUSES_S = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6)  # before a call is sent again that its slot's server sent elsewhere
_SLOTS: tuple[Argument, ...] = ("CLUSTER", "SLOTS")


class Cluster:
    """See `Connection`. An answer is an error only for the calls whose server failed."""

    def __init__(self, options: Options, seeds: Sequence[Address]) -> None:
        self._options = options
        self._slots = SlotMap(seeds)
        self._clients = Clients(options, connect_s=_CONNECT_S, blocking_s=_RENEW_S)
        self._nodes: dict[Address, Node] = {}
        self._blocking: dict[Address, BlockingNode] = {}
        self._subscribed = 0
        self._refreshing = asyncio.Lock()
        self._lock = threading.Lock()
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    # --- the loop's side

    async def about(self) -> list[tuple[str, dict[str, Any]]]:
        """See `Connection`."""
        await self._refresh()
        return [(str(address), await asked(self._clients.at(address))) for address in self._slots.primaries()]

    async def run(self, calls: Sequence[Call | Plain]) -> list[Any]:
        """See `Connection`."""
        if self._closed:
            raise closed_error(self._options.shown)
        if not calls:
            return []
        self._under_way += 1
        self._idle.clear()
        try:
            routing = Routing(calls, self._slots)
            for pause_s in (*_PAUSES_S, None):
                await self._refresh()
                groups = routing.groups()
                if len(groups) == 1:
                    await self._send(routing, groups[0])
                else:
                    await asyncio.gather(*(self._send(routing, group) for group in groups))
                if routing.is_done or pause_s is None:
                    break
                await asyncio.sleep(pause_s)
        except Exception as error:
            raise self._explained(error) from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        return self._all_explained(routing.answers)

    async def _send(self, routing: Routing, group: Group) -> None:
        try:
            calls = [routing.calls[index] for index in group.indexes]
            routing.take(group, await self._node(group.address).run(calls, asking=group.asking))
        except (RedisError, OSError, StoreUnavailableError) as error:
            routing.fail(group, error)

    def _node(self, address: Address) -> Node:
        found = self._nodes.get(address)
        if found is None:
            connect = partial(self._clients.connected, address)
            found = self._nodes[address] = Node(connect, self._options.shown, self._options.wait_replicas)
        return found

    def _is_known(self) -> bool:
        return not self._slots.stale

    async def _refresh(self) -> None:
        """Ask for the map of slots if it may have changed. Raises `ConnectionError` if nobody answers."""
        if self._is_known():
            return
        async with self._refreshing:
            if self._is_known():
                return  # somebody else asked meanwhile
            failed: list[str] = []
            for address in self._slots.to_ask():
                try:
                    self._slots.replace(await self._node(address).ask(_SLOTS), address)
                except AuthenticationError:
                    raise  # as the others would say
                except ResponseError as error:
                    raise self._no_cluster(address, error) from error
                except (RedisError, OSError) as error:
                    failed.append(f"{address}: {error}")
                    self._slots.failed(address)
                else:
                    return
            raise ConnectionError(f"no server of the cluster answers ({'; '.join(failed)})")

    def _no_cluster(self, address: Address, error: ResponseError) -> Exception:
        if "cluster support disabled" in str(error):
            return StoreUrlError(
                f"store URL {self._options.shown!r}: the server at {address} is no part of a cluster: use redis://"
            )
        return error

    def _explained(self, error: Exception) -> BaseException:
        return mapped(error, self._options.shown)

    def _all_explained(self, answers: Sequence[Any]) -> list[Any]:
        return [self._explained(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def subscriber(self) -> Any:
        """See `Connection`. Any server will do: what is published at one is told to all."""
        await self._refresh()
        servers = self._slots.to_ask()
        self._subscribed += 1  # the next one, if this one turns out to be dead
        client: Any = self._clients.at(servers[self._subscribed % len(servers)])
        return client.pubsub()

    # --- the side of the thread that renews

    def run_blocking(self, calls: Sequence[Call]) -> list[Any]:
        """See `Connection`."""
        if self._closed:
            raise closed_error(self._options.shown)
        pause = threading.Event()
        try:
            with self._lock:
                routing = Routing(calls, self._slots)
                for pause_s in (*_PAUSES_S, None):
                    self._refresh_blocking()
                    self._send_blocking(routing, routing.groups())
                    if routing.is_done or pause_s is None:
                        break
                    pause.wait(pause_s)
        except Exception as error:
            raise self._explained(error) from error
        return self._all_explained(routing.answers)

    def _send_blocking(self, routing: Routing, groups: Sequence[Group]) -> None:
        """Send to all servers, and only then wait: one that does not answer must not keep the others waiting."""
        again: list[Group] = []
        for group, answers in self._exchange(routing, groups, by_hash):
            if any(is_missing_script(answer) for answer in answers):
                again.append(group)
            else:
                routing.take(group, answers)
        for group, answers in self._exchange(routing, again, by_source):
            routing.take(group, answers)

    def _exchange(self, routing: Routing, groups: Sequence[Group], written: Any) -> list[tuple[Group, list[Any]]]:
        sent: list[tuple[Group, BlockingNode, int]] = []
        # Those first that can be sent to at once: to connect to a server that is away takes a while.
        for group in sorted(groups, key=lambda each: not self._blocking_node(each.address).is_connected):
            node, commands = self._blocking_node(group.address), list[tuple[Argument, ...]]()
            for index in group.indexes:
                commands += [ASKING] if group.asking else []
                commands.append(written(routing.calls[index]))
            try:
                node.send(commands)
            except (RedisError, OSError) as error:
                routing.fail(group, error)
            else:
                sent.append((group, node, len(commands)))
        found: list[tuple[Group, list[Any]]] = []
        for group, node, count in sent:
            try:
                answers = node.receive(count)
            except (RedisError, OSError) as error:
                routing.fail(group, error)
            else:
                found.append((group, answers[1::2] if group.asking else answers))
        return found

    def _blocking_node(self, address: Address) -> BlockingNode:
        found = self._blocking.get(address)
        if found is None:
            found = self._blocking[address] = BlockingNode(partial(self._clients.connected_blocking, address))
        return found

    def _refresh_blocking(self) -> None:
        if not self._slots.stale:
            return
        failed: list[str] = []
        for address in self._slots.to_ask():
            node = self._blocking_node(address)
            try:
                node.send([_SLOTS])
                (answer,) = node.receive(1)
                if isinstance(answer, Exception):
                    raise answer
                self._slots.replace(answer, address)
            except (RedisError, OSError) as error:
                failed.append(f"{address}: {error}")
                self._slots.failed(address)
            else:
                return
        raise ConnectionError(f"no server of the cluster answers ({'; '.join(failed)})")

    async def close(self) -> None:
        """See `Connection`."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        for node in self._nodes.values():
            await node.close()
        with contextlib.suppress(redis.RedisError, OSError):
            await self._clients.close()
        for blocking in self._blocking.values():
            blocking.drop()
