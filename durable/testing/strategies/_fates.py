"""What a story tells of activities and children, handed out to the attempts of all its runs in the order in which they begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from ..._log import ActivityTask
from ..._runtime.options import ActivityCall, ActivityOptions
from ...codec import Codec, untyped_signature
from ...history import to_raw
from ._execution import Call
from ._outcomes import Outcomes, is_computed
from ._story import UNSET, Fate, Story

Fresh = Callable[[ActivityCall], tuple[list[Fate], "msgspec.Raw | None"]]
"""Draws the fates of an activity that was not known before the run asked for it, and what it returns after them."""


class Fates:
    """The fates of a story. `own` are the children whose code is run where the story tells nothing else."""

    def __init__(
        self,
        story: Story,
        codec: Codec,
        *,
        known: Mapping[str, ActivityCall],
        outcomes: Mapping[str, Outcomes],
        fresh: Fresh | None,
        own: Collection[str] = (),
    ) -> None:
        self._codec, self._outcomes, self._fresh, self._own = codec, outcomes, fresh, own
        self._known = dict(known)
        self._fates = {name: deque(fates) for name, fates in story.activities.items()}
        self._otherwise: dict[str, msgspec.Raw] = dict(story.otherwise)
        self._used: dict[str, list[Fate]] = {}
        self._used_otherwise: dict[str, msgspec.Raw] = {}

    def learn(self, name: str, call: ActivityCall) -> None:
        """A run asked for an activity by this call."""
        self._known[name] = call

    def signature(self, name: str) -> Any:
        """Return the signature of an activity or child, as far as it is known."""
        call = self._known.get(name)
        return call.signature if call is not None else untyped_signature()

    def next(self, task: ActivityTask, record: Call, limits: Sequence[str]) -> Fate:
        """Return what becomes of the next attempt, with its value; it is written down as used."""
        name = task.activity
        if name not in self._fates:
            fates, otherwise = self._met(name)
            self._fates[name] = deque(fates)
            if otherwise is not None:
                self._otherwise.setdefault(name, otherwise)
        left = self._fates[name]
        if not left and name in self._own:
            left.append(Fate(own=True))
        if not left and not self._is_computed(name):
            raw = self._used_otherwise[name] = self._usual(name, record)
            return Fate(value=raw)
        fate = left.popleft() if left else Fate()
        if fate.stuck and not _can_hang(fate, task, limits):
            fate = structs.replace(fate, stuck="", always=False)
        if not fate.own and fate.failure is None and fate.value is UNSET and (not fate.stuck or fate.odd == "late"):
            fate = structs.replace(fate, value=self._usual(name, record))
        self._used.setdefault(name, []).append(fate)
        return fate

    def _met(self, name: str) -> tuple[list[Fate], msgspec.Raw | None]:
        if self._fresh is None or name in self._otherwise or name in self._own:
            return [], None
        call = self._known.get(name) or ActivityCall(name, untyped_signature(), ActivityOptions())
        return self._fresh(call)

    def _is_computed(self, name: str) -> bool:
        given = self._outcomes.get(name)
        return given is not None and is_computed(given.returns)

    def _usual(self, name: str, record: Call) -> msgspec.Raw:
        """Return what the activity returns where nothing else is said."""
        if self._is_computed(name):
            value = self._outcomes[name].returns(*record.args, **record.kwargs)
            what = f"the result of activity {name}"
            return to_raw(self.signature(name).encode_result(self._codec, value, what=what))
        if name not in self._otherwise:
            raise ValueError(
                f"the story does not tell what activity {name!r} returns; the code was changed since, "
                f"so draw anew, or pass activities={{{name}: outcomes(returns=lambda *args: ...)}}"
            )
        return self._otherwise[name]

    def told(self, story: Story) -> Story:
        """Return `story` with what was used of it, and what was found out on the way."""
        return structs.replace(story, activities=self._used, otherwise=self._used_otherwise)


def _can_hang(fate: Fate, task: ActivityTask, limits: Sequence[str]) -> bool:
    """Return whether a time limit ends an attempt that does not end by itself."""
    if fate.stuck == "queued":
        return bool(limits)
    return task.timeout_ms is not None or task.heartbeat_timeout_ms is not None or "total" in limits
