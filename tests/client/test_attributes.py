"""Finding runs by attributes; memos; and which patches open runs still need. On each store."""

import pickle
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Attribute,
    Client,
    PickleCodec,
    Signal,
    Worker,
    activity,
    deprecate_patch,
    info,
    patched,
    upsert_attributes,
    workflow,
)
from durable.author import AttributeCondition
from durable.errors import (
    DecodeError,
    DefinitionError,
    EncodeError,
    InvalidCallError,
    InvalidIdError,
    PayloadTooLargeError,
    RunNotFoundError,
)
from tests.scenario_store import STORES, scenario_url

customer = Attribute("customer", str)
total = Attribute("total", int)
weight = Attribute("weight", float)
paid = Attribute("paid", bool)
due = Attribute("due", datetime)
tags = Attribute("tags", list[str])
go = Signal("go")


@workflow
async def order() -> str:
    await go.receive()
    return "done"


@workflow
async def other() -> None: ...


@pytest.fixture(params=STORES)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client.connect(scenario_url(request.param)) as connected:
        yield connected


def day(n: int) -> datetime:
    return datetime(2026, 1, n, tzinfo=UTC)


ORDERS: list[dict[Attribute[Any], Any]] = [
    {customer: "ada", total: 5, paid: True, due: day(1), tags: ["new", "big"], weight: 1.5},
    {customer: "adam", total: 10, paid: False, due: day(2), tags: ["new"]},
    {customer: "bo", total: 50, paid: True, due: day(3), tags: []},
    {},
]


async def begin(client: Client) -> None:
    for number, attributes in enumerate(ORDERS):
        await client.start(order, id=f"o-{number}", attributes=attributes)()


CONDITIONS: list[tuple[list[AttributeCondition], str]] = [
    ([customer == "ada"], "0"),
    ([customer != "ada"], "12"),
    ([customer.startswith("ada")], "01"),
    ([customer.startswith("")], "012"),
    ([customer >= "adam"], "12"),
    ([customer.exists()], "012"),
    ([total == 5], "0"),
    ([total != 5], "12"),
    ([total < 10], "0"),
    ([total <= 10], "01"),
    ([total > 5, total < 50], "1"),
    ([total > 5, customer == "bo"], "2"),
    ([paid == True], "02"),  # noqa: E712 - a condition, no comparison
    ([paid != True], "1"),  # noqa: E712
    ([due < day(3)], "01"),
    ([due >= day(2).astimezone(timezone(timedelta(hours=5)))], "12"),
    ([due == day(1)], "0"),
    ([tags.has("new")], "01"),
    ([tags.has("new"), tags.has("big")], "0"),
    ([tags.exists()], "012"),
    ([weight > 1], "0"),
    ([Attribute("unknown", str) == "x"], ""),
    ([Attribute("unknown", str) != "x"], ""),
    ([Attribute("unknown", str).exists()], ""),
    ([Attribute("total", str) == "5"], ""),
    ([Attribute("customer", int) == 5], ""),
    ([Attribute("total", float) == 5], "0"),
    ([], "0123"),
]  # fmt: skip


async def test_runs_are_found_by_conditions(client: Client) -> None:
    """All must hold; a run without the attribute, or with one of another type, is left out. Counts agree."""
    await begin(client)
    for conditions, expected in CONDITIONS:
        found = await client.list(attributes=conditions)
        assert "".join(sorted(run.workflow_id[2:] for run in found)) == expected, conditions
        assert sum((await client.count(attributes=conditions)).values()) == len(expected), conditions


async def test_runs_are_found_by_values(client: Client) -> None:
    """A mapping says that each has this value; other filters hold beside it."""
    await begin(client)
    await client.start(other, id="x", attributes={customer: "ada"})()
    assert [run.workflow_id for run in await client.list(attributes={customer: "ada"})] == ["x", "o-0"]
    assert [run.workflow_id for run in await client.list(attributes={customer: "ada", total: 5})] == ["o-0"]
    assert [run.workflow_id for run in await client.list(workflow=other, attributes={customer: "ada"})] == ["x"]
    assert await client.list(attributes={customer: "ada"}, status="completed") == []
    assert [run.workflow_id for run in await client.list(attributes={tags: ["new"]})] == ["o-1"]


async def test_what_a_run_sets_is_found_right_after(client: Client) -> None:
    """As soon as what it waits for is known to be next: there is no lag behind the commit."""

    @activity
    async def look(expected: int) -> int:
        return sum((await client.count(attributes=[total == expected])).values())

    @workflow
    async def counts() -> list[int]:
        found: list[int] = []
        for number in (1, 2):
            upsert_attributes({total: number})
            found.append(await look(number))
        upsert_attributes({total: None})
        found.append(await look(2))
        return found

    async with Worker(client, workflows=[counts], activities=[look]):
        assert await client.execute(counts, attributes={total: 0})() == [1, 1, 0]
    (run,) = await client.list()
    assert run.status == "completed"
    assert dict(run.attributes) == {}


