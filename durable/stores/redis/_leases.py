"""Sessions and leases. Every partition knows every session, so that its scripts can judge who is alive; partition 0 lists them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from .._protocol import Lease, Renewal, SessionInfo, inbox_topic
from .._rules import SESSION_KEPT_MS
from ._calls import Call
from ._keys import Keys
from ._lane import Argument
from ._namespace import Namespace, checked
from ._tasks import by_partition

_offers = msgspec.msgpack.Decoder(tuple[str, bytes])


async def begin_session(namespace: Namespace, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
    """See `Store.begin_session`."""
    offer = msgspec.msgpack.encode((group, data))
    again = list(namespace.keys)
    while again:
        calls: list[Call] = []
        for keys in again:
            said: tuple[Argument, ...] = ("1", offer) if keys.partition == 0 else ("0",)
            calls.append(namespace.call("begin_session", keys, (keys.partition, id, ttl_ms, SESSION_KEPT_MS, *said)))
        answers = await namespace.run(calls)
        for _, now_ms, topics in answers:
            namespace.note_time(int(now_ms))
            namespace.touch(topics)
        again = [keys for keys, answer in zip(again, answers, strict=True) if answer[0] == b"1"]


async def end_session(namespace: Namespace, id: str) -> None:  # noqa: A002
    """See `Store.end_session`."""
    again = list(namespace.keys)
    while again:
        answers = await namespace.run([namespace.call("end_session", keys, (keys.partition, id)) for keys in again])
        for _, topics in answers:
            namespace.touch(topics)
        again = [keys for keys, answer in zip(again, answers, strict=True) if answer[0] == b"1"]


async def sessions(namespace: Namespace, group: str) -> list[SessionInfo]:
    """See `Store.sessions`."""
    found = list[SessionInfo]()
    for id_, expires_ms, offer in await namespace.ask("sessions", namespace.keys[0], writes=False):
        if offer:
            of_group, data = _offers.decode(offer)
            if of_group == group:
                found.append(SessionInfo(id_.decode(), group, data, int(expires_ms)))
    return sorted(found, key=lambda each: each.id)


def renew(namespace: Namespace, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
    """See `Store.renew`."""
    held_leases: dict[int, list[int]] = {}
    lost_leases, found_tasks, cancelled = set[int](), set[str](), set[str]()
    for index, lease in enumerate(leases):
        if 0 <= lease.partition < namespace.partitions and lease.session == session:
            held_leases.setdefault(lease.partition, []).append(index)
        else:
            lost_leases.add(index)
    held_tasks = by_partition(namespace, tasks)
    expired = False
    again = list(namespace.keys)
    while again:
        calls = [
            _renewal(namespace, keys, session, ttl_ms, [leases[each] for each in held_leases.get(keys.partition, ())],
                     held_tasks.get(keys.partition, ()))
            for keys in again
        ]  # fmt: skip
        answers = [checked(answer) for answer in namespace.connection.run_blocking(calls)]
        more: list[Keys] = []
        for keys, answer in zip(again, answers, strict=True):
            mine: list[int] = held_leases.get(keys.partition, [])
            ids: list[str] = held_tasks.get(keys.partition, [])
            namespace.note_time(int(answer[1]))
            if answer[0] == b"gone":
                expired = True
                lost_leases.update(mine)
                continue
            expired = expired or answer[2] == b"1"
            if answer[3] == b"1":
                more.append(keys)
            lost_leases |= {mine[int(each) - 1] for each in answer[4]}
            gone = {ids[int(each) - 1] for each in answer[5]}
            found_tasks.update(id_ for id_ in ids if id_ not in gone)
            cancelled |= {ids[int(each) - 1] for each in answer[6]}
        again = more
    return Renewal(
        tuple(lease for index, lease in enumerate(leases) if index in lost_leases),
        tuple(id_ for id_ in tasks if id_ not in found_tasks),
        expired,
        tuple(id_ for id_ in tasks if id_ in cancelled),
    )


def _renewal(
    namespace: Namespace, keys: Keys, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]
) -> Call:
    args: list[Argument] = [session, ttl_ms, len(leases)]
    for lease in leases:
        args += (lease.inbox, lease.epoch)
    return namespace.call("renew", keys, [*args, len(tasks), *tasks])


async def acquire(namespace: Namespace, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
    """See `Store.acquire`."""
    wanted = [namespace.of(partition) for partition in dict.fromkeys(partitions)]
    answers = await namespace.run([namespace.call("acquire", keys, (session, inbox)) for keys in wanted])
    return [Lease(keys.partition, inbox, session, epoch) for keys, epoch in zip(wanted, answers, strict=True) if epoch]


async def release(namespace: Namespace, leases: Sequence[Lease]) -> None:
    """See `Store.release`."""
    known = [lease for lease in leases if 0 <= lease.partition < namespace.partitions]
    topics = [inbox_topic(lease.partition, lease.inbox) for lease in known]
    answers: list[Any] = await namespace.run(
        [
            namespace.call("release", namespace.of(lease.partition), (lease.inbox, lease.session, lease.epoch, topic))
            for lease, topic in zip(known, topics, strict=True)
        ]
    )
    namespace.touch([topic for topic, released in zip(topics, answers, strict=True) if released])


async def holders(namespace: Namespace, inbox: str) -> dict[int, str]:
    """See `Store.holders`."""
    answers = await namespace.run([namespace.call("holder", keys, (inbox,), writes=False) for keys in namespace.keys])
    return {keys.partition: answer.decode() for keys, answer in zip(namespace.keys, answers, strict=True) if answer}


async def last_commits(namespace: Namespace, leases: Sequence[Lease]) -> list[str | None]:
    """See `Store.last_commits`."""
    calls = [
        namespace.call(
            "last_commit", namespace.of(each.partition), (each.inbox, each.session, each.epoch), writes=False
        )
        for each in leases
    ]
    return [None if answer is None else answer.decode() for answer in await namespace.run(calls)]
