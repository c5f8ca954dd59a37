"""Who owns which partition: every worker of a queue computes its fair share, takes what is free and gives up what is too much.

A partition where runs wait for a workflow that not all workers have is reserved for those that have all that it needs. If
there is none, it is a partition like any other: so two workers of which each has half never pass it to and fro.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker should own: the partitions `reserved` for it, and so many others; but none that is `barred`."""

    others: int
    reserved: frozenset[int] = frozenset()
    barred: frozenset[int] = frozenset()

    def to_release(self, owned: Collection[int]) -> list[int]:
        """Return which of `owned` to give up: those that are barred, and the highest above the share."""
        kept = self._others(owned)
        return sorted(self.barred.intersection(owned)) + kept[self.others :]

    def to_acquire(self, owned: Collection[int], taken: Collection[int], partitions: int, offset: int) -> list[int]:
        """Return which partitions to try, in order: those that no other worker holds (`taken`), up to the share.

        `offset` spreads where workers begin, so that they do not all reach for the same ones.
        """
        free = [p for p in range(partitions) if p not in taken and p not in owned and p not in self.barred]
        others = [p for p in free if p not in self.reserved]
        others.sort(key=lambda p: (p - offset) % partitions)
        return [p for p in free if p in self.reserved] + others[: max(0, self.others - len(self._others(owned)))]

    def _others(self, owned: Collection[int]) -> list[int]:
        return sorted(p for p in owned if p not in self.reserved and p not in self.barred)


def able(needs: Mapping[int, Set[str]], offers: Mapping[str, Set[str]]) -> dict[int, list[str]]:
    """Return which members have all that a partition needs, in order, for those partitions that some have, and not all."""
    found: dict[int, list[str]] = {}
    for partition, workflows in needs.items():
        members = sorted(member for member, offered in offers.items() if workflows <= offered)
        if 0 < len(members) < len(offers):
            found[partition] = members
    return found


def fair_share(
    members: Sequence[str],
    me: str,
    partitions: int,
    able_members: Mapping[int, Sequence[str]] | None = None,
    holders: Mapping[int, str] | None = None,
) -> Share:
    """Return what `me` should own. The shares of all members add up to all partitions; members are sorted first.

    A partition of `able_members` is for one of these: the one that holds it, else one told by its number.
    """
    ordered = sorted(set(members) | {me})
    loads = dict.fromkeys(ordered, 0)
    mine, barred = set[int](), set[int]()
    for partition, candidates in (able_members or {}).items():
        holder = (holders or {}).get(partition, "")
        target = holder if holder in candidates else candidates[partition % len(candidates)]
        loads[target] = loads.get(target, 0) + 1
        if target == me:
            mine.add(partition)
        elif me not in candidates:
            barred.add(partition)
    free = partitions - len(able_members or {})
    if not able_members:
        base, extra = divmod(free, len(ordered))
        return Share(base + (1 if ordered.index(me) < extra else 0))
    others = 0
    for _ in range(free):  # each to the one that has the fewest so far
        least = min(ordered, key=lambda member: loads[member])
        loads[least] += 1
        others += least == me
    return Share(others, frozenset(mine), frozenset(barred))
