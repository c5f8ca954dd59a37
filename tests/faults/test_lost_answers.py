"""The answer is lost after the script ran, or the request before: the caller is told so, and a repeat makes it as if nothing had been."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable import _limits
from durable.errors import ClaimLostError, StoreUnavailableError
from durable.stores import Lease, Store, open_store
from durable.stores._protocol import Append, ClaimedTask, DocumentUpdate, Due, Outgoing, Reply
from durable.testing.conformance._base import (
    INBOX,
    TTL_MS,
    P,
    applied,
    claim,
    commit_of,
    contents,
    document,
    entry,
    inbox_of,
    lease_for,
    task,
)
from tests.faults.proxy import Proxy
from tests.faults.scripts import NAMES, load_all, marker
from tests.redis_server import RedisServer


class Scene:
    """A store with some of everything in it."""

    def __init__(self, store: Store, lease: Lease, claimed: ClaimedTask) -> None:
        self.store, self.lease, self.claimed = store, lease, claimed

    @classmethod
    async def made(cls, url: str) -> "Scene":
        """Open the namespace, and fill it."""
        store = await open_store(url, partitions=2)
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        tasks = [task(f"t-{number}") for number in range(1, 4)]
        await applied(store, lease, id="c-0", tasks=[task("parked", kind="deadly"), *tasks], replies=[Reply("y", b"!")])
        for number in range(_limits.TASK_DELIVERIES_MAX + 1):
            await store.begin_session(f"dying-{number}", "group", b"", TTL_MS)
            await claim(store, f"dying-{number}", kinds=["deadly"])
            await store.end_session(f"dying-{number}")
        (claimed,) = await claim(store, limit=1)
        return cls(store, lease, claimed)

    async def left(self) -> list[Any]:
        """Return all that the store holds, and who holds what."""
        store = self.store
        sessions = [each.id for each in await store.sessions("group")]
        return [await contents(store), await store.holders(INBOX), sessions, await store.take_reply(P, "new")]


async def _commit(scene: Scene) -> object:
    """A commit of everything that a commit may hold; with the same id each time."""
    store = scene.store
    consumed = [each.seq for each in await inbox_of(store)] or [1]
    sent = commit_of(
        scene.lease,
        id="c-1",
        follows="c-0",
        consumed=consumed,
        appends=[Append("history", 0, [b"1", b"2"])],
        documents=[DocumentUpdate("d-01", "order-1", state="completed", closes=True)],
        created=[(document("d-03", request="r-3"), entry("e-3"))],
        tasks=[task("t-4"), task("t-5", claimed_by="s-1")],
        tasks_removed=["t-2"],
        tasks_cancelled=["t-1"],
        dues=[Due("k", 1, b"due")],
        outgoing=[Outgoing("o", 0, b"out")],
        replies=[Reply("new", b"?")],
    )
    return await store.commit([sent])


async def _renew(scene: Scene) -> object:
    return await asyncio.to_thread(scene.store.renew, "s-1", TTL_MS, [scene.lease], ["t-1"])


async def _complete(scene: Scene) -> object:
    return await scene.store.complete("s-1", scene.claimed, entry("e-4"))


CALLS: dict[str, Callable[[Scene], Awaitable[object]]] = {
    "acquire": lambda scene: scene.store.acquire("s-1", INBOX, [0, 1]),
    "begin_session": lambda scene: scene.store.begin_session("s-2", "group", b"offer", TTL_MS),
    "claim": lambda scene: claim(scene.store, limit=10),
    "commit": _commit,
    "complete": _complete,
    "create": lambda scene: scene.store.create(P, document("d-02", "other", request="r-2"), [entry("e-2", "other")]),
    "discard_parked": lambda scene: scene.store.inspect.discard_parked(["parked"], [entry("e-6")]),
    "end_session": lambda scene: scene.store.end_session("s-1"),
    "note_progress": lambda scene: scene.store.note_progress("s-1", "t-1", b"50%"),
    "release": lambda scene: scene.store.release([scene.lease]),
    "release_parked": lambda scene: scene.store.inspect.release_parked(["parked"]),
    "renew": _renew,
    "send": lambda scene: scene.store.send(P, entry("e-5")),
    "take_reply": lambda scene: scene.store.take_reply(P, "y"),
    "unclaim": lambda scene: scene.store.unclaim("s-1", ["t-1"]),
}
# These only look (`access` leaves nothing of what it tries); `available` puts back what dead sessions held on its way, and would say the same again.
LOOKING = {
    "access", "available", "counts", "document", "documents", "holder", "last_commit", "read_closed", "read_dues", "read_last",
    "read_outgoing", "sessions",
}  # fmt: skip


def test_every_script_is_in_one_of_the_lists() -> None:
    """A new one that writes is tested here."""
    assert set(NAMES) == set(CALLS) | LOOKING


@pytest.mark.parametrize("name", list(CALLS))
async def test_a_call_whose_answer_was_lost_may_be_repeated(name: str, proxy: Proxy, redis_server: RedisServer) -> None:
    """After the answer, a part of it, or the request was lost: what is left is what one call leaves."""
    load_all(redis_server)
    call = CALLS[name]
    once = await Scene.made(f"{redis_server.url}?namespace=once")
    await call(once)
    expected = await once.left()
    await once.store.close()
    for number, fault in enumerate((_lose_answer, _lose_rest_of_answer, _lose_request)):
        scene = await Scene.made(f"{proxy.url}?namespace=lossy-{number}")
        fault(proxy, marker(name))
        with pytest.raises(StoreUnavailableError, match="unknown"):
            await call(scene)
        assert proxy.lost == number + 1
        if name == "complete" and fault is not _lose_request:
            with pytest.raises(ClaimLostError):  # it was recorded, and its claim is over
                await call(scene)
        else:
            await call(scene)
        assert await scene.left() == expected
        await scene.store.close()


def _lose_answer(proxy: Proxy, of: bytes) -> None:
    proxy.lose_answer(of)


def _lose_rest_of_answer(proxy: Proxy, of: bytes) -> None:
    proxy.lose_answer(of, keep=2)


def _lose_request(proxy: Proxy, of: bytes) -> None:
    proxy.lose_request(of)
