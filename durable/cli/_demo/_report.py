"""The end of the demo: the proof from the ledger, as a table for people and as data for scripts."""

from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ._play import State
from ._sample import Audit, Money

PROBLEMS_SHOWN = 20
LABEL_WIDTH = 41


def holds(audit: Audit, state: State) -> bool:
    """Whether the proof holds: no offending row, every order ended once, and the worker was killed as often as promised."""
    return not audit.problems and audit.ended_once == state.total and state.kills == state.kills_planned


def as_data(audit: Audit, state: State) -> dict[str, object]:
    """Return the report as JSON data. Money is in each currency's smallest unit."""
    return {
        "proof_holds": holds(audit, state),
        "orders_read": audit.read,
        "bad_data": dict(audit.bad),
        "orders_started": state.total,
        "ended": [
            {"status": status, "reason": reason, "orders": count}
            for (status, reason), count in sorted(audit.ended.items())
        ],
        "ended_exactly_once": audit.ended_once,
        "orders_charged": audit.charged,
        "charged_twice": audit.charged_twice,
        "charged_without_end": audit.charged_without_end,
        "kills": state.kills,
        "calls_cut_by_kills": audit.cut_calls,
        "effects_asked_for_again": audit.repeated_effects,
        "failed_calls": audit.failed_calls,
        "money": {
            currency: {"charged": m.charged, "refunded": m.refunded, "shipped": m.shipped}
            for currency, m in sorted(audit.money.items())
        },
        "seconds": round(state.seconds, 1),
        "problems": list(audit.problems),
    }


def show(console: Console, audit: Audit, state: State) -> None:
    """Print the report."""
    console.print()
    for title, table in (
        ("How the orders ended", _orders_table(audit)),
        ("What the outside ledger proves", _proof_table(audit, state)),
    ):
        console.print(Text(f" {title}", style="bold"))
        console.print(Padding(table, (0, 1, 1, 1)))
    for problem in audit.problems[:PROBLEMS_SHOWN]:
        console.print(Text(f"  {problem}", style="red"), soft_wrap=True)
    if len(audit.problems) > PROBLEMS_SHOWN:
        console.print(Text(f"  ... and {len(audit.problems) - PROBLEMS_SHOWN} more", style="red"), soft_wrap=True)
    if holds(audit, state):
        verdict = f" {state.total:,} orders, {state.kills} kills, {state.seconds:.0f} s: each ended once, none was charged twice."
        console.print(Text(verdict, style="bold green"), soft_wrap=True)
    else:
        console.print(Text(" The proof does not hold.", style="bold red"))
    console.print()


def _orders_table(audit: Audit) -> Table:
    table = _table()
    table.add_column(justify="right")
    table.add_column(style="dim")
    bad = sum(audit.bad.values())
    table.add_row(_label("lines read"), f"{audit.read:,}", "")
    table.add_row(_label("turned away as bad data"), f"{bad:,}", _by_count(audit.bad))
    by_status: dict[str, dict[str, int]] = {}
    for (status, reason), count in audit.ended.items():
        by_status.setdefault(status, {})[reason] = count
    for status, label in _LABELS.items():
        reasons = by_status.get(status, {})
        table.add_row(_label(label), f"{sum(reasons.values()):,}", _by_count({k: v for k, v in reasons.items() if k}))
    return table


_LABELS = {
    "shipped": "shipped",
    "refunded": "refunded and goods released",
    "cancelled": "cancelled before any charge",
    "rejected": "rejected by the workflow",
}


def _proof_table(audit: Audit, state: State) -> Table:
    table = _table()
    table.add_column(justify="right")
    table.add_column()
    rows = [
        ("orders that ended exactly once", audit.ended_once, f"of {state.total:,}", audit.ended_once == state.total),
        ("orders charged", audit.charged, "", None),
        ("charged twice", audit.charged_twice, "", audit.charged_twice == 0),
        ("charged, but neither shipped nor refunded", audit.charged_without_end, "", audit.charged_without_end == 0),
        ("times that the worker was killed", state.kills, "", state.kills == state.kills_planned),
        (
            "calls cut off by a kill and made again", audit.cut_calls,
            f"{audit.repeated_effects} had taken effect already: their idempotency key made the repeat harmless", None,
        ),
        ("calls that failed by themselves", audit.failed_calls, "tried again by the retry policy", None),
    ]  # fmt: skip
    for label, value, note, good in rows:
        table.add_row(_label(label), f"{value:,}", _marked(note, good))
    for currency, m in sorted(audit.money.items()):
        table.add_row(
            _label(f"money kept in {currency}"), _amount(m.charged - m.refunded), _marked(_sum(m), _adds_up(m))
        )
    return table


def _table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)  # and labels of one length: with `min_width`, rich lets a narrow table overflow
    return table


def _label(text: str) -> str:
    return text.ljust(LABEL_WIDTH)


def _marked(note: str, good: bool | None) -> Text:
    if good is None:
        return Text(note, style="dim")
    mark, style = ("✓", "green") if good else ("✗", "bold red")
    return Text.assemble((mark, style), (f" {note}" if note else "", "dim"))


def _by_count(reasons: Mapping[str, int]) -> str:
    items = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {reason}" for reason, count in items)


def _adds_up(m: Money) -> bool:
    return m.charged - m.refunded == m.shipped


def _sum(m: Money) -> str:
    sign = "=" if _adds_up(m) else "≠"
    return f"{_amount(m.charged)} charged − {_amount(m.refunded)} refunded {sign} {_amount(m.shipped)} shipped"


def _amount(cents: int) -> str:
    return f"{cents / 100:,.2f}"
