"""Tasks: claiming them, ending them, handing them back."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from ... import _limits
from ...errors import ClaimLostError
from .._protocol import ClaimedTask, Entry, Task, inbox_topic
from ._calls import Call
from ._keys import Keys
from ._lane import Argument
from ._namespace import Namespace, refuse_answer

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[str, str, str, str, bytes])


def net(text: str) -> str:
    """Return `text` after its length in bytes, as `net` in Lua does."""
    return f"{len(text) if text.isascii() else len(text.encode())}:{text}"


@lru_cache(4_096)
def _route(queue: str, kind: str) -> str:
    return net(queue) + net(kind)


@lru_cache(4_096)
def _head(inbox: str, owner: str | None) -> str:
    return f"{'0000' if owner is None else '0100'}{net(inbox)}{net(owner or '')}"


def written_task(task: Task) -> tuple[Argument, ...]:
    """Return a task as `put_tasks` takes it."""
    owner = task.claimed_by
    return (
        task.id,
        _encode((task.queue, task.kind, task.inbox, task.name, task.data)),
        _head(task.inbox, owner),
        _route(task.queue, task.kind),
        net(owner) if owner is not None else "",
    )


def read_task(id: bytes, written: bytes) -> Task:  # noqa: A002
    """Return the task that `written_task` wrote."""
    queue, kind, inbox, name, data = _decoder.decode(written)
    return Task(id.decode(), queue, kind, inbox, name, data)


async def claim(namespace: Namespace, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
    """See `Store.claim`. All partitions are asked what they have, and then those that have something for it."""
    claimed = list[ClaimedTask]()
    wanted = list(dict.fromkeys(kinds))
    if limit <= 0 or not wanted:
        return claimed
    routes = [_route(queue, kind) for kind in wanted]
    again = namespace.keys
    while again and len(claimed) < limit:
        asked: list[Argument] = [session, limit - len(claimed), len(routes), *routes]
        calls = [namespace.call("available", keys, [keys.partition, *asked]) for keys in again]
        answers = await namespace.connection.run(calls)
        failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        found: list[tuple[Keys, int]] = []
        reaped: list[Keys] = []
        for keys, answer in zip(again, answers, strict=True):
            if answer and not isinstance(answer, BaseException):
                namespace.touch(answer[2])
                if answer[0]:
                    found.append((keys, answer[0]))
                elif answer[1] == b"1":
                    reaped.append(keys)
        if failed is not None and not found and not claimed:
            raise failed
        again = (
            reaped  # what failed is asked the next time: a server of a cluster may be away, and the others have work
        )
        if found:
            again += await _claim_found(
                namespace, session, routes, _shares(namespace, found, limit - len(claimed)), claimed
            )
    return claimed


def _shares(namespace: Namespace, found: Sequence[tuple[Keys, int]], limit: int) -> list[tuple[Keys, int]]:
    """Share out how many to claim where, beginning somewhere else each time."""
    first = int(namespace.clock.jitter() * len(found))
    shares: list[tuple[Keys, int]] = []
    for keys, available in (*found[first:], *found[:first]):
        share = min(available, limit)
        if share:
            shares.append((keys, share))
            limit -= share
    return shares


async def _claim_found(
    namespace: Namespace,
    session: str,
    routes: Sequence[str],
    shares: Sequence[tuple[Keys, int]],
    claimed: list[ClaimedTask],
) -> list[Keys]:
    """Claim in these partitions; return those that may have more."""
    calls: list[Call] = []
    for keys, share in shares:
        args: list[Argument] = [session, share, _limits.TASK_DELIVERIES_MAX, len(routes), *routes]
        calls.append(namespace.call("claim", keys, args))
    more: list[Keys] = []
    failed: BaseException | None = None
    for (keys, _), answer in zip(shares, await namespace.connection.run(calls), strict=True):
        if isinstance(answer, BaseException):
            failed = answer
        elif answer:
            if answer[0] == b"1":
                more.append(keys)
            claimed += [_claimed(namespace, keys.partition, each) for each in answer[1]]
    if failed is not None and not claimed:
        raise failed
    return [] if failed is not None else more


def _claimed(namespace: Namespace, partition: int, answer: Sequence[Any]) -> ClaimedTask:
    id_, written, deliveries, details, cancelled = answer
    task = read_task(id_, written)
    namespace.places[task.id] = partition
    return ClaimedTask(partition, task, deliveries, details or None, cancelled == b"1")


async def complete(namespace: Namespace, session: str, claimed: ClaimedTask, entry: Entry) -> None:
    """See `Store.complete`."""
    keys, task = namespace.of(claimed.partition), claimed.task
    inbox = task.inbox
    while True:
        topic = inbox_topic(claimed.partition, inbox)
        args = (session, task.id, inbox, entry.id, entry.name, entry.data, topic)
        answer = await namespace.ask("complete", keys, args, keys=[keys.inbox(inbox)])
        if answer[0] == b"done":
            namespace.places.pop(task.id, None)
            namespace.touch([topic])
            return
        if answer[0] == b"lost":
            raise ClaimLostError(f"the task {task.id!r} is not claimed by {session!r}")
        if answer[0] != b"inbox":
            raise refuse_answer("complete", answer)
        inbox = answer[1].decode()  # the task was set again meanwhile, for another inbox


def by_partition(namespace: Namespace, ids: Sequence[str]) -> dict[int, list[str]]:
    """Return where each task is, as far as it is known here; what is not known may be anywhere."""
    found: dict[int, list[str]] = {}
    for id_ in dict.fromkeys(ids):
        place = namespace.places.get(id_)
        for partition in range(namespace.partitions) if place is None else (place,):
            found.setdefault(partition, []).append(id_)
    return found


async def unclaim(namespace: Namespace, session: str, tasks: Sequence[str]) -> None:
    """See `Store.unclaim`."""
    calls = [
        namespace.call("unclaim", namespace.keys[partition], (partition, session, len(ids), *ids))
        for partition, ids in by_partition(namespace, tasks).items()
    ]
    for topics in await namespace.run(calls):
        namespace.touch(topics)
    for id_ in tasks:
        namespace.places.pop(id_, None)


async def note_progress(namespace: Namespace, session: str, task: str, details: bytes) -> bool:
    """See `Store.note_progress`."""
    calls = [
        namespace.call("note_progress", namespace.keys[partition], (session, task, details))
        for partition in by_partition(namespace, [task])
    ]
    return any(await namespace.run(calls))