async def test_descriptions_have_the_types_of_their_keys(client: Client) -> None:
    """By name they are as they are stored."""
    await begin(client)
    found = (await client.handle("o-0").describe()).attributes
    assert (found[customer], found[total], found[paid], found[due], found[tags], found[weight]) == (
        "ada", 5, True, day(1), ["new", "big"], 1.5,
    )  # fmt: skip
    assert found["due"] == "2026-01-01T00:00:00.000000Z"
    assert found.get(Attribute("nobody", str)) is None
    with pytest.raises(KeyError):
        found[Attribute("nobody", str)]
    with pytest.raises(InvalidCallError, match="attribute 'total' is 5 here, which is no str"):
        found[Attribute("total", str)]
    with pytest.raises(InvalidCallError, match="attribute 'customer' is 'ada' here, which is no datetime"):
        found[Attribute("customer", datetime)]


async def test_pages_follow_each_other(client: Client) -> None:
    """By the last run of the page before, or its id; none is there twice, and none is missing."""
    for number in range(25):
        await client.start(order, id=f"o-{number:02}", attributes={paid: number % 2 == 0})()
    seen: list[str] = []
    page = await client.list(limit=5, attributes=[paid == True])  # noqa: E712
    while page:
        seen += [run.workflow_id for run in page]
        page = await client.list(limit=5, attributes=[paid == True], before=page[-1])  # noqa: E712
    assert seen == [f"o-{number:02}" for number in range(24, -1, -2)]
    first = await client.list(limit=1)
    assert (await client.list(limit=1, before=first[0].run_id))[0].workflow_id == "o-23"


async def test_a_repeated_start_keeps_the_attributes_of_the_first(client: Client) -> None:
    """It returns the run that is there."""
    for value in ("ada", "bo"):
        await client.start(order, id="once", request_id="r", attributes={customer: value}, memo={"n": value})()
    run = await client.handle("once").describe()
    assert (run.attributes[customer], run.memo["n"]) == ("ada", "ada")


# --- memo


async def test_a_memo_is_shown_and_seen(client: Client) -> None:
    """JSON data, from the start on; a run without one has an empty one."""

    @workflow
    async def reads() -> dict[str, Any]:
        return dict(info().memo)

    memo = {"note": "call back", "items": [{"n": 1}], "nothing": None}
    async with Worker(client, workflows=[reads]):
        handle = await client.start(reads, id="m", memo=memo)()
        assert dict((await handle.describe()).memo) == memo
        assert await handle.result() == memo
    await client.start(reads, id="none")()
    assert dict((await client.list(id_prefix="none"))[0].memo) == {}


