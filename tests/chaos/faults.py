"""What befalls the processes of the soak, and when: drawn from a seed."""

import asyncio
import random
from collections import Counter

from tests.chaos.processes import Cast

_LOST = ("commit", "claim", "complete", "send", "create", "renew", "acquire", "begin_session")
_KINDS = {
    "a worker is killed": 4,
    "a worker is frozen": 3,
    "the server is killed": 2,
    "the server is frozen": 1,
    "connections are cut": 3,
    "connections are half-open": 1,
    "answers are lost": 6,
}


class Faults:
    """Lets one fault follow the other, until it is cancelled."""

    def __init__(self, cast: Cast, seed: int, *, lease_s: float, pause_s: tuple[float, float]) -> None:
        self._cast, self._lease_s, self._pause_s = cast, lease_s, pause_s
        self._chance = random.Random(seed)
        self._frozen: dict[int, asyncio.Task[None]] = {}
        self.counts = Counter[str]()

    async def run(self) -> None:
        """See the class."""
        chance = self._chance
        try:
            while True:
                await asyncio.sleep(chance.uniform(*self._pause_s))
                self._cast.check()
                (kind,) = chance.choices(list(_KINDS), list(_KINDS.values()))
                await self._happen(kind)
                self.counts[kind] += 1
        finally:
            self._cast.server.resume()
            if self._frozen:
                await asyncio.wait(self._frozen.values())

    async def _happen(self, kind: str) -> None:
        chance, cast = self._chance, self._cast
        which = chance.randrange(len(cast.workers))
        match kind:
            case "a worker is killed":
                if which in self._frozen:
                    await self._frozen.pop(which)
                await asyncio.to_thread(cast.kill, which)
            case "a worker is frozen":
                if which in self._frozen:
                    await self._frozen.pop(which)
                away_s = chance.uniform(0.1, 3) * self._lease_s
                self._frozen[which] = asyncio.create_task(cast.freeze(which, away_s))
            case "the server is killed":
                await cast.restart_server(chance.uniform(0, 1.5))
            case "the server is frozen":
                await cast.freeze_server(chance.uniform(0.1, 2) * self._lease_s)
            case "connections are cut":
                cast.tell_cutter("cut")
            case "connections are half-open":
                cast.tell_cutter("silent")
            case _:
                for _ in range(chance.randint(1, 5)):
                    cast.tell_cutter(f"lose {chance.choice(_LOST)}")
                    await asyncio.sleep(0.05)
