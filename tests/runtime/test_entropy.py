"""A run's chance is fixed by its id, and by nothing else: golden numbers, the same on every Python."""

import random
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable._runtime.entropy import RunRandom, run_random, run_uuid4


def test_numbers_are_those_of_the_first_version() -> None:
    """These must never change: histories in the field depend on them."""
    rng = run_random("01hx")
    assert rng.random() == 0.6095722576346476
    assert rng.getrandbits(70) == 18626912080165893131
    assert rng.randint(1, 6) == 6
    assert rng.choice("abcdef") == "f"
    assert rng.sample(range(100), 4) == [94, 28, 42, 87]
    assert rng.randbytes(5).hex() == "2231cb71d1"
    assert rng.choices("abc", [1, 2, 3], k=5) == ["c", "b", "b", "a", "c"]
    assert rng.uniform(1, 2) == 1.2829226480545362
    assert rng.triangular() == pytest.approx(0.7490672172103263)
    assert run_uuid4(rng) == uuid.UUID("f2b9b3d1-d7f1-4236-a4aa-3d070e8bba73")
    items = list(range(8))
    rng.shuffle(items)
    assert items == [7, 4, 2, 3, 1, 5, 6, 0]
    assert rng.randrange(5, 50, 5) == 5
    assert [rng.gauss(), rng.expovariate(2), rng.lognormvariate()] == pytest.approx(
        [-0.012841431, 0.402389583, 0.850893834], abs=1e-8
    )


def test_each_run_has_its_own_numbers() -> None:
    """Two runs differ, one run repeats."""
    assert run_random("a").random() == run_random("a").random() != run_random("b").random()
    assert run_uuid4(run_random("a")).version == 4
    assert run_uuid4(run_random("a")) != run_uuid4(run_random("b"))


def test_only_random_is_relied_upon() -> None:
    """Every number comes out of `.random()`, the one method that Python keeps stable: each public method is our own."""
    stable = {"random", "seed", "getstate", "setstate", "VERSION"}
    public = {name for name in dir(random.Random) if not name.startswith("_")} - stable
    assert public <= set(vars(RunRandom))
    assert RunRandom._randbelow is not random.Random._randbelow  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["betavariate", "gammavariate", "paretovariate", "vonmisesvariate", "weibullvariate"])
def test_a_distribution_that_is_not_offered_says_so(name: str) -> None:
    """Better no number than one that another Python gives differently."""
    with pytest.raises(NotImplementedError, match="side_effect"):
        getattr(run_random("a"), name)(1, 1)


@pytest.mark.parametrize("seed", [None, 1, b"x", 1.5])
def test_it_is_seeded_by_text_alone(seed: object) -> None:
    """`seed()` without text would take the machine's entropy, or hash the value."""
    with pytest.raises(TypeError, match="seeded by text"):
        run_random("a").seed(seed)


@given(st.text(), st.integers(1, 10**30), st.integers(0, 200))
def test_numbers_stay_in_their_bounds(run_id: str, n: int, bits: int) -> None:
    """Whatever is asked for: inside the range, and permutations of what was given."""
    rng = run_random(run_id)
    assert 0 <= rng.randrange(n) < n
    assert -n <= rng.randint(-n, n) <= n
    assert 0 <= rng.getrandbits(bits) < 2**bits
    items = list(range(bits))
    rng.shuffle(items)
    assert sorted(items) == list(range(bits))
    some = range(min(n, 10**18))
    assert len(set(rng.sample(some, min(n, 20)))) == min(n, 20)
    assert rng.randrange(-n, n, 7) in range(-n, n, 7)
    assert rng.randrange(n, -n, -3) in range(n, -n, -3)
    assert rng.choice(items or [7]) in (items or [7])


def test_weights_and_dice_are_fair() -> None:
    """Six faces come up alike, and weights are followed, within five standard deviations of 6,000 throws."""
    rng = run_random("dice")
    faces = Counter(rng.randint(1, 6) for _ in range(6000))
    assert sorted(faces) == [1, 2, 3, 4, 5, 6]
    assert all(abs(count - 1000) < 150 for count in faces.values())
    weighted = Counter(rng.choices("abc", weights=[1, 0, 3], k=6000))
    assert weighted["b"] == 0
    assert abs(weighted["a"] - 1500) < 170


@pytest.mark.parametrize(
    "bad",
    [
        lambda r: r.choice([]),
        lambda r: r.randrange(0),
        lambda r: r.sample([1], 2),
        lambda r: r.choices([1], weights=[0]),
        lambda r: r.choices([1, 2], weights=[1]),
        lambda r: r.getrandbits(-1),
    ],
)
def test_impossible_wishes_are_refused(bad: object) -> None:
    """As by `random.Random`, and not by an endless loop."""
    with pytest.raises((ValueError, IndexError)):
        bad(run_random("a"))  # type: ignore[operator]