async def test_a_memo_that_cannot_be_read_spoils_no_list(tmp_path: Path) -> None:
    """It is decoded when it is asked for; the rest of the run is there."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Client.connect(url, codec=PickleCodec(b"k" * 32)) as writer:
        await writer.start(order, id="p", memo={"note": 1j})()
        assert (await writer.handle("p").describe()).memo["note"] == 1j
    async with Client.connect(url) as reader:
        (run,) = await reader.list()
        assert (run.workflow_id, list(run.memo)) == ("p", ["note"])
        with pytest.raises(DecodeError, match="memo 'note'"):
            run.memo["note"]


# --- bad input


async def test_what_a_start_gives_is_checked_before_anything_is_written(client: Client) -> None:
    """Each error names the attribute, or the part of the memo."""
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"attributes": {customer: 5}}, InvalidCallError, "attribute 'customer': expected a str, got 5 of type int"),
        ({"attributes": {customer: None}}, InvalidCallError, "attribute 'customer': expected a str, got None"),
        ({"attributes": ["x"]}, InvalidCallError, "attributes: expected {Attribute: value}"),
        ({"attributes": {Attribute(f"a{n}", int): n for n in range(51)}}, PayloadTooLargeError, "50 attributes"),
        ({"memo": {"note": object()}}, EncodeError, "memo 'note'"),
        ({"memo": {5: "x"}}, InvalidIdError, "memo name"),
        ({"memo": "note"}, InvalidCallError, "memo: expected {name: value}, got 'note'"),
        (
            {"memo": {"note": "x" * 40_000}},
            PayloadTooLargeError,
            r"a memo may take 32768 bytes, this one takes 40\d\d\d",
        ),
    ]
    for options, error, said in wrong:
        with pytest.raises(error, match=said):
            await client.start(order, id="never", **options)()
    with pytest.raises(RunNotFoundError):
        await client.handle("never").describe()


async def test_wrong_filters_are_named(client: Client) -> None:
    """A condition that came out as a bool, a bare attribute, a value of another type."""
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([customer], TypeError, r"expected a condition like `customer == \"ada\"`, got Attribute\('customer', str\)"),
        ([True], TypeError, "expected a condition .*, got True"),
        (customer == "ada", TypeError, "expected a list of conditions"),
        ("customer", TypeError, "expected a condition .*, got 'c'"),
        (5, TypeError, "expected a list of conditions"),
        ({"customer": "ada"}, InvalidCallError, "as a key, got 'customer'"),
        ({customer: 5}, InvalidCallError, "expected a str, got 5"),
        ({customer: None}, InvalidCallError, "expected a str, got None"),
    ]
    for attributes, error, said in wrong:
        with pytest.raises(error, match=said):
            await client.list(attributes=attributes)
        with pytest.raises(error, match=said):
            await client.count(attributes=attributes)
    with pytest.raises(TypeError, match="before: expected a run from `list` or its run id, got 5"):
        await client.list(before=5)  # type: ignore[arg-type]


def test_conditions_are_of_the_type_of_their_attribute() -> None:
    """The error comes where the condition is written."""
    for make, said in (
        (lambda: customer == 5, "expected a str, got 5"),
        (lambda: total < "5", "expected an int, got '5'"),
        (lambda: total.startswith("5"), "only a str begins with something"),
        (lambda: customer.has("a"), "only a list\\[str\\] has items; use =="),
        (lambda: tags.has(5), "expected a str, got 5"),
        (lambda: tags == ["a"], "of type list\\[str\\], which `==` does not compare: use has"),
        (lambda: tags < ["a"], "of type list\\[str\\], which `<` does not compare"),
        (lambda: paid > False, "of type bool, which `>` does not compare: use =="),
        (lambda: bool(total >= 5), "neither true nor false"),
        (lambda: 5 if total >= 5 and customer == "ada" else 6, "without `and`"),
    ):
        with pytest.raises(InvalidCallError, match=said):
            make()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", ["", "a b", "a>=5", "a'b", "x" * 101, 5, "a\nb"])
def test_names_of_attributes_are_words(name: Any) -> None:
    """So that they can be written in a condition on the command line."""
    with pytest.raises(InvalidIdError, match="attribute name"):
        Attribute(name, str)


@pytest.mark.parametrize("kind", [bytes, dict, list, list[int], "str", None, str | int])
def test_types_of_attributes_are_few(kind: Any) -> None:
    """Those that every store can compare."""
    with pytest.raises(DefinitionError, match=r"expected one of str, int, float, bool, datetime, list\[str\]"):
        Attribute("name", kind)


def test_attributes_are_keys_of_a_dict() -> None:
    """By identity: `==` makes a condition. Those of one name are told apart from each other only by `start`."""
    again = Attribute("customer", str)
    assert len({customer: 1, again: 2}) == 2
    assert repr(customer) == "Attribute('customer', str)"
    assert pickle.loads(pickle.dumps(customer)).name == "customer"


# --- patches


async def test_patches_tell_which_runs_need_them(client: Client) -> None:
    """Told from the records of open runs: those that have a mark, and those that may need the old way."""

    @workflow(name="flow")
    async def first() -> None:
        await go.receive()

    @workflow(name="flow")
    async def second() -> None:
        patched("better")
        await go.receive()

    @workflow(name="flow")
    async def third() -> None:
        deprecate_patch("better")
        patched("faster")
        await go.receive()

    @workflow
    async def unrelated() -> None:
        await go.receive()

    for code, count in ((first, 3), (second, 2), (third, 1), (unrelated, 1)):
        async with Worker(client, workflows=[code]):
            for number in range(count):
                await _begun(client, code, f"{code.fn.__name__}-{number}")
    async with Worker(client, workflows=[second]):
        await client.handle("second-0").signal(go)
        await client.handle("second-0").result()
    better, faster = await client.patches()
    assert (better.patch, better.workflow, better.marked, better.deprecated, better.without) == (
        "better",
        "flow",
        1,
        1,
        3,
    )
    assert better.marked_ids == ("second-1",)
    assert sorted(better.without_ids) == ["first-0", "first-1", "first-2"]
    assert (faster.patch, faster.marked, faster.deprecated, faster.without) == ("faster", 1, 0, 4)
    assert faster.marked_ids == ("third-0",)


async def _begun(client: Client, code: Any, workflow_id: str) -> None:
    handle = await client.start(code, id=workflow_id)()
    with pytest.raises(Exception, match="has no query"):
        await handle.query("is it there")  # answered: so its first step is recorded


async def test_there_are_no_patches_without_open_runs(client: Client) -> None:
    """Of closed runs nothing is needed any more."""

    @workflow
    async def marks() -> None:
        patched("better")

    async with Worker(client, workflows=[marks]):
        await client.execute(marks)()
    assert await client.patches() == []
