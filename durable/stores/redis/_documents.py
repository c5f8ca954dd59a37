"""Documents and what is sent to them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ...errors import NameTakenError, RunClosedError, RunNotFoundError
from .._attributes import AttributeValue
from .._protocol import Document, DocumentUpdate, Entry, inbox_topic
from ._lane import Argument
from ._namespace import Namespace, refuse_answer

_heads = msgspec.msgpack.Decoder(list[str | int])
_attributes = msgspec.msgpack.Decoder(dict[str, str])


def written_value(value: AttributeValue | None) -> str:
    """Return an attribute as it is kept; "" stands for none."""
    return "" if value is None else json.dumps(value)


def written_new(document: Document) -> list[Argument]:
    """Return the arguments that `take_new` takes."""
    attributes = {name: written_value(value) for name, value in document.attributes.items()}
    return [
        document.id,
        document.name,
        document.inbox,
        document.request,
        document.kind,
        document.state,
        str(document.created_ms),
        document.note,
        "" if document.closed_ms is None else str(document.closed_ms),
        document.body,
        msgspec.msgpack.encode(attributes) if attributes else b"",
    ]


def written_update(update: DocumentUpdate) -> list[Argument]:
    """Return the arguments that `look_at_update` takes."""
    changes, values = "o" * update.opens + "c" * update.closes, list[Argument]()
    for letter, value in (("s", update.state), ("n", update.note), ("b", update.body)):
        if value is not None:
            changes += letter
            values.append(value)
    if update.closed_ms is not None:
        changes += "m"
        values.append(str(update.closed_ms))
    if update.attributes:
        changes += "a"
        values.append(len(update.attributes))
        for name, attribute in update.attributes.items():
            values += (name, written_value(attribute))
    return [update.id, changes, *values]


def read_attributes(packed: bytes | None) -> Mapping[str, AttributeValue]:
    """Return the attributes that a script answered with."""
    if not packed:
        return {}
    found = {name: json.loads(text) for name, text in _attributes.decode(packed).items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def read_document(answer: Sequence[bytes]) -> Document:
    """Return the document that a script answered with."""
    id_, head, body, attributes = answer
    name, inbox, request, kind, state, created_ms, is_open, note, closed_ms = cast("Any", _heads.decode(head))
    return Document(
        id_.decode(), name, inbox, request, kind, state, int(created_ms), body or b"", bool(is_open), note,
        int(closed_ms) if closed_ms else None, read_attributes(attributes),
    )  # fmt: skip


async def create(
    namespace: Namespace, partition: int, document: Document, entries: Sequence[Entry], latest: str | None
) -> Document:
    """See `Store.create`."""
    keys = namespace.of(partition)
    topic = inbox_topic(partition, document.inbox)
    args = [*written_new(document), *(("0", "") if latest is None else ("1", latest)), *written_entries(entries), topic]
    answer = await namespace.ask("create", keys, args, keys=[keys.inbox(document.inbox)])
    match answer[0]:
        case b"made" | b"known":
            if answer[0] == b"made":
                namespace.touch([topic])
            return read_document(answer[1])
        case b"open":
            raise NameTakenError(f"the document {answer[1].decode()!r} is open and has the name {document.name!r}")
        case b"id":
            raise NameTakenError(f"another document has the id {document.id!r}")
        case b"latest":
            there = f"{answer[1].decode()!r}" if answer[1] else "none"
            raise NameTakenError(
                f"the latest document named {document.name!r} is {there}, expected {latest!r}"
                if latest
                else f"the latest document named {document.name!r} is {there}, expected none"
            )
        case _:
            raise refuse_answer("create", answer)


def written_entries(entries: Sequence[Entry]) -> list[Argument]:
    """Return their count, and the parts of each."""
    flat: list[Argument] = [len(entries)]
    for entry in entries:
        flat += (entry.id, entry.name, entry.data)
    return flat


async def send(
    namespace: Namespace,
    partition: int,
    entry: Entry,
    *,
    id: str | None,  # noqa: A002
    closed_too: bool,
    inbox: str,
) -> Document:
    """See `Store.send`. `inbox` is where the document is thought to take its entries."""
    keys = namespace.of(partition)
    while True:
        topic = inbox_topic(partition, inbox)
        args = (id or "", "1" if closed_too else "0", inbox, entry.id, entry.name, entry.data, topic)
        answer = await namespace.ask("send", keys, args, keys=[keys.inbox(inbox)])
        match answer[0]:
            case b"sent":
                namespace.touch([topic])
                return read_document(answer[1])
            case b"inbox":  # a document keeps its inbox for life, so this ends
                inbox = answer[1].decode()
            case b"none":
                raise RunNotFoundError(
                    f"no document named {entry.name!r}" + (f" with the id {id!r}" if id is not None else "")
                )
            case b"closed":
                raise RunClosedError(f"the document {answer[1].decode()!r} named {entry.name!r} is closed")
            case _:
                raise refuse_answer("send", answer)


async def find(namespace: Namespace, partition: int, by: str, value: str) -> Document | None:
    """See `Store.document`."""
    answer = await namespace.ask("document", namespace.of(partition), (by, value), writes=False)
    return read_document(answer) if answer else None


async def read_closed(
    namespace: Namespace, partition: int, before_ms: int, after: tuple[int, str], limit: int
) -> list[Document]:
    """See `Store.read_closed`."""
    keys = namespace.of(partition)
    if limit <= 0:
        return []
    args = (before_ms, *after, limit)
    return [read_document(each) for each in await namespace.ask("read_closed", keys, args, writes=False)]
