"""Who owns which partition: every worker of a queue computes its fair share, takes what is free and gives up what is too much."""

from __future__ import annotations

from collections.abc import Sequence


def fair_share(members: Sequence[str], me: str, partitions: int) -> int:
    """Return how many partitions `me` should own. The shares of all members add up to `partitions`; members are sorted first."""
    ordered = sorted(set(members) | {me})
    base, extra = divmod(partitions, len(ordered))
    return base + (1 if ordered.index(me) < extra else 0)


def to_release(owned: Sequence[int], share: int) -> list[int]:
    """Return which of `owned` to give up: the highest above the share."""
    return sorted(owned)[share:]


def to_acquire(owned: Sequence[int], taken: Sequence[int], share: int, partitions: int, offset: int) -> list[int]:
    """Return which partitions to try, in order: those that no other worker holds (`taken`), up to the share.

    `offset` spreads where workers begin, so that they do not all reach for the same ones.
    """
    wanted = share - len(owned)
    if wanted <= 0:
        return []
    ordered = [(offset + n) % partitions for n in range(partitions)]
    return [p for p in ordered if p not in taken and p not in owned][:wanted]
