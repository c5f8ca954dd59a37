"""Tests of `hello.py`: the smallest ones that there are."""

from hello import greeting_for, hello

from durable.testing import TestEnvironment


async def test_an_activity_is_a_function() -> None:
    """It can be called as such."""
    assert await greeting_for("Ada") == "Hello, Ada!"


async def test_the_workflow_greets() -> None:
    """With the real activity."""
    async with TestEnvironment(workflows=[hello], activities=[greeting_for]) as env:
        assert await env.client.execute(hello)("world") == "Hello, world!"


async def test_the_workflow_says_what_the_activity_says() -> None:
    """With a fake, whose calls are recorded."""
    async with TestEnvironment(workflows=[hello]) as env:
        env.fake(greeting_for, returns="Good morning")
        assert await env.client.execute(hello)("Ada") == "Good morning"
        assert [call["name"] for call in env.calls(greeting_for)] == ["Ada"]
