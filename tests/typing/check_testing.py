"""Types of the test kit, checked and never run: right uses pass, wrong ones are errors (an unused `type: ignore` is one, too)."""

from typing import assert_type

from durable import activity, workflow
from durable.testing import ActivityEnvironment, Call, Fake, TestEnvironment


@activity
async def charge(order: str, cents: int) -> str:
    return order


@activity
def ship(order: str) -> int:
    return len(order)


@workflow
async def checkout(order: str) -> str:
    return await charge(order, 1)


def fake_charge(order: str, cents: int) -> str:
    return order


def fake_ship(order: int) -> int:
    return order


async def check_environment() -> None:
    async with TestEnvironment(workflows=[checkout], activities=[charge, ship]) as env:
        assert_type(env, TestEnvironment)
        assert_type(await env.client.execute(checkout)("o"), str)
        assert_type(env.fake(charge, returns="p"), Fake)
        env.fake(charge, calls=fake_charge)
        env.fake(charge, raises=[ConnectionError, ConnectionError("down")], returns="p")
        env.fake(ship, calls=fake_ship)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        env.fake(charge, raises="no")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        assert_type(env.calls(charge), list[Call])
    TestEnvironment(workflows=[charge])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


async def check_activities() -> None:
    env = ActivityEnvironment(attempt=2)
    assert_type(env.run(ship, "o"), int)
    assert_type(await env.run(charge, "o", cents=1), str)
    env.run(ship, 5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
