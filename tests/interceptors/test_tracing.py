"""`TracingInterceptor`: one trace for all that follows from a start, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from durable import (
    Client,
    Query,
    RetryPolicy,
    Signal,
    Update,
    Worker,
    activity,
    continue_as_new,
    errors,
    local,
    sleep,
    start_child,
    wait_condition,
    workflow,
)
from durable._runtime.around import Around
from durable.history import RunStarted
from durable.telemetry import TracingInterceptor
from durable.testing import TestEnvironment, replay
from tests.engine.env import engines
from tests.scenario_store import STORES, scenario_url

CASES = [(store, cache_runs) for store in STORES for cache_runs in (None, 0)]
word = Signal("word", str)
words = Query("words", list)
fill = Update("fill", int, int)


class Spans:
    """What a tracer has emitted."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.interceptor = TracingInterceptor(self.provider)

    def all(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def names(self) -> list[str]:
        return sorted(span.name for span in self.all())

    def one(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.all() if span.name == name]
        return found

    def parent(self, name: str) -> str:
        """The name of the parent of the span `name`; "" if it is none of ours, or there is none."""
        parent = self.one(name).parent
        return next((s.name for s in self.all() if parent is not None and s.context.span_id == parent.span_id), "")

    def traces(self) -> set[int]:
        return {span.context.trace_id for span in self.all()}


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    yield made
    made.provider.shutdown()


def environment(spans: Spans, store: str, cache_runs: int | None, **code: Any) -> TestEnvironment:
    return TestEnvironment(store=scenario_url(store), cache_runs=cache_runs, interceptors=[spans.interceptor], **code)


@activity
async def look_up(name: str) -> str:
    with trace.get_tracer("test", tracer_provider=None).start_as_current_span("inside"):
        context = trace.get_current_span().get_span_context()
    return f"{name} {context.trace_id}"


@activity
def in_thread() -> int:
    return trace.get_current_span().get_span_context().span_id


@workflow
async def outer(name: str) -> list[Any]:
    found = await look_up(name)
    await sleep(0.05)
    nearby = await local(in_thread)()
    return [found.split()[0], nearby]


@pytest.mark.parametrize(("store", "cache_runs"), CASES)
async def test_a_run_is_one_trace(spans: Spans, store: str, cache_runs: int | None) -> None:
    """Each span once, whether the run is cached or replayed at each step; and none by a replay of its history."""
    code: dict[str, Any] = {"workflows": [outer], "activities": [look_up, in_thread]}
    async with environment(spans, store, cache_runs, **code) as env:
        handle = await env.client.start(outer, id="o")("Ada")
        found, thread_span = await handle.result()
        assert found == "Ada"
        history = await handle.history()
        described = await handle.describe()
    assert spans.names() == ["activity in_thread", "activity look_up", "run outer", "start outer"]
    assert len(spans.traces()) == 1
    assert spans.parent("start outer") == ""
    for name in ("activity in_thread", "activity look_up", "run outer"):
        assert spans.parent(name) == "start outer"
    assert thread_span == spans.one("activity in_thread").context.span_id
    run = spans.one("run outer")
    assert run.start_time == history[0].event.at * 1_000_000
    assert described.closed_at is not None
    assert run.end_time == round(described.closed_at.timestamp() * 1000) * 1_000_000
    assert run.status.status_code is StatusCode.UNSET
    assert run.attributes == {"durable.workflow": "outer", "durable.workflow_id": "o", "durable.run_id": handle.run_id}
    assert spans.one("start outer").kind is SpanKind.PRODUCER
    attributes = spans.one("activity look_up").attributes
    assert attributes is not None
    assert (attributes["durable.activity"], attributes["durable.attempt"]) == ("look_up", 1)
    assert replay(outer, history, interceptors=[spans.interceptor]).ok
    assert replay(outer, history).ok
    assert len(spans.all()) == 4


@activity(retry=RetryPolicy(max_attempts=2, initial_interval="1 s"))
async def failing() -> None:
    raise ConnectionError("no answer")


@workflow
async def doomed() -> None:
    await failing()


async def test_failures_are_errors_of_their_spans(spans: Spans) -> None:
    """Each attempt has one, and so has the run."""
    async with TestEnvironment(workflows=[doomed], activities=[failing], interceptors=[spans.interceptor]) as env:
        handle = await env.client.start(doomed, id="d")()
        with pytest.raises(errors.RunFailedError):
            await handle.result()
    attempts = [span for span in spans.all() if span.name == "activity failing"]
    assert [span.attributes["durable.attempt"] for span in attempts if span.attributes] == [1, 2]
    for span in [*attempts, spans.one("run doomed")]:
        assert span.status.status_code is StatusCode.ERROR
        assert "no answer" in (span.status.description or "")
        assert [event.name for event in span.events] == ["exception"]


@workflow
async def talking() -> list[str]:
    heard: list[str] = []

    @word.handler
    async def on_word(text: str) -> None:
        await sleep(1)
        heard.append(text)

    @words.handler
    def on_words() -> list[str]:
        return heard

    @fill.handler
    async def on_fill(amount: int) -> int:
        heard.append(str(amount))
        return amount

    await wait_condition(lambda: len(heard) == 2)
    return heard


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_messages_and_their_handlers_have_spans(spans: Spans, cache_runs: int | None) -> None:
    """A handler's is a child of its message's, with a link to the run; its times are those of the history."""
    async with TestEnvironment(workflows=[talking], cache_runs=cache_runs, interceptors=[spans.interceptor]) as env:
        handle = await env.client.start(talking, id="t")()
        await handle.signal(word, "hello")
        assert await handle.query(words) in ([], ["hello"])
        assert await handle.update(fill, 3) == 3
        assert sorted(await handle.result()) == ["3", "hello"]
    assert spans.names() == [
        "handle query words", "handle signal word", "handle update fill", "query words", "run talking", "signal word",
        "start talking", "update fill",
    ]  # fmt: skip
    for kind, name in (("signal", "word"), ("update", "fill"), ("query", "words")):
        assert spans.parent(f"handle {kind} {name}") == f"{kind} {name}"
    handled = spans.one("handle signal word")
    assert [link.context.span_id for link in handled.links] == [spans.one("start talking").context.span_id]
    assert handled.end_time is not None
    assert handled.start_time is not None
    assert handled.end_time - handled.start_time == 1_000_000_000


@workflow
async def parent() -> str:
    handle = await start_child(kid, id="kid")()
    await handle.signal(word, "from the parent")
    return await handle.result()


@workflow
async def kid() -> str:
    found = await look_up(await word.receive())
    return found.split()[0]


async def test_children_are_of_the_same_trace(spans: Spans) -> None:
    """With their activities."""
    code: dict[str, Any] = {"workflows": [parent, kid], "activities": [look_up]}
    async with TestEnvironment(**code, interceptors=[spans.interceptor]) as env:
        assert await env.client.execute(parent, id="p")() == "from"
    assert spans.names() == ["activity look_up", "run kid", "run parent", "start parent"]
    assert len(spans.traces()) == 1


@workflow
async def counting(left: int) -> str:
    await sleep(1)
    if left:
        continue_as_new(left - 1)
    return "done"


async def test_a_chain_of_runs_is_one_trace(spans: Spans) -> None:
    """Continuing as new is no error."""
    async with TestEnvironment(workflows=[counting], interceptors=[spans.interceptor]) as env:
        assert await env.client.execute(counting, id="c")(2) == "done"
    assert spans.names() == ["run counting"] * 3 + ["start counting"]
    assert len(spans.traces()) == 1
    runs = [span for span in spans.all() if span.name == "run counting"]
    assert {span.status.status_code for span in runs} == {StatusCode.UNSET}
    outcomes = [(span.attributes or {}).get("durable.outcome") for span in runs]
    assert outcomes == ["continued_as_new", "continued_as_new", None]


async def test_a_run_that_was_started_without_a_trace_has_one_of_its_own(spans: Spans, tmp_path: Path) -> None:
    """So what belongs together is found together."""
    url = f"sqlite:///{tmp_path}/plain.db"
    async with (
        Client.connect(url) as client,
        Worker(client, workflows=[outer], activities=[look_up, in_thread], interceptors=[spans.interceptor]),
    ):
        await client.execute(outer, id="o")("Ada")
        await client.execute(outer, id="o")("Bo")
    assert spans.names() == ["activity in_thread"] * 2 + ["activity look_up"] * 2 + ["run outer"] * 2
    assert len(spans.traces()) == 2


@workflow
async def sleeping() -> None:
    try:
        await sleep("1 day")
    finally:
        await look_up("cleanup")


async def test_a_cancelled_run_is_no_error(spans: Spans) -> None:
    """Its span says how it ended; one that is terminated has none."""
    async with TestEnvironment(workflows=[sleeping], activities=[look_up], interceptors=[spans.interceptor]) as env:
        first = await env.client.start(sleeping, id="a")()
        second = await env.client.start(sleeping, id="b")()
        await env.settle()
        await first.cancel()
        await second.terminate()
        for handle in (first, second):
            with pytest.raises(errors.RunOutcomeError):
                await handle.result()
    assert (spans.one("run sleeping").attributes or {})["durable.outcome"] == "cancelled"
    assert spans.one("run sleeping").status.status_code is StatusCode.UNSET


async def test_a_worker_that_dies_in_the_middle_costs_no_span(spans: Spans) -> None:
    """What had ended before is not emitted again by the next one."""
    async with TestEnvironment(
        workflows=[outer], activities=[look_up, in_thread], interceptors=[spans.interceptor]
    ) as env:
        handle = await env.client.start(outer, id="o")("Ada")
        async with env.frozen():
            await env.settle()
            await env.crash_worker()
        await handle.result()
    assert spans.names() == ["activity in_thread", "activity look_up", "run outer", "start outer"]


async def test_a_stuck_run_emits_nothing(spans: Spans) -> None:
    """It has not ended, however often it is tried."""

    @workflow(name="code")
    async def before() -> None:
        await sleep("1 day")

    @workflow(name="code")
    async def after() -> None:
        await look_up("other")

    around = Around([spans.interceptor])
    async with engines() as env:
        first = await env.begin([before.within(around)])
        handle = await env.client.start(before, id="c")()
        await env.until(lambda: env.tags("c"))
        await env.kill(first)
        await env.begin([after.within(around)], [look_up])
        await handle.signal("wake")
        assert "NonDeterminismError" in await env.until(lambda: env.stuck("c"))
        await env.advance("1 hour")
    assert spans.names() == []


async def test_without_a_provider_nothing_is_recorded() -> None:
    """The API alone does nothing, and no header travels."""
    async with TestEnvironment(
        workflows=[outer],
        activities=[look_up, in_thread],
        interceptors=[TracingInterceptor(trace.NoOpTracerProvider())],
    ) as env:
        handle = await env.client.start(outer, id="o")("Ada")
        await handle.result()
        started = (await handle.history())[0].event
        assert isinstance(started, RunStarted)
        assert started.headers is None
