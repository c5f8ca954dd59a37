"""What commits depend on."""

from dataclasses import dataclass, field

from .._protocol import Document

Key = tuple[int, str]  # (partition, name of something in it)


@dataclass(slots=True)
class Facts:
    """What the commits depend on: as it is in the file at first, then as it is after each commit that is applied."""

    leases: dict[Key, tuple[str | None, int]] = field(
        default_factory=dict[Key, tuple[str | None, int]]
    )  # (session, epoch) by inbox
    last_commit: dict[Key, str | None] = field(default_factory=dict[Key, str | None])  # by inbox
    lost: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])  # entries to consume that are not there
    heads: dict[Key, int] = field(default_factory=dict[Key, int])  # last number by stream
    turns: bool = False  # whether documents are opened, closed or created; what follows is known only then
    # (name, inbox) of those documents, by id, and which entries there are by (partition, inbox, name).
    documents: dict[Key, tuple[str, str]] = field(default_factory=dict[Key, tuple[str, str]])
    unread: dict[tuple[int, str, str], set[int]] = field(default_factory=dict[tuple[int, str, str], set[int]])
    consumed: dict[Key, set[int]] = field(default_factory=dict[Key, set[int]])  # by inbox
    # Of the names of documents that are created: when the latest was; and of their entries, by id: (inbox, number).
    latest: dict[Key, Document] = field(default_factory=dict[Key, Document])
    entries: dict[Key, tuple[str, int]] = field(default_factory=dict[Key, tuple[str, int]])
    pending: int = 0  # how many entries come with new documents; they are numbered -1, -2 ... until they are written
    open_id: dict[Key, str | None] = field(default_factory=dict[Key, str | None])  # ids of open documents by name
