"""Who should own what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable._engine.balance import able, fair_share

MEMBERS = ["a", "b", "c", "d"]


@given(
    count=st.integers(1, 4),
    partitions=st.integers(1, 40),
    needs=st.dictionaries(st.integers(0, 39), st.frozensets(st.sampled_from("xyz"), min_size=1), max_size=10),
    offers=st.lists(st.frozensets(st.sampled_from("xyz")), min_size=4, max_size=4),
    holders=st.dictionaries(st.integers(0, 39), st.sampled_from(MEMBERS), max_size=40),
)
def test_the_shares_add_up_and_nobody_is_given_what_it_cannot_do(
    count: int,
    partitions: int,
    needs: dict[int, frozenset[str]],
    offers: list[frozenset[str]],
    holders: dict[int, str],
) -> None:
    """All members together own each partition once; a reserved one is for exactly one that has all it needs."""
    members = MEMBERS[:count]
    known = dict(zip(members, offers, strict=False))
    reserved = able({p: names for p, names in needs.items() if p < partitions}, known)
    shares = {me: fair_share(members, me, partitions, reserved, holders) for me in members}
    assert sum(share.others + len(share.reserved) for share in shares.values()) == partitions
    for partition, candidates in reserved.items():
        (owner,) = [me for me in members if partition in shares[me].reserved]
        assert owner in candidates
        assert needs[partition] <= known[owner]
        assert all((partition in shares[me].barred) == (me not in candidates) for me in members)
    if not reserved:
        assert max(share.others for share in shares.values()) - min(share.others for share in shares.values()) <= 1


@pytest.mark.parametrize("me", ["a", "b"])
def test_a_partition_that_nobody_can_do_is_one_like_any_other(me: str) -> None:
    """Two workers of which each has half of what a partition needs: neither gives it up for that."""
    offers = {"a": frozenset("x"), "b": frozenset("y")}
    assert able({3: frozenset("xy")}, offers) == {}
    assert fair_share(["a", "b"], me, 8, able({3: frozenset("xy")}, offers)).barred == frozenset()


def test_a_reserved_partition_stays_with_a_holder_that_can_do_it() -> None:
    """No move without need."""
    reserved = {5: ["a", "b"]}
    members = ["a", "b", "c"]
    assert fair_share(members, "b", 8, reserved, {5: "b"}).reserved == {5}
    assert fair_share(members, "a", 8, reserved, {5: "b"}).reserved == frozenset()
    assert 5 not in fair_share(members, "a", 8, reserved, {5: "b"}).barred
    assert fair_share(members, "c", 8, reserved, {5: "b"}).to_release([5, 6]) == [5]


def test_reserved_partitions_are_taken_first_and_above_the_share() -> None:
    """What only this worker can do comes before what is fair."""
    reserved = {p: ["a"] for p in range(6)}
    share = fair_share(["a", "b"], "a", 8, reserved, {})
    assert (share.others, share.reserved) == (0, frozenset(range(6)))
    assert share.to_acquire([], [], 8, 0) == [0, 1, 2, 3, 4, 5]
    assert fair_share(["a", "b"], "b", 8, reserved, {}).to_acquire([], [], 8, 0) == [6, 7]
