"""Checked by mypy and pyright, never run: attributes keep the type that they were made with."""

from datetime import datetime
from typing import Any, assert_type

from durable import Attribute, Client, info, upsert_attributes, workflow
from durable.author import AttributeCondition

customer = Attribute("customer", str)
total = Attribute("total", int)
due = Attribute("due", datetime)
tags = Attribute("tags", list[str])


@workflow(version="2", pinned=True)
async def order() -> None:
    """Reads and sets its attributes."""
    assert_type(customer, Attribute[str])
    assert_type(tags, Attribute[list[str]])
    assert_type(info().attributes[customer], str)
    assert_type(info().attributes[tags], list[str])
    assert_type(info().attributes.get(total), int | None)
    assert_type(info().attributes.get(due, "never"), datetime | str)
    assert_type(info().version, str | None)
    upsert_attributes({total: 5, due: None})
    upsert_attributes({"total": 5})  # type: ignore[dict-item]


async def check_search(client: Client) -> None:
    """Conditions are what comparisons give; they compare what fits."""
    assert_type(customer == "ada", AttributeCondition)
    assert_type(customer != "ada", AttributeCondition)
    assert_type(total >= 5, AttributeCondition)
    assert_type(tags.has("x"), AttributeCondition)
    _ = total < "5"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    await client.list(attributes=[customer == "ada", total >= 5])
    await client.list(attributes={customer: "ada"}, before="run")
    await client.list(attributes=[customer])  # type: ignore[list-item]
    run = (await client.list())[0]
    assert_type(run.attributes[customer], str)
    assert_type(run.memo["note"], Any)
    await client.start(order, attributes={customer: "ada"}, memo={"note": 1})()
    await client.start("order", version="2")()
