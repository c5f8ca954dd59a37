"""The chance of a run: the same numbers on every replay, on every Python version.

Python keeps only `Random.random()` stable across versions (docs: "Notes on Reproducibility"); `randint`, `choice` or
`shuffle` have changed before. So each method here is written out on top of `random()`, and pinned by golden numbers.
"""

import random
import uuid
from collections.abc import MutableSequence, Sequence
from itertools import accumulate
from math import cos, exp, log, pi, sqrt
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

_WORD_BITS = 32  # taken from one random(), whose 53 bits hold them exactly


class RunRandom(random.Random):
    """A `random.Random` whose numbers depend on its seed text alone.

    Sequences and whole numbers are exact everywhere. `expovariate`, `gauss` and the like use the machine's `log` and `cos`
    and may differ in the last digit between platforms. What is not offered raises `NotImplementedError`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)

    def getrandbits(self, k: int, /) -> int:
        if k < 0:
            raise ValueError(f"expected a number of bits, got {k!r}")
        value, missing = 0, k
        while missing > 0:
            taken = min(missing, _WORD_BITS)
            value = (value << taken) | (int(self.random() * (1 << _WORD_BITS)) >> (_WORD_BITS - taken))
            missing -= taken
        return value

    def _randbelow(self, n: int) -> int:
        bits = (n - 1).bit_length()
        while True:  # as many bits as n - 1 has, so that fewer than half of the draws are thrown away
            value = self.getrandbits(bits)
            if value < n:
                return value

    def randbytes(self, n: int) -> bytes:
        return self.getrandbits(n * 8).to_bytes(n, "big")

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        if stop is None:
            start, stop = 0, start
        if step == 0:
            raise ValueError("expected a step other than 0")
        count = (stop - start + step - (1 if step > 0 else -1)) // step  # len(range(...)) has a limit, this has none
        if count <= 0:
            raise ValueError(f"expected a range that is not empty, got {range(start, stop, step)!r}")
        return start + step * self._randbelow(count)

    def randint(self, a: int, b: int) -> int:
        return self.randrange(a, b + 1)

    def choice(self, seq: Any) -> Any:
        if not len(seq):
            raise IndexError("cannot choose from an empty sequence")
        return seq[self._randbelow(len(seq))]

    def choices(
        self,
        population: Any,
        weights: Sequence[Any] | None = None,
        *,
        cum_weights: Sequence[Any] | None = None,
        k: int = 1,
    ) -> list[Any]:
        if weights is not None and cum_weights is not None:
            raise TypeError("expected weights or cum_weights, got both")
        if weights is None and cum_weights is None:
            return [self.choice(population) for _ in range(k)]
        bounds = list(cum_weights if cum_weights is not None else accumulate(weights or ()))
        if len(bounds) != len(population):
            raise ValueError(f"expected {len(population)} weights, got {len(bounds)}")
        if not bounds or bounds[-1] <= 0:
            raise ValueError(f"expected weights with a sum over 0, got {weights or cum_weights!r}")
        drawn = [self.random() * bounds[-1] for _ in range(k)]
        return [population[next(i for i, bound in enumerate(bounds) if at < bound)] for at in drawn]

    def shuffle(self, x: MutableSequence[Any]) -> None:
        for i in range(len(x) - 1, 0, -1):
            j = self._randbelow(i + 1)
            x[i], x[j] = x[j], x[i]

    def sample(self, population: Sequence[T], k: int, *, counts: Any = None) -> list[T]:
        if counts is not None:
            population = [one for one, n in zip(population, counts, strict=True) for _ in range(n)]
        if not 0 <= k <= len(population):
            raise ValueError(f"expected a sample of 0 to {len(population)}, got {k!r}")
        moved: dict[int, int] = {}  # the first k steps of a shuffle of the positions, without a list of all of them
        taken: list[T] = []
        for i in range(k):
            j = i + self._randbelow(len(population) - i)
            taken.append(population[moved.get(j, j)])
            moved[j] = moved.get(i, i)
        return taken

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.random()

    def triangular(self, low: float = 0.0, high: float = 1.0, mode: float | None = None) -> float:
        if low == high:
            return low
        u = self.random()
        peak = 0.5 if mode is None else (mode - low) / (high - low)
        if u > peak:
            u, peak, low, high = 1.0 - u, 1.0 - peak, high, low
        return low + (high - low) * sqrt(u * peak)

    def expovariate(self, lambd: float = 1.0) -> float:
        return -log(1.0 - self.random()) / lambd

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        # Two draws each time (Box and Muller); the second result is not kept, so no state hides outside of random().
        radius = sqrt(-2.0 * log(1.0 - self.random()))
        return mu + sigma * radius * cos(2.0 * pi * self.random())

    normalvariate = gauss

    def lognormvariate(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return exp(self.gauss(mu, sigma))

    def seed(self, a: Any = None, version: int = 2) -> None:
        if not isinstance(a, str):
            raise TypeError(
                f"a run's random() is seeded by text, which alone gives the same numbers everywhere; got {a!r}"
            )
        super().seed(a, version=2)

    def _not_offered(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(
            "a run's random() does not offer this distribution: its numbers could change with the Python version; "
            "use durable.side_effect, or build it on .random()"
        )

    betavariate = binomialvariate = gammavariate = paretovariate = vonmisesvariate = weibullvariate = _not_offered


def run_random(seed: str) -> RunRandom:
    """Return the generator of a run: same seed, same numbers. The seed is the run's id, or that of the run it was forked from."""
    return RunRandom(f"durable/1/{seed}")


def reseed(rng: random.Random, seed: str) -> None:
    """Let `rng` go on as the generator of another seed."""
    rng.seed(f"durable/1/{seed}")


def run_uuid4(rng: random.Random) -> uuid.UUID:
    """Return a random UUID (version 4) made of the next numbers of `rng`."""
    return uuid.UUID(int=rng.getrandbits(128), version=4)
