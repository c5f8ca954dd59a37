"""Messages: the entries of an inbox. Each is something that happened, on its way into a history.

The entry's name is the workflow id. `run_id` is None where the sender means the open run, whichever that is.
"""

from typing import Literal

import msgspec

from ..errors import DamagedRecordError
from ..history import UNREADABLE, AttributeValue, CarriedSignal, FailureData, Origin, Parent
from ..stores import Entry


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    """Something for a run. `request` is the id of the call or fact behind it: a repeat is dropped."""

    run_id: str | None = None


class Fork(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a new run begins with: the history of `origin`, which is in `partition`, up to its event."""

    origin: Origin
    partition: int


class StartRun(Message, frozen=True, kw_only=True):
    """A run was created and is to take its first step. For the fields see `RunStarted`.

    `deadline_ms` is given where the chain goes on; in its first run it follows from `execution_timeout_ms`. `cancel` is a
    cancellation that the run before did not see any more.
    """

    workflow: str
    queue: str
    args: msgspec.Raw
    request: str
    timeout_ms: int | None = None
    parent: Parent | None = None
    version: str = ""
    pinned: bool = False
    attributes: dict[str, AttributeValue] = {}
    memo: dict[str, msgspec.Raw] = {}
    headers: dict[str, str] | None = None
    fork: Fork | None = None
    first_run_id: str = ""
    continued_from: str = ""
    execution_timeout_ms: int | None = None
    deadline_ms: int | None = None
    signals: tuple[CarriedSignal, ...] = ()
    requests: tuple[str, ...] = ()
    updates: dict[str, str] = {}
    cancel: "RequestCancel | None" = None


class SendSignal(Message, frozen=True, kw_only=True):
    """A signal for the open run."""

    name: str
    value: msgspec.Raw
    request: str
    headers: dict[str, str] | None = None


class SendUpdate(Message, frozen=True, kw_only=True):
    """An update for the open run, of the id `update`: a repeat is dropped.

    Under the reply id `reply`, a `QueryReply` says whether it was accepted: its result is an `Acceptance`, its failure why not.
    """

    name: str
    value: msgspec.Raw
    update: str
    reply: str
    headers: dict[str, str] | None = None


class RequestCancel(Message, frozen=True, kw_only=True):
    """The run is asked to cancel."""

    request: str
    reason: str = ""


class Terminate(Message, frozen=True, kw_only=True):
    """The run is to end at once; its code is not asked."""

    request: str
    reason: str = ""


class AskQuery(Message, frozen=True, kw_only=True):
    """A question to the run's code. The answer is a `QueryReply` under the reply id `reply`; the history has no trace of it."""

    name: str
    args: msgspec.Raw
    reply: str
    headers: dict[str, str] | None = None


HANDLERS_QUERY = "__durable_handlers__"
"""The query that every run answers: which names of signals, queries and updates it knows, by kind."""


class RetryRun(Message, frozen=True, kw_only=True):
    """A failed run is to go on at the point of failure. Answered by a `QueryReply` under `reply`."""

    request: str
    reply: str


class ActivityEnded(Message, frozen=True, kw_only=True):
    """The code of an attempt of activity `id` ended: with `result`, with `failure`, or as `how` says.

    "cancelled": it was told to stop, and did. "deferred": whoever holds its token will report the end; `started_ms` is when
    the attempt began. `timeout` is "attempt" or "heartbeat" if that is why it failed; `details` is what it last said by
    `heartbeat`. `by_token`: it is the holder of its token who says this, not the worker that ran it.
    """

    id: int
    attempt: int
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    failure: FailureData | None = None
    timeout: str = ""
    details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # not `| None`: msgspec reads such a Raw as None only
    how: Literal["", "cancelled", "deferred"] = ""
    started_ms: int = 0
    by_token: bool = False


class ActivityBeat(Message, frozen=True, kw_only=True):
    """The holder of the token of an attempt says that it is alive, and perhaps how far it is."""

    id: int
    attempt: int
    details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ChildEnded(Message, frozen=True, kw_only=True):
    """A child of the run ended: with `result`, or with `failure`. Its start was command `id`, issued after reopening `reopened`.

    `status` says how it ended, `child_run` is the id of its first run: it may have continued as new.
    """

    id: int
    child_run: str
    status: str
    reopened: int = 0
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    failure: FailureData | None = None


class QueryReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to an `AskQuery`, a `RetryRun` or a `SendUpdate`: a result, or why there is none."""

    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    failure: FailureData | None = None


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An update was accepted by run `run_id`, as event number `seq` of its history, or some time before (0)."""

    run_id: str
    seq: int = 0


_AnyMessage = (
    StartRun
    | SendSignal
    | SendUpdate
    | RequestCancel
    | Terminate
    | AskQuery
    | RetryRun
    | ActivityEnded
    | ActivityBeat
    | ChildEnded
)
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage)
_reply_decoder = msgspec.json.Decoder(QueryReply)
_acceptance_decoder = msgspec.json.Decoder(Acceptance)


def message_entry(entry_id: str, workflow_id: str, message: Message) -> Entry:
    """Return `message` as an entry for the inbox of `workflow_id`."""
    return Entry(entry_id, workflow_id, _encoder.encode(message))


def read_message(data: bytes) -> Message:
    """Return the message in an entry. Raises `DamagedRecordError`."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"an inbox entry of {len(data)} bytes cannot be read: {error}") from None


def write_reply(reply: QueryReply) -> bytes:
    """Return `reply` as bytes for the store."""
    return _encoder.encode(reply)


def read_reply(data: bytes) -> QueryReply:
    """Return the reply in `data`. Raises `DamagedRecordError`."""
    try:
        return _reply_decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"a reply cannot be read: {error}") from None


def ended_entry_id(run_id: str, command: int, attempt: int) -> str:
    """Return the id of the entry that reports an attempt's end: one per attempt, so that a repeat is dropped."""
    return f"{run_id}/{command}/{attempt}/ended"


def accepted_reply(run_id: str, seq: int = 0) -> QueryReply:
    """Return the answer to a `SendUpdate` that was accepted. See `Acceptance`."""
    return QueryReply(result=msgspec.Raw(_encoder.encode(Acceptance(run_id=run_id, seq=seq))))


def read_acceptance(reply: QueryReply) -> Acceptance:
    """Return what `accepted_reply` wrote. Raises `DamagedRecordError`."""
    try:
        return _acceptance_decoder.decode(reply.result or b"")
    except UNREADABLE as error:
        raise DamagedRecordError(f"the answer to an update cannot be read: {error}") from None


def update_reply_id(run_id: str, update: str) -> str:
    """Return the reply id under which the end of an update is announced. The announcement holds nothing: the history does."""
    return f"{run_id}/update/{update}"


def ended_entry(workflow_id: str, ended: ActivityEnded) -> Entry:
    """Return the entry that reports `ended`. That an attempt is left to others is not its end, and must not take its place."""
    entry_id = ended_entry_id(ended.run_id or "", ended.id, ended.attempt)
    return message_entry(f"{entry_id}/deferred" if ended.how == "deferred" else entry_id, workflow_id, ended)
