"""Requests that a run's worker answers: sent to the run, open or closed, and waited for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from .._ids import queue_of
from .._log import HANDLERS_QUERY, AskQuery, QueryReply, RetryRun, read_run
from ..codec import Failure, exception_of, untyped_signature
from ..errors import DurableError, RequestFailedError, RequestTimeoutError, RunClosedError
from ..history import to_raw
from ..stores import Document
from ._description import needed_workflow
from ._line import Line

_HANDLERS_S = 1.0  # a worker that is there answers at once; whoever asks has waited in vain already


class Handlers(msgspec.Struct, frozen=True):
    """The names that a run takes messages for, by kind; "*" stands for a dynamic handler, which takes any."""

    signals: list[str]
    queries: list[str]
    updates: list[str]


_handlers_decoder = msgspec.json.Decoder(Handlers)


async def ask(
    line: Line,
    what: str,
    message: AskQuery | RetryRun,
    document: Document,
    timeout_s: float,
    raises: Sequence[type[BaseException]],
) -> QueryReply:
    """Send `message`, whose answer comes under its `reply`, to the run of `document` and return the answer.

    A run that has continued as new meanwhile does not answer for the one that is current: that is asked then. Raises
    `RequestTimeoutError` if no answer comes, `RequestFailedError` if it is a failure; its cause may be one of `raises`.
    """
    ends_s = line.clock.monotonic() + timeout_s
    while True:
        await line.send(message, f"ask/{message.reply}", run_id=document.id, closed_too=True)
        answer = await line.reply(message.reply, max(0.0, ends_s - line.clock.monotonic()))
        if answer is None:
            raise RequestTimeoutError(f"no worker answered {what} within {timeout_s:g} s; {is_one_running(document)}")
        if answer.failure is None:
            return answer
        failure = Failure.from_wire(answer.failure)
        cause = exception_of(failure, raises, line.codec)
        if isinstance(cause, RunClosedError):
            current = await line.follow(await line.document(document.id))
            if current.id != document.id:
                document, message = current, replace(message, reply=line.clock.new_id())
                continue
        raise RequestFailedError(f"{what} failed: {failure.message}") from cause


async def handlers_of(line: Line, document: Document) -> Handlers | None:
    """Return what the run takes messages for, or None if nobody answers."""
    nothing, reply_id = untyped_signature().encode_call(line.codec, (), {}, what="query"), line.clock.new_id()
    message = AskQuery(run_id=document.id, name=HANDLERS_QUERY, args=to_raw(nothing), reply=reply_id)
    with contextlib.suppress(DurableError, msgspec.MsgspecError):
        answer = await ask(line, "the question for its handlers", message, document, _HANDLERS_S, ())
        if answer.result is not msgspec.UNSET:
            return _handlers_decoder.decode(answer.result)
    return None


def is_one_running(document: Document) -> str:
    """Return the question that whoever got no answer should look into."""
    return f"is one running for {needed_workflow(read_run(document))} on task queue {queue_of(document.inbox)!r}?"
