"""A story: all that happens to a run from outside, as data. The same story always makes the same execution.

What a story does not tell goes well: activities succeed at once, nobody sends anything, nothing crashes. Values are
payloads, so a story can be written down as JSON text and needs none of the code that made it.
"""

from __future__ import annotations

import builtins
from typing import Any, Literal

import msgspec
from msgspec import structs

from ...codec import default_codec, failure_of
from ...history import null

UNSET = msgspec.UNSET
Ends = Literal["", "refused", "cancelled", "terminated"]
Later = Literal["", "ends", "first", "stops"]
Oddity = Literal["", "twice", "late", "lost"]
How = Literal["", "between", "with"]


class Fate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What becomes of one attempt of an activity: it returns `value` after `takes_ms`, unless another field says otherwise.

    `failure` is what it raises (a built-in exception may be written as its name and message); `always` says that all later
    attempts of the same call do so too. `stuck`: it never answers ("running"), or no worker takes it ("queued"); it ends by a
    time limit then. `odd`: its result comes "twice"; it took effect although its run does not want its result any more and
    hears of it "late"; its worker was "lost" after the effect, and the attempt was made again.

    `ends` is of a child only: its start is "refused" (if it was given an id, which is taken), or it is "cancelled" or "terminated"
    by others after `takes_ms`. `own`: its own code is run, and nothing else is told of it here.

    `later`: its code ends by `complete_later()`, and the holder of its token says `beats` heartbeats and the end, all at equal
    distances within `takes_ms`. It says what the other fields tell ("ends"; nothing any more if it is `stuck`), says so while
    the code still runs ("first"), or that it stopped, which nobody asked for ("stops").
    """

    value: msgspec.Raw | msgspec.UnsetType = UNSET
    failure: dict[str, Any] | list[str] | None = None
    always: bool = False
    stuck: Literal["", "running", "queued"] = ""
    takes_ms: int = 0
    odd: Oddity = ""
    ends: Ends = ""
    own: bool = False
    later: Later = ""
    beats: int = 0


class Arrival(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A signal, an update, a query or, without any name, a cancellation, that arrives after so many things happened by themselves.

    The start is the first of them, then come results and timers; 0 means together with the start. What arrives does not
    count, so that each arrival can be moved or left out by itself. `how` is "" for at once, "between" for half-way to what
    happens next, "with" for in one step with it. `twice`: the same request comes again.
    """

    after: int
    signal: str = ""
    query: str = ""
    update: str = ""
    value: msgspec.Raw = null()
    how: How = ""
    twice: bool = False


class Crash(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The worker of the run dies at step number `step` (0: at each step), and the run is replayed from its history.

    `lost`: before the step is recorded, so that it is made again; else after. `down`: how many more things happen until
    the run is back; it gets them all in one step.
    """

    step: int
    lost: bool = False
    down: int = 0


class Story(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that happens to a run from outside. `str(story)` is JSON text; `Story.read` reads it.

    `activities` has the fates of an activity's attempts in the order in which they begin, `otherwise` what it returns when
    these are used up.
    """

    args: msgspec.Raw
    activities: dict[str, list[Fate]] = {}  # msgspec copies it
    otherwise: dict[str, msgspec.Raw] = {}
    arrivals: list[Arrival] = []
    crashes: list[Crash] = []

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    @staticmethod
    def read(text: str) -> Story:
        """Return the story that `text` tells. Raises `ValueError` if it is none."""
        try:
            return _decoder.decode(text)
        except msgspec.MsgspecError as error:
            raise ValueError(f"this is no story: {error}: {text[:80]!r}") from None

    def shortened(self) -> Story:
        """Return the same story in fewer words: what is told of attempts that only return the usual value is left out."""
        activities: dict[str, list[Fate]] = {}
        otherwise = dict(self.otherwise)
        for name, fates in sorted(self.activities.items()):
            plain = otherwise.get(name)
            if plain is None and fates and (last := fates[-1]) == Fate(value=last.value):
                assert isinstance(last.value, msgspec.Raw)
                plain = otherwise[name] = last.value
            kept = [structs.replace(fate, failure=_in_short(fate.failure)) for fate in fates]
            while kept and plain is not None and kept[-1] == Fate(value=plain):
                kept.pop()
            if kept:
                activities[name] = kept
        return structs.replace(self, activities=activities, otherwise=dict(sorted(otherwise.items())))


_decoder = msgspec.json.Decoder(Story)


def failure_in_full(failure: dict[str, Any] | list[str]) -> dict[str, Any]:
    """Return a failure as a history has it. Raises `ValueError` for a name that is no built-in exception."""
    if isinstance(failure, dict):
        return failure
    cls = getattr(builtins, failure[0], None) if failure else None
    if not isinstance(cls, type) or not issubclass(cls, Exception):
        raise ValueError(f"this is no story: {failure!r} names no built-in exception")
    return failure_of(cls(*failure[1:]), default_codec()).as_wire()


def _in_short(failure: dict[str, Any] | list[str] | None) -> dict[str, Any] | list[str] | None:
    """Return a failure as name and message where these are all that there is to it."""
    if not isinstance(failure, dict) or not str(failure.get("type", "")).startswith("builtins."):
        return failure
    message = str(failure.get("message", ""))
    short = [str(failure["type"]).removeprefix("builtins."), *([message] if message else [])]
    try:
        return short if failure_in_full(short) == failure else failure
    except (ValueError, TypeError):
        return failure
