"""Replays under several hash seeds: they find what no replay in one process can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable.author import Workflow, workflow
from durable.codec import JsonCodec, Payload
from durable.errors import DefinitionError
from durable.testing import assert_deterministic, replay, replay_files
from tests.testing import replayed
from tests.testing.conftest import recorded

SEEDS = (0, 1)  # under these, each of the sets below has another order


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (replayed.by_name, "activity 'charge'"),
        (replayed.by_kind, "activity '"),
        (replayed.by_result, "the end: RunCompleted"),
    ],
)
def test_what_depends_on_the_order_of_a_set_is_found(code: Workflow[..., Any], what: str) -> None:
    """In the order of calls, in their arguments, in the result."""
    found = replay(code, recorded(code), hash_seeds=SEEDS).divergence
    assert found is not None
    assert found.kind == "hash_seed"
    assert found.seq == 2
    assert found.code.count(what) == 2
    assert " with hash seed " in found.code
    assert "order of a set" in found.cause
    assert found.where.startswith(replayed.__file__)


def test_one_process_alone_cannot_see_it() -> None:
    """Which is why there are the seeds."""
    assert replay(replayed.by_name, recorded(replayed.by_name)).ok


@pytest.mark.parametrize("code", [replayed.sorted_first, replayed.order])
def test_what_does_not_depend_on_it_passes(code: Workflow[..., Any]) -> None:
    """Sets as arguments and results are recorded in one order, and may be used for what has none."""
    args = ("lamp",) if code is replayed.order else ()
    assert_deterministic(code, recorded(code, *args), hash_seeds=SEEDS)


def test_assert_deterministic_shows_both_sides() -> None:
    """As a one-liner in a test."""
    with pytest.raises(AssertionError, match=r"differs at event 2:(.|\n)*but activity 'charge'"):
        assert_deterministic(replayed.by_name, recorded(replayed.by_name), hash_seeds=SEEDS)


def test_a_change_of_code_is_not_blamed_on_a_set(history: list[bytes]) -> None:
    """All seeds part from the history in the same way: that is what is said."""
    found = replay(replayed.without_the_timer, history, hash_seeds=[0]).divergence
    assert found is not None
    assert (found.kind, found.seq, found.history) == ("changed", 4, "timer #2")


def test_a_local_workflow_is_refused(history: list[bytes]) -> None:
    """No other process could find it."""

    @workflow(name="order")
    async def local(item: str) -> int:
        return 0

    with pytest.raises(DefinitionError, match="is defined inside of a function"):
        replay(local, history, hash_seeds=[0])


PROGRAM = """
from durable import activity, workflow

print("a program may print")

@activity
async def charge(item: str) -> int:
    return 1

@workflow
async def program() -> int:
    print("a workflow as well")
    return sum([await charge(item) for item in {NAMES}])

def main() -> None:
    from durable.testing import replay
    found = replay(program, "history.jsonl", hash_seeds=[0, 1]).divergence
    print("found:", found.kind if found else "nothing")

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("names", "found"), [("{'a', 'b', 'c', 'd'}", "hash_seed"), ("['a', 'b', 'c', 'd']", "nothing")]
)
def test_a_program_that_is_run_as_such_replays_itself(names: str, found: str, tmp_path: Path) -> None:
    """Its module is `__main__`, which is another one in another process; what it prints gets in nobody's way."""
    import subprocess
    import sys

    file = tmp_path / "program.py"
    file.write_text(PROGRAM.replace("{NAMES}", names))
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    records = recorded(namespace["program"])
    (tmp_path / "history.jsonl").write_bytes(b"\n".join(records))
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == [f"found: {found}"], done.stderr


class Shouting(JsonCodec):
    """A codec of a user's own."""

    def encode(self, value: Any, hint: Any, *, what: str) -> Payload:
        return super().encode(value, hint, what=what)


def test_a_codec_of_ones_own_goes_along() -> None:
    """It is handed to the other processes."""
    records = recorded(replayed.sorted_first)
    assert replay(replayed.sorted_first, records, codec=Shouting(), hash_seeds=[0]).ok


def test_many_histories_need_one_process_for_each_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes a second, a replay a millisecond."""
    import subprocess

    started: list[Any] = []
    original = subprocess.Popen

    def counted(*args: Any, **kwargs: Any) -> Any:
        started.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", counted)
    for number, records in enumerate(histories()):
        (tmp_path / f"{number}.jsonl").write_bytes(b"\n".join(records))
    results = replay_files([replayed.by_name, replayed.sorted_first], [tmp_path], hash_seeds=SEEDS)
    assert len(started) == len(SEEDS)
    assert [result.ok for result in results] == [False, True, False, True]


def histories() -> Iterator[list[bytes]]:
    """Yield some histories."""
    for code in (replayed.by_name, replayed.sorted_first) * 2:
        yield recorded(code)
