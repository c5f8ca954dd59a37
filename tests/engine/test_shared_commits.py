"""Runs that share a commit with one that may not close yet: they do not wait for it, and are not loaded anew."""

import asyncio
from typing import Any

from durable.author import Signal, activity, info, local, sleep, workflow
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

word = Signal("word", str)
go = Signal("go")
begun: list[str] = []
effects: list[str] = []


@activity
async def effect(who: str) -> str:
    effects.append(who)
    return who


@workflow
async def closes() -> list[str]:
    """It ends as soon as it is told to; what it has heard by then it returns."""
    begun.append(info().workflow_id)
    heard: list[str] = []

    @word.handler
    async def on_word(said: str) -> None:
        heard.append(said)

    await go.receive()
    return heard


@workflow
async def goes_on() -> str:
    begun.append(info().workflow_id)
    await go.receive()
    await effect("task")
    await sleep(1)
    return await local(effect)("local")


class Held:
    """A store whose next commit waits until it is let go."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] | None = None
        self.reached = asyncio.Event()

    def plan(self, name: str, _number: int) -> Any:
        if name != "commit" or self.future is None:
            return ""
        self.reached.set()
        return self.future

    def hold(self) -> None:
        """Hold the next commits back."""
        self.future, self.reached = asyncio.get_running_loop().create_future(), asyncio.Event()

    def let_go(self) -> None:
        """Send them."""
        assert self.future is not None
        self.future.set_result(None)
        self.future = None


async def begin(env: Engines) -> Held:
    """Begin an engine with two runs that wait, one of each workflow."""
    begun.clear()
    effects.clear()
    held = Held()
    store: Any = FaultyStore(env.store, held.plan)
    await env.begin(
        [closes, goes_on], [effect], store=store, cache_runs=100
    )  # also where the suite runs without a cache
    await env.client.start(closes, id="a")()
    await env.client.start(goes_on, id="b")()
    await env.settle()
    return held


async def both_told(env: Engines, held: Held) -> None:
    """Tell both to go on, and hold the commit of that, which is one, back."""
    held.hold()
    await asyncio.gather(env.client.handle("a").signal(go), env.client.handle("b").signal(go))
    await held.reached.wait()


async def test_only_the_run_that_may_not_close_is_loaded_anew() -> None:
    """The other one's part is committed at once, without it: its code is not run a second time."""
    async with engines(partitions=1) as env:
        held = await begin(env)
        await both_told(env, held)
        await env.client.handle("a").signal(word, "late")
        held.let_go()
        assert await env.drive(env.client.handle("a").result()) == ["late"]
        assert await env.drive(env.client.handle("b").result()) == "local"
        assert begun == ["a", "b", "a"]
        assert sorted(effects) == ["local", "task"]
        for name, code in (("a", closes), ("b", goes_on)):
            assert_replays(code, await env.client.handle(name).history())  # type: ignore[arg-type]


async def test_a_storm_of_signals_to_one_run_holds_no_other_one_up() -> None:
    """As long as somebody writes to a run it does not close; those beside it go on, and it closes once that is over."""
    async with engines(partitions=1) as env:
        held = await begin(env)
        await both_told(env, held)
        for n in range(20):
            await env.client.handle("a").signal(word, str(n))
            held.let_go()
            held.hold()
            await held.reached.wait()
            if n == 3:
                assert "ActivityScheduled" in await env.tags("b")
        held.let_go()
        assert await env.drive(env.client.handle("a").result()) == [str(n) for n in range(20)]
        assert begun.count("b") == 1
        assert await env.drive(env.client.handle("b").result()) == "local"
