"""Interceptors around `continue_as_new`, around the cancellation of another run, and around the first signal of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from durable import Client, Interceptor, Signal, continue_as_new, errors, external, info, sleep, start_child, workflow
from durable.interceptors import (
    CancelExternalInput,
    ContinueAsNewInput,
    SignalInput,
    StartInput,
    with_headers,
)
from durable.testing import TestEnvironment, replay

word = Signal("word", str)


@workflow
async def hops(n: int) -> dict[str, str]:
    if n < 2:
        continue_as_new(n + 1)
    return dict(info().headers)


@workflow
async def waits() -> str:
    return await word.receive()


@workflow
async def stops(target: str) -> str:
    await external(target).cancel("enough")
    return "asked"


class Hopping(Interceptor):
    """Begins with headers, counts the hops in one, drops another, and logs what it sees live."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        return await next(with_headers(input, {"user": "ada", "once": "x"}))

    def continue_as_new(self, input: ContinueAsNewInput, next: Callable[[ContinueAsNewInput], NoReturn]) -> NoReturn:
        if not input.run.replaying:
            self.log.append(f"{input.workflow} {input.queue} {input.args} {dict(input.headers)}")
        headers = {**input.headers, "hops": str(int(input.headers.get("hops", "0")) + 1)}
        headers.pop("once", None)
        next(replace(input, headers=headers))


@pytest.mark.parametrize("cache_runs", [None, 0])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_headers_travel_along_the_chain_and_may_be_changed(
    store: str, cache_runs: int | None, tmp_path: Path
) -> None:
    """Each run begins with what the one before has left of them."""
    around, url = Hopping(), None if store == "memory" else f"sqlite:///{tmp_path}/h.db"
    async with TestEnvironment(workflows=[hops], interceptors=[around], store=url, cache_runs=cache_runs) as env:
        handle = await env.client.start(hops, id="h")(0)
        assert await handle.result() == {"user": "ada", "hops": "2"}
        runs = await env.client.list(workflow=hops)
        for run in runs:
            history = await env.client.handle("h", run_id=run.run_id).history()
            assert replay(hops, history, interceptors=[around]).ok
            assert replay(hops, history).ok
    assert around.log == [
        "hops default (1,) {'user': 'ada', 'once': 'x'}",
        "hops default (2,) {'user': 'ada', 'hops': '1'}",
    ]


async def test_without_an_interceptor_of_its_own_the_headers_go_along() -> None:
    """As they are."""

    class Starting(Interceptor):
        async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
            return await next(with_headers(input, {"user": "ada"}))

    async with TestEnvironment(workflows=[hops], interceptors=[Starting()]) as env:
        assert await env.client.execute(hops, id="h")(0) == {"user": "ada"}


async def test_the_arguments_of_the_next_run_may_be_changed() -> None:
    """What does not fit is refused where the code called it."""

    class Skipping(Interceptor):
        def continue_as_new(
            self, input: ContinueAsNewInput, next: Callable[[ContinueAsNewInput], NoReturn]
        ) -> NoReturn:
            next(replace(input, args=(input.args[0] + 1,) if input.args[0] < 10 else ("ten",)))

    @workflow(name="counts")
    async def counts(n: int, runs: int = 1) -> list[int]:
        if n == 0:
            continue_as_new(5)
        if n == 6:
            try:
                continue_as_new(10)
            except errors.InvalidCallError as error:
                assert "'ten'" in str(error)
            except errors.EncodeError:
                pass
        return [n]

    async with TestEnvironment(workflows=[counts], interceptors=[Skipping()]) as env:
        assert await env.client.execute(counts, id="c")(0) == [6]


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_the_cancellation_of_another_run_is_intercepted(cache_runs: int | None) -> None:
    """The reason may be changed; on replay it is called again, and sends nothing."""

    class Reasons(Interceptor):
        def cancel_external(
            self, input: CancelExternalInput, next: Callable[[CancelExternalInput], Awaitable[None]]
        ) -> Awaitable[None]:
            return next(replace(input, reason=f"{input.run.workflow_id} told {input.workflow_id}: {input.reason}"))

    async with TestEnvironment(workflows=[waits, stops], interceptors=[Reasons()], cache_runs=cache_runs) as env:
        target = await env.client.start(waits, id="w")()
        handle = await env.client.start(stops, id="s")("w")
        assert await handle.result() == "asked"
        with pytest.raises(errors.RunCancelledError, match="s told w: enough"):
            await target.result()
        assert replay(stops, await handle.history(), interceptors=[Reasons()]).ok


