"""Messages between runs that are sent again, because who sent them first did not live to write that down."""

import msgspec

from durable import Signal, workflow
from durable._engine.relay import Relay
from durable._log import OutgoingEnded, OutgoingMessage, SendSignal, write_outgoing
from tests.engine.env import Engines, engines

word = Signal("word", str)


@workflow
async def hear_one() -> str:
    """End with the first word."""
    return await word.receive()


async def send(env: Engines, number: int, *, again: bool) -> object:
    """Send a word as command `number` of a run that nobody knows, and return what that is told."""
    request = f"sender/{number}/out"
    signal = SendSignal(name="word", value=msgspec.Raw(b'"hello"'), request=request)
    item = OutgoingMessage(workflow_id="other", run_id="sender", id=number, target="w", message=signal)
    delivery = await Relay(env.store).relay(write_outgoing(item, env.store.partitions), item, again=again)
    await env.settle()
    assert delivery is not None
    return delivery.message


async def test_a_message_that_comes_again_is_not_for_the_next_run_of_its_id() -> None:
    """The run that took it has ended, and another one of the id is open: it gets nothing, and the sender is told the truth."""
    async with engines() as env:
        await env.begin([hear_one])
        await env.client.start(hear_one, id="w")()
        await send(env, 1, again=False)
        assert await env.status("w") == "completed"
        await env.client.start(hear_one, id="w")()
        await env.settle()
        assert await send(env, 1, again=True) == OutgoingEnded(run_id="sender", id=1)
        assert await env.status("w") == "running"


async def test_a_message_that_comes_again_reaches_the_run_that_is_open_if_no_earlier_one_has_it() -> None:
    """The first try had been lost."""
    async with engines() as env:
        await env.begin([hear_one])
        for number in (1, 2):
            await env.client.start(hear_one, id="w")()
            await env.settle()
            assert await send(env, number, again=True) == OutgoingEnded(run_id="sender", id=number)
            assert await env.status("w") == "completed"
        told = await send(env, 2, again=True)
        assert told == OutgoingEnded(run_id="sender", id=2)
        refused = await send(env, 3, again=True)
        assert isinstance(refused, OutgoingEnded)
        assert refused.failure is not None
        assert "takes no more messages" in str(refused.failure["message"])
