"""A human decides: a workflow waits for a signal, passes the question on when nobody answers, and gives up in the end.

Run it with `python samples/approval.py`. Three expenses are filed: the manager answers one; the manager of the second is
on holiday, so it goes to the director; the third is answered by nobody. The waits are short here and may be weeks: a
waiting run costs nothing, and survives every restart.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from datetime import timedelta

from durable import Client, Query, Signal, Worker, activity, workflow


@dataclass
class Expense:
    """What somebody spent, and how long each of those who are asked may think about it."""

    employee: str
    amount: int
    manager_has: timedelta
    director_has: timedelta


@dataclass
class Decision:
    """What somebody decided."""

    approved: bool
    by: str


manager = Signal("manager", Decision)
director = Signal("director", Decision)
waiting_for = Query("waiting_for", str)


@activity
async def ask(who: str, expense: Expense) -> None:
    """Would send a mail with a link; a click on the link sends the signal."""
    print(f"  to the {who}: may {expense.employee} have {expense.amount} euros back?")


@workflow
async def approval(expense: Expense) -> Decision:
    """Ask the manager, then the director; without an answer the expense is refused."""
    now_asking = "nobody"

    @waiting_for.handler
    def tell() -> str:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        return now_asking

    for now_asking, answer, patience in (
        ("manager", manager, expense.manager_has),
        ("director", director, expense.director_has),
    ):
        await ask(now_asking, expense)
        decision = await answer.receive(timeout=patience, default=None)
        if decision is not None:
            return decision
    return Decision(approved=False, by="nobody answered")


async def main(store: str) -> None:
    """File the three expenses, answer two of them, and print how each ended."""
    long, short = timedelta(days=14), timedelta(milliseconds=200)
    async with Client.connect(store) as client, Worker(client, workflows=[approval], activities=[ask]):
        ada = await client.start(approval, id="expense-ada")(Expense("Ada", 120, long, long))
        bo = await client.start(approval, id="expense-bo")(Expense("Bo", 950, short, long))
        cy = await client.start(approval, id="expense-cy")(Expense("Cy", 40, short, short))

        who = await ada.query(waiting_for)
        print(f"Ada's expense waits for: {who}")
        await ada.signal(manager, Decision(approved=True, by="the manager"))
        await bo.signal(director, Decision(approved=True, by="the director"))  # early: kept until the code asks for it

        for name, handle in (("Ada", ada), ("Bo", bo), ("Cy", cy)):
            decision = await handle.result()
            print(f"{name}: {'approved' if decision.approved else 'refused'} ({decision.by})")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/approval.db")))
