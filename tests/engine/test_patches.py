"""The life of a patch: `patched`, then `deprecate_patch`, then neither; each step replays what the one before recorded."""

from collections.abc import Callable
from typing import Any

import pytest

from durable._engine.decision import Decision
from durable._log import RecordBody
from durable.author import Workflow, activity, deprecate_patch, patched, sleep, wait_condition, workflow
from durable.errors import InvalidIdError, NonDeterminismError
from durable.history import WIRE, PatchMarked
from tests.engine.harness import SteppedRun, replayed_execution


@activity
async def old(n: int) -> int:
    return n


@activity
async def new(n: int) -> int:
    return 10 * n


WORLD: dict[str, Callable[..., Any]] = {"old": lambda n: n, "new": lambda n: 10 * n}


@workflow(name="flow")
async def before() -> int:
    a = await old(1)
    await sleep(5)
    return a + await old(2)


@workflow(name="flow")
async def with_patch() -> int:
    a = await new(1) if patched("better") else await old(1)
    await sleep(5)
    return a + await old(2)


@workflow(name="flow")
async def with_deprecated() -> int:
    deprecate_patch("better")
    a = await new(1)
    await sleep(5)
    return a + await old(2)


@workflow(name="flow")
async def after() -> int:
    a = await new(1)
    await sleep(5)
    return a + await old(2)


def begun(code: Workflow[..., Any]) -> SteppedRun:
    """A run that waits for its timer."""
    run = SteppedRun(code).start()
    run.complete(1 if code in (before, after, with_deprecated) else 2, 1)
    return run


# What began with the code of one row goes on with that of each column, or is stuck there.
LIFE = [
    (before, before, True),
    (before, with_patch, True),
    (before, with_deprecated, False),
    (before, after, False),
    (with_patch, with_patch, True),
    (with_patch, with_deprecated, True),
    (with_patch, after, False),
    (with_patch, before, False),
    (with_deprecated, with_patch, True),
    (with_deprecated, with_deprecated, True),
    (with_deprecated, after, True),
    (after, with_deprecated, True),
    (after, after, True),
]


@pytest.mark.parametrize(("began", "goes_on", "fits"), LIFE)
def test_each_step_of_a_patch_replays_what_the_one_before_recorded(
    began: Workflow[..., Any], goes_on: Workflow[..., Any], fits: bool
) -> None:
    """And the one after, where a deployment is rolled back."""
    run = begun(began)
    if not fits:
        with pytest.raises(NonDeterminismError):
            replayed_execution(goes_on, run.history)
        return
    run.reload(goes_on)
    run.drive(WORLD)
    assert run.status == "completed"
    for code in {goes_on, began}:
        replayed_execution(code, run.history).dispose()


def test_a_deprecated_patch_has_no_number() -> None:
    """So that what comes behind it keeps its own when the call is removed."""
    run = SteppedRun(with_deprecated).start().drive(WORLD)
    (marker,) = [event for event in map(WIRE.decode, run.history) if isinstance(event, PatchMarked)]
    assert (marker.id, marker.name, marker.deprecated) == (0, "better", True)
    assert run.tags().count("ActivityScheduled") == 2


def test_it_is_recorded_once_in_a_loop() -> None:
    """Wherever it is met again."""

    @workflow
    async def loops() -> None:
        for _ in range(3):
            deprecate_patch("better")
            await sleep(1)

    run = SteppedRun(loops).start().drive(WORLD)
    assert run.tags().count("PatchMarked") == 1
    assert run.reload().status == "completed"


def test_where_the_call_was_added_behind_the_history_nothing_is_marked() -> None:
    """The run passed the point without it: there is no second chance."""

    @workflow
    async def plain() -> None:
        for _ in range(3):
            await sleep(1)

    @workflow(name="plain")
    async def deprecating() -> None:
        for _ in range(3):
            deprecate_patch("better")
            await sleep(1)

    run = SteppedRun(plain).start()
    run.reload(deprecating)
    run.drive(WORLD)
    assert "PatchMarked" not in run.tags()
    assert run.reload().status == "completed"


def test_several_deprecated_patches_may_be_removed_in_any_order() -> None:
    """Those that stay are still found, whatever stands between."""

    def flow(*names: str) -> Workflow[..., Any]:
        @workflow(name="flow")
        async def deprecates() -> int:
            for name in names:
                deprecate_patch(name)
            await sleep(1)
            return await new(1)

        return deprecates

    history = SteppedRun(flow("a", "b", "c")).start().drive(WORLD).history
    for left in ((), ("a",), ("b",), ("c",), ("a", "c"), ("c", "a"), ("a", "b", "c"), ("d", "b")):
        replayed_execution(flow(*left), history).dispose()


def test_a_deprecated_patch_is_not_what_a_mismatch_shows() -> None:
    """But the command behind it, which the code does not follow."""

    @workflow(name="flow")
    async def other() -> int:
        await sleep(1)
        return 1

    history = SteppedRun(with_deprecated).start().drive(WORLD).history
    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(other, history)
    assert caught.value.history == "activity 'new' on queue 'default' (#1)"

    @workflow(name="flow")
    async def nothing() -> int:
        deprecate_patch("other")
        await wait_condition(lambda: False)
        return 1

    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(nothing, history)
    assert caught.value.code == "nothing more in this step"
    assert caught.value.history == "activity 'new' on queue 'default' (#1)"


def test_the_record_has_the_patches_of_the_commit_that_marks_them() -> None:
    """By name, deprecated ones apart; nothing is written where nothing is new."""

    @workflow
    async def both() -> None:
        patched("b")
        patched("a")
        deprecate_patch("c")
        await sleep(1)
        patched("a")
        await sleep(1)
        patched("d")

    bodies: list[bytes | None] = []
    run = SteppedRun(both)
    run.start()
    bodies.append(run.last.body)
    for _ in range(2):
        run.fire_next()
        bodies.append(run.last.body)
    assert [body if body is None else _patches(body) for body in bodies] == [
        (("a", "b"), ("c",)), None, (("a", "b", "d"), ("c",)),
    ]  # fmt: skip
    assert Decision().body is None


def _patches(body: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    import msgspec

    read = msgspec.json.decode(body, type=RecordBody)
    return read.patches, read.deprecated_patches


@pytest.mark.parametrize("name", ["", 5, "a\nb"])
def test_a_patch_name_is_checked(name: Any) -> None:
    """As that of `patched`: the run fails by its own code."""

    @workflow
    async def wrong() -> None:
        with pytest.raises(InvalidIdError, match="patch name"):
            deprecate_patch(name)

    assert SteppedRun(wrong).start().status == "completed"
