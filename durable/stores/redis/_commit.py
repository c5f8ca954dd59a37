"""Commits: one call of one script each, on the keys of one partition."""

from collections.abc import Sequence
from typing import Any

from ...errors import NameTakenError, StaleLeaseError, StoreError, UnreadMessagesError, WrongSequenceError
from .._protocol import Commit, document_topic, inbox_topic, reply_topic, tasks_topic
from .._rules import lost_commit, lost_entry
from ._calls import Call
from ._documents import written_new, written_update
from ._keys import Keys
from ._lane import Argument
from ._namespace import Namespace, refuse_answer
from ._streams import written_out
from ._tasks import written_task

_PLACES_MAX = 100_000  # remembered partitions of tasks; one that is forgotten is looked for everywhere


async def commit(namespace: Namespace, commits: Sequence[Commit]) -> list[Exception | None]:
    """See `Store.commit`. Those of one partition go one after the other, those of several in one round trip."""
    answers: list[Exception | None] = [None] * len(commits)
    waves: list[list[int]] = []
    depth: dict[int, int] = {}
    for index, each in enumerate(commits):
        partition = each.lease.partition
        if not 0 <= partition < namespace.partitions:
            answers[index] = _stale(each)
            continue
        level = depth[partition] = depth.get(partition, -1) + 1
        if level == len(waves):
            waves.append([])
        waves[level].append(index)
    for wave in waves:
        topics = [_topics(commits[index]) for index in wave]
        calls = [_call(namespace, commits[index], touched) for index, touched in zip(wave, topics, strict=True)]
        again: StoreError | None = None
        for index, touched, answer in zip(wave, topics, await namespace.connection.run(calls), strict=True):
            if isinstance(answer, StoreError) and answer.retryable:
                again = answer
            elif isinstance(answer, Exception):
                answers[index] = answer
            else:
                answers[index] = _answer(commits[index], answer)
                if answers[index] is None:
                    _applied(namespace, commits[index], touched)
        if again is not None:
            raise again  # all are sent again then, and those that were applied are answered as the first time
    return answers


def _applied(namespace: Namespace, commit: Commit, topics: Sequence[str]) -> None:
    places = namespace.places
    for id_ in commit.tasks_removed:
        places.pop(id_, None)
    for task in commit.tasks:
        if task.claimed_by is not None:
            places[task.id] = commit.lease.partition
    if len(places) > _PLACES_MAX:
        places.clear()
    namespace.touch(topics)


def _topics(commit: Commit) -> list[str]:
    """Return what a commit touches."""
    topics = [document_topic(update.id) for update in commit.documents]
    topics += [inbox_topic(commit.lease.partition, document.inbox) for document, _ in commit.created]
    topics += [tasks_topic(task.queue) for task in commit.tasks if task.claimed_by is None]
    topics += [reply_topic(reply.id) for reply in commit.replies]
    topics += [document_topic(id_) for id_, _ in commit.forgotten]
    return list(dict.fromkeys(topics)) if len(topics) > 1 else topics


def _call(namespace: Namespace, commit: Commit, topics: Sequence[str]) -> Call:
    lease = commit.lease
    keys = namespace.of(lease.partition)
    args: list[Argument] = [lease.inbox, lease.session, lease.epoch, commit.id]
    args.append("" if commit.follows is None else f"={commit.follows}")
    args += commit.newest or ("", "")
    args.append(len(commit.appends))
    for append in commit.appends:
        args += (append.expected, len(append.records))
        args += append.records
    _add_documents(args, commit)
    _add_lists(args, commit)
    args.append(len(topics))
    args += topics
    return namespace.call("commit", keys, args, keys=_keys(keys, commit))


def _keys(keys: Keys, commit: Commit) -> list[bytes]:
    found = list(keys.of_inbox(commit.lease.inbox))
    found += [keys.history(append.stream) for append in commit.appends]
    found += [keys.inbox(document.inbox) for document, _ in commit.created]
    found += [keys.history(id_) for id_, _ in commit.forgotten]
    return found


def _add_documents(args: list[Argument], commit: Commit) -> None:
    args.append(len(commit.consumed))
    args += commit.consumed
    args.append(len(commit.documents))
    for update in commit.documents:
        args += written_update(update)
    args.append(len(commit.created))
    for document, entry in commit.created:
        args += written_new(document)
        args += (entry.id, entry.name, entry.data)


def _add_lists(args: list[Argument], commit: Commit) -> None:
    for ids in (commit.tasks_removed, commit.dues_removed, commit.relayed):
        args.append(len(ids))
        args += ids
    args.append(len(commit.tasks))
    for task in commit.tasks:
        args += written_task(task)
    args.append(len(commit.tasks_cancelled))
    args += commit.tasks_cancelled
    args.append(len(commit.dues))
    for due in commit.dues:
        args += (due.key, due.due_ms, due.data)
    args.append(len(commit.outgoing))
    for out in commit.outgoing:
        args += (out.id, written_out(out))
    args.append(len(commit.replies))
    for reply in commit.replies:
        args += (reply.id, reply.ttl_ms, reply.data)
    args.append(len(commit.forgotten))
    for id_, closed_ms in commit.forgotten:
        args += (id_, str(closed_ms))


def _stale(commit: Commit) -> StaleLeaseError:
    lease = commit.lease
    return StaleLeaseError(
        f"session {lease.session!r} does not hold epoch {lease.epoch} of {lease.inbox!r} in partition {lease.partition}"
    )


def _answer(commit: Commit, answer: Any) -> Exception | None:
    match answer[0]:
        case b"applied":
            return None
        case b"stale":
            return _stale(commit)
        case b"lost commit":
            return lost_commit(commit, answer[1].decode())
        case b"lost entry":
            return lost_entry(commit)
        case b"position":
            append = commit.appends[int(answer[1]) - 1]
            return WrongSequenceError(f"stream {append.stream!r} holds {answer[2]} records, expected {append.expected}")
        case b"unread":
            name = answer[1].decode()
            return UnreadMessagesError(f"the inbox holds {answer[2]} unread entries for {name!r}", names=(name,))
        case b"taken":
            return NameTakenError(f"another open document has the name {answer[1].decode()!r}")
        case b"id":
            return NameTakenError(f"another document has the id {answer[1].decode()!r}")
        case _:
            return refuse_answer("commit", answer)
