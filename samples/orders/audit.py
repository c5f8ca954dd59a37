"""The audit: holds the outside ledger against the orders and how the shop says they ended."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from ledger import Ledger
from orders import Order, Rejection
from shop import Outcome

_AFTER_LOSS = """
SELECT count(*) FROM attempts a WHERE outcome = 'repeated'
AND EXISTS (SELECT 1 FROM attempts b WHERE b.kind = a.kind AND b.key = a.key AND b.outcome = 'lost')
"""


class Effect(NamedTuple):
    """Something that was really done to an order, once."""

    order_id: str
    kind: str
    currency: str
    cents: int
    note: str
    key: str


@dataclass
class Money:
    """What moved in one currency, in its smallest unit."""

    charged: int = 0
    refunded: int = 0
    shipped: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether the shop kept the money of the shipped orders, and no other."""
        return self.charged - self.refunded == self.shipped


@dataclass
class Audit:
    """What the audit found. `problems` are the offending rows; without any, the proof holds."""

    read: int = 0
    bad: Counter[str] = field(default_factory=Counter[str])
    ended: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])  # by status and reason
    ended_once: int = 0
    charged: int = 0
    charged_twice: int = 0
    charged_without_end: int = 0
    cut_calls: int = 0  # attempts during which the worker died, made again by the next one ...
    repeated_effects: int = 0  # ... and among them those that had taken effect already: harmless thanks to the key
    failed_calls: int = 0  # the world's own failures and lost answers, tried again by policy
    money: dict[str, Money] = field(default_factory=lambda: defaultdict[str, Money](Money))
    problems: list[str] = field(default_factory=list[str])


def audit(ledger: Ledger, entries: Sequence[Order | Rejection], outcomes: Mapping[str, Outcome]) -> Audit:
    """Check that each order ended exactly once, as the shop says, and that all money is accounted for."""
    result = Audit(read=len(entries), bad=Counter(entry.reason for entry in entries if isinstance(entry, Rejection)))
    effects: dict[str, list[Effect]] = defaultdict(list)
    for row in ledger.rows("SELECT order_id, kind, currency, cents, note, key FROM effects"):
        effect = Effect(*cast(tuple[str, str, str, int, str, str], row))
        effects[effect.order_id].append(effect)
        _count_money(result.money, effect)
    for order in entries:
        if isinstance(order, Order):
            _check_order(result, order.id, outcomes.get(order.id), effects.pop(order.id, []))
    result.problems += [
        f"{order_id}: nobody ordered this, but the ledger has {_list(rows)}" for order_id, rows in effects.items()
    ]
    result.problems += [
        f"{currency}: charged {m.charged}, refunded {m.refunded}, shipped {m.shipped} do not add up"
        for currency, m in result.money.items()
        if not m.adds_up
    ]
    _count_calls(result, ledger)
    return result


def _check_order(result: Audit, order_id: str, outcome: Outcome | None, effects: list[Effect]) -> None:
    count = Counter(effect.kind for effect in effects)
    news = [effect.note for effect in effects if effect.kind == "notify"]
    ends = count["ship"] + count["refund"]
    problems: list[str] = []
    if outcome is None:
        problems.append("has not ended")
    else:
        result.ended[outcome.status, outcome.reason] += 1
        if news == [outcome.status]:
            result.ended_once += 1
        else:
            problems.append(f"ended as {outcome.status}, but the customer was told {news}")
        if (outcome.status == "shipped") != (count["ship"] == 1) or (outcome.status == "refunded") != (
            count["refund"] == 1
        ):
            problems.append(
                f"ended as {outcome.status}, but was shipped {count['ship']}× and refunded {count['refund']}×"
            )
    result.charged += count["charge"] > 0
    if count["charge"] > 1:
        result.charged_twice += 1
        problems.append(f"was charged {count['charge']} times")
    if count["charge"] and not ends:
        result.charged_without_end += 1
        problems.append("was charged, but neither shipped nor refunded")
    if ends > count["charge"]:
        problems.append(f"was shipped or refunded {ends} times, but charged {count['charge']} times")
    if count["reserve"] != count["ship"] + count["release"]:
        problems.append("still holds goods")
    result.problems += [f"{order_id}: {problem}; the ledger has {_list(effects)}" for problem in problems]


def _count_money(money: dict[str, Money], effect: Effect) -> None:
    if effect.kind == "charge":
        money[effect.currency].charged += effect.cents
    elif effect.kind == "refund":
        money[effect.currency].refunded += effect.cents
    elif effect.kind == "ship":
        money[effect.currency].shipped += effect.cents


def _count_calls(result: Audit, ledger: Ledger) -> None:
    outcomes = Counter(
        dict(cast(list[tuple[str, int]], ledger.rows("SELECT outcome, count(*) FROM attempts GROUP BY outcome")))
    )
    # A call is repeated after its effect because its worker died, or because the answer was lost on the way.
    result.repeated_effects = outcomes["repeated"] - cast(int, ledger.rows(_AFTER_LOSS)[0][0])
    result.cut_calls = result.repeated_effects + outcomes["begun"]
    result.failed_calls = outcomes["failed"] + outcomes["lost"]


def _list(effects: Sequence[Effect]) -> str:
    return ", ".join(f"{effect.kind} ({effect.key})" for effect in effects) or "nothing"
