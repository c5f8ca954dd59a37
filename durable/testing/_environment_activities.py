"""The activities of a `TestEnvironment`: each is wrapped, so that its calls are recorded and it can be faked."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from .._clock import Clock
from .._runtime.options import ActivityOptions
from ..author import Activity, activity_info, collect_activities
from ..codec import Codec, untyped_signature
from ..errors import CodecError, InvalidCallError, StuckTestError
from ._environment_time import TimeKeeper
from ._fakes import Call, Fake, Outcome, bound_arguments, encoded


class StandIns:
    """All activities that the environment knows, by name, with the fakes that are in force and the calls that were made."""

    def __init__(self, activities: Iterable[Any], codec: Codec, clock: Clock, *, threads: bool) -> None:
        self._codec, self._clock, self._threads = codec, clock, threads
        self.originals: dict[str, Activity[..., Any]] = {}
        self.made: dict[str, Activity[..., Any]] = {}
        self.calls: list[Call] = []
        self.problem: StuckTestError | None = None  # what is wrong with the test, as a fake found it
        self.keeper: TimeKeeper | None = None
        self.on_new: Callable[[Activity[..., Any]], None] = lambda _activity: None
        self._real: set[str] = set()  # those that were registered, and can do without a fake
        self._fakes: dict[str, list[Fake]] = {}
        for item in activities:
            for found in collect_activities(item):
                self._real.add(found.name)
                self.originals[found.name] = found
                self.made[found.name] = self._stand_in(found)

    def resolve(self, item: Activity[..., Any] | str) -> Activity[..., Any]:
        """Return the activity that is meant. Raises `InvalidCallError` for what is none."""
        if isinstance(item, str):
            return self.originals.get(item) or _unseen(item)
        if isinstance(item, Activity):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            return self.originals.get(item.name, item)
        raise InvalidCallError(f"expected an activity or its name, got {item!r}")

    def add(self, fake: Fake) -> None:
        """Put `fake` in force. An activity that was not known is, from now on."""
        activity = fake.activity
        self._fakes.setdefault(activity.name, []).append(fake)
        if activity.name not in self.made:
            self.originals[activity.name] = activity
            made = self.made[activity.name] = self._stand_in(activity)
            self.on_new(made)

    def remove(self, fake: Fake) -> None:
        """Take `fake` out of force."""
        fakes = self._fakes.get(fake.activity.name, [])
        if fake in fakes:
            fakes.remove(fake)

    def _stand_in(self, activity: Activity[..., Any]) -> Activity[..., Any]:
        async def stand_in(*args: Any, **kwargs: Any) -> Any:
            return await self._perform(activity, args, kwargs)

        functools.update_wrapper(stand_in, activity.fn)
        made: Activity[..., Any] = Activity(stand_in, activity.name, "async", activity.options)
        made.signature = activity.signature
        return made

    async def _perform(self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        info, bound = activity_info(), bound_arguments(activity, args, kwargs)
        call = Call(
            activity=activity.name, args=args, kwargs=kwargs, arguments=dict(bound.arguments), attempt=info.attempt,
            at=datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC), workflow_id=info.workflow_id,
            run_id=info.run_id, idempotency_key=info.idempotency_key, token=info.token,
        )  # fmt: skip
        self.calls.append(call)
        fakes = self._fakes.get(activity.name)
        if fakes:
            return await self._fake(fakes[-1], call, bound)
        if activity.name not in self._real:
            await self._refuse(
                f"activity {activity.name!r} was called after its fake ended, and it is not in `activities`"
            )
        with self._busy(activity.name):
            if activity.mode == "async":
                return await activity.fn(*args, **kwargs)
            if self._threads:
                return await asyncio.to_thread(activity.fn, *args, **kwargs)
            return activity.fn(*args, **kwargs)

    async def _fake(self, fake: Fake, call: Call, bound: inspect.BoundArguments) -> Any:
        fake.calls.append(call)
        outcome = Outcome()
        try:
            outcome = fake.outcome()
        except AssertionError as error:
            await self._refuse(str(error))
        if fake.takes_s:
            await self._clock.sleep(fake.takes_s)
        if outcome.error is not None:
            raise outcome.error
        value = outcome.value
        if outcome.function is not None:
            with self._busy(call.activity):
                value = outcome.function(*bound.args, **bound.kwargs)
                if inspect.isawaitable(value):
                    value = await value
            try:
                encoded(fake.activity, self._codec, value)
            except CodecError as error:
                await self._refuse(str(error))
        return value

    async def _refuse(self, problem: str) -> None:
        """The test is wrong: its next wait says so. The activity does not end, so that no retry or handler hides it."""
        self.problem = self.problem or StuckTestError(problem)
        if self.keeper is not None:
            await asyncio.get_running_loop().create_future()
        raise self.problem

    def _busy(self, name: str) -> Any:
        return nullcontext() if self.keeper is None else self.keeper.busy(name)


def _unseen(name: str) -> Activity[..., Any]:
    """Return an activity that is known by its name only."""

    async def elsewhere(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError(f"activity {name!r} lives elsewhere")

    made: Activity[..., Any] = Activity(elsewhere, name, "async", ActivityOptions())
    untyped: Any = untyped_signature()
    made.signature = untyped
    return made
