"""Bugs in workflows, as users write them."""
# ruff: noqa: E501 - the texts of other files, as they stand there

from ..harness import Look, Planted

SHOP = "shop.py"

REFUSED = Look("definition", "DefinitionError", 1)


def lint(rule: str) -> Look:
    """`durable lint` is expected to say so."""
    return Look("lint", rule, 1)


BUGS = [
    Planted(
        "A loop over a set of text",
        SHOP,
        (("in sorted(set(parts)):", "in set(parts):"),),
        (lint("DUR107"), Look("deterministic:pack", budget=200)),
        quick=True,
    ),
    Planted(
        "A branch on the wall clock",
        SHOP,
        (("now().microsecond % 2:", "datetime.now(UTC).microsecond % 2:"),),
        (lint("DUR101"), REFUSED),
        quick=True,
    ),
    Planted(
        "A branch on the wall clock, which a library reads",
        SHOP,
        (
            ("from durable import (\n", "from email.utils import localtime\n\nfrom durable import (\n"),
            ("now().microsecond % 2:", "localtime().microsecond % 2:"),
        ),
        (Look("lint", finds=False), Look("deterministic:pack", budget=200)),
    ),
    Planted(
        "A random number of Python's own",
        SHOP,
        (("random().random() < 0.5:", "chance.random() < 0.5:"),),
        (lint("DUR102"), REFUSED),
    ),
    Planted(
        "An id made by chance, in an argument",
        SHOP,
        (("str(uuid4())", "str(uuid.uuid4())"),),
        (lint("DUR103"), REFUSED),
    ),
    Planted(
        "A list of the module that every run adds to",
        SHOP,
        (
            ("@workflow\nasync def pack(", "PACKED: list[str] = []\n\n\n@workflow\nasync def pack("),
            ("        packed.append(part)\n", "        PACKED.append(part)\n"),
            ("number {len(packed)}", "number {len(PACKED)}"),
        ),
        (lint("DUR110"), Look("deterministic:pack", budget=200)),
        quick=True,
    ),
    Planted(
        "An activity that is not awaited",
        SHOP,
        (('    await note("packed")\n', '    note("packed")\n'),),
        (lint("DUR112"), Look("executions:has_said_all")),
    ),
    Planted(
        "A cancellation that is taken for a failure",
        SHOP,
        (
            (
                "        except ActivityError:\n            await sleep",
                "        except BaseException:\n            await sleep",
            ),
        ),
        (lint("DUR113"), Look("executions:can_be_cancelled")),
        quick=True,
    ),
    Planted(
        "A blocking call in an async activity",
        SHOP,
        (("    await asyncio.sleep(0.1)\n", "    time.sleep(0.1)\n"),),
        (lint("DUR201"),),
    ),
    Planted(
        "Charging again after a failure",
        SHOP,
        (
            (
                "    payment = await charge(order, cents)\n",
                "    try:\n        payment = await charge(order, cents)\n    except ActivityError:\n        payment = await charge(order, cents)\n",
            ),
        ),
        (Look("executions:is_charged_once", budget=600), Look("lint", finds=False)),
        quick=True,
    ),
    Planted(
        "No refund when the run is cancelled",
        SHOP,
        (
            (
                "    except BaseException:\n        await refund(payment)\n",
                "    except Exception:\n        await refund(payment)\n",
            ),
        ),
        (Look("executions:is_settled", budget=1_000), Look("lint", finds=False)),
        quick=True,
        remark="it takes a cancellation just while the run waits for the approval: one example in 70",
    ),
    Planted(
        "No refund when nobody approves",
        SHOP,
        (('    await refund(payment)\n    return "refused"\n', '    return "refused"\n'),),
        (Look("executions:is_settled"),),
    ),
    Planted(
        "No refund when shipping fails",
        SHOP,
        (
            (
                "            return await ship(order)\n    except BaseException:\n        await refund(payment)\n        raise\n",
                "            pass\n    except BaseException:\n        await refund(payment)\n        raise\n    else:\n        return await ship(order)\n",
            ),
        ),
        (Look("executions:is_settled"),),
    ),
    Planted(
        "A signal lost between two awaits",
        SHOP,
        (
            (
                '    await note(f"{order} has begun")\n    try:\n        await wait_condition(lambda: len(got) > 1, timeout="1 day")\n',
                '    first = got.copy()\n    await note(f"{order} has begun")\n    got.clear()\n    try:\n        await wait_condition(lambda: got, timeout="1 day")\n        got[:0] = first\n',
            ),
        ),
        (Look("executions:loses_no_item"), Look("lint", finds=False)),
        quick=True,
    ),
    Planted(
        "A query that takes what it shows",
        SHOP,
        (("        return len(got)\n\n    await", "        return got.pop() if got else 0\n\n    await"),),
        (Look("executions:loses_no_item"),),
    ),
    Planted(
        "A step put in while runs are open, without `patched`",
        SHOP,
        (("    label = str(uuid4())\n", '    label = str(uuid4())\n    await note("weighed")\n'),),
        (Look("replay:pack", budget=30), Look("lint", finds=False)),
        quick=True,
    ),
]
