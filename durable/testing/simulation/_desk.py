"""Those outside who end what activities leave to them: each token that comes to the desk is somebody's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random

from ..._log import read_token
from ..._runtime.entropy import run_random
from ...client import ActivityHandle, Client
from ...errors import AttemptCancelledError, AttemptOverError, InvalidTokenError, RunNotFoundError
from ._activities import give
from ._insisting import insist
from ._runs import RunModel

_LOOK_S = 5.0  # whether everybody else has done their part


class Desk:
    """Where tokens come. What is done about one is drawn from it, so that it is the same when it is done again."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._tokens: dict[str, tuple[int, bool]] = {}
        self._came = asyncio.Event()
        self._told_cancelled: set[str] = set()
        self._forgotten = False

    async def hand(self, token: str, n: int, patient: bool) -> None:
        """See `Outside`. An attempt may come more than once, if its worker dies."""
        self._tokens.setdefault(token, (n, patient))
        self._came.set()

    def went_back(self) -> None:
        """The store may have forgotten what tokens are about."""
        self._forgotten = True

    async def serve(self, clients: Sequence[Client], is_over: Callable[[], bool]) -> None:
        """End what comes, and what had come before, until everything is over."""
        begun, working = set[str](), set[asyncio.Task[None]]()
        try:
            while working or not is_over():
                for token, (n, patient) in list(self._tokens.items()):
                    if token not in begun:
                        begun.add(token)
                        work = self._end(token, n, patient, clients, run_random(f"{self._salt}/{token}"))
                        working.add(asyncio.create_task(work))
                self._came.clear()
                waiting = asyncio.create_task(self._came.wait())
                done, _ = await asyncio.wait([*working, waiting], timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                for task in [task for task in working if task in done]:
                    working.remove(task)
                    await task  # what went wrong there, went wrong here
        finally:
            for task in working:
                task.cancel()

    def check(self, runs: Mapping[str, RunModel], broken: Callable[[str, str], None]) -> None:
        """Nobody was told of a cancellation that no history knows."""
        for text in sorted(self._told_cancelled):
            token = read_token(text)
            run = runs.get(token.run_id)
            if run is None or token.id not in run.stopping:
                broken("7 acknowledged", f"{token.what} was said to be cancelled, and its history does not say so")

    async def _end(self, token: str, n: int, patient: bool, clients: Sequence[Client], chance: Random) -> None:
        draw = chance.random
        client = chance.choice(clients)
        handle = client.activity(token, activity=give) if draw() < 0.5 else client.activity(token)
        await asyncio.sleep(8 * draw() ** 2)
        fate = draw() if handle.attempt == 1 and not patient else 0.1 + 0.75 * draw()
        try:
            if fate < 0.1:
                return  # lost: its time will be up
            if fate < 0.4:
                await insist(lambda: handle.heartbeat(n))
                await asyncio.sleep(2 * draw())
            if fate > 0.85:
                await insist(lambda: handle.fail("not yet"))
                return
            await self._complete(handle, n, clients, chance)
        except AttemptCancelledError:
            self._told_cancelled.add(token)
            await self._stop(handle)
        except (AttemptOverError, RunNotFoundError):
            return  # nobody waits for it, or it is of a run that the store has forgotten
        except InvalidTokenError:
            if not self._forgotten:
                raise  # else it is of a time that the store has forgotten

    async def _complete(self, handle: ActivityHandle[int], n: int, clients: Sequence[Client], chance: Random) -> None:
        """Complete it, sometimes from two places at once; who says something else afterwards is too late."""
        again = chance.choice(clients).activity(handle.token)
        twice = [again] if chance.random() < 0.3 else []
        await asyncio.gather(*(insist(lambda h=each: h.complete(3 * n)) for each in [handle, *twice]))  # type: ignore[misc]
        if chance.random() < 0.3:
            await insist(lambda: again.fail("too late"))

    async def _stop(self, handle: ActivityHandle[int]) -> None:
        try:
            await insist(handle.cancel)
        except (AttemptOverError, RunNotFoundError):
            return