@workflow
async def stops_its_child(keep: bool) -> str:
    child = await start_child(waits, id="kid")()
    await child.cancel("enough")
    if keep:
        await child.signal(word, "still there")
    try:
        return await child.result()
    except errors.ChildWorkflowError as error:
        return str(error.__cause__)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_the_cancellation_of_a_child_is_intercepted(cache_runs: int | None, keep: bool) -> None:
    """It may be changed or kept back, by a hook that is async as well; a replay finds what was recorded."""

    class Reasons(Interceptor):
        async def cancel_external(
            self, input: CancelExternalInput, next: Callable[[CancelExternalInput], Awaitable[None]]
        ) -> None:
            await sleep(1)
            if not keep:
                await next(replace(input, reason=f"{input.run.workflow_id} told {input.workflow_id}: {input.reason}"))

    around: list[Interceptor] = [Reasons()]
    async with TestEnvironment(workflows=[waits, stops_its_child], cache_runs=cache_runs, interceptors=around) as env:
        handle = await env.client.start(stops_its_child, id="p")(keep)
        told = await handle.result()
        assert told == "still there" if keep else "p told kid: enough" in told
        asked = [type(item.event).__name__ for item in await handle.history()].count("ChildCancelRequested")
        assert asked == (0 if keep else 1)
        assert replay(stops_its_child, await handle.history(), interceptors=around).ok


async def test_one_that_keeps_a_cancellation_back_adds_no_command() -> None:
    """What it awaits instead is recorded as its own."""

    class Keeps(Interceptor):
        async def cancel_external(
            self, input: CancelExternalInput, next: Callable[[CancelExternalInput], Awaitable[None]]
        ) -> None:
            await sleep(1)

    async with TestEnvironment(workflows=[waits, stops], interceptors=[Keeps()]) as env:
        target = await env.client.start(waits, id="w")()
        handle = await env.client.start(stops, id="s")("w")
        assert await handle.result() == "asked"
        await target.signal(word, "still there")
        assert await target.result() == "still there"
        assert not any("External" in type(item.event).__name__ for item in await handle.history())


class Both(Interceptor):
    """Around starts and signals."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.keeps = False

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        self.log.append(f"start {input.workflow_id}")
        return await next(with_headers(input, {"start": "1"}))

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        self.log.append(f"signal {input.signal} {input.value} to {input.workflow_id}/{input.run_id}")
        if not self.keeps:
            await next(with_headers(replace(input, value=input.value.upper()), {"signal": "2"}))


@workflow
async def collects() -> list[str]:
    return [await word.receive(), await word.receive(), str(dict(info().headers))]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_start_with_signal_passes_both_hooks(store: str, tmp_path: Path) -> None:
    """Whether it starts the run or signals the open one: the value may be changed, and both have their headers."""
    around, url = Both(), None if store == "memory" else f"sqlite:///{tmp_path}/b.db"
    async with TestEnvironment(workflows=[collects], interceptors=[around], store=url) as env:
        first = await env.client.start_with_signal(collects, word, "a", id="c")()
        second = await env.client.start_with_signal(collects, word, "b", id="c")()
        assert first.run_id == second.run_id
        assert await first.result() == ["A", "B", "{'start': '1'}"]
        started, *rest = [item.event for item in await first.history()]
        assert started.signals[0].headers == {"start": "1", "signal": "2"}  # type: ignore[attr-defined]
        (received,) = [event for event in rest if hasattr(event, "request")]
        assert getattr(received, "headers", None) == {"start": "1", "signal": "2"}
    assert around.log == ["start c", "signal word a to c/None", "start c", "signal word b to c/None"]


async def test_a_first_signal_that_is_kept_back_starts_nothing() -> None:
    """There would be no handle to return; the error says so."""
    around = Both()
    around.keeps = True
    async with Client.connect("memory:", interceptors=[around]) as client:
        with pytest.raises(errors.InvalidCallError, match="nothing was started"):
            await client.start_with_signal(collects, word, "a", id="c")()
        assert await client.count() == {}


async def test_a_value_that_the_interceptor_spoils_is_refused() -> None:
    """Before anything is written."""

    class Spoils(Interceptor):
        async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
            await next(replace(input, value=object()))

    async with Client.connect("memory:", interceptors=[Spoils()]) as client:
        with pytest.raises(errors.EncodeError):
            await client.start_with_signal(collects, word, "a", id="c")()
        assert await client.count() == {}
