"""Histories of earlier versions replay with the code of today."""

from pathlib import Path

import pytest

from durable.history import WIRE, Close
from tests.engine.harness import SteppedRun, replayed_execution
from tests.golden.features import FEATURES
from tests.golden.make import HERE, write

FILES = sorted(HERE.glob("*.jsonl"))


def records(path: Path) -> list[bytes]:
    """Return the records of a kept history."""
    return path.read_bytes().splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kept_history_replays_to_its_end(path: Path) -> None:
    """The code of today does what the code of then did."""
    history = records(path)
    last = WIRE.decode(history[-1])
    assert isinstance(last, Close)
    execution = replayed_execution(FEATURES[path.stem][0], history)
    assert execution.closed == last.status
    execution.dispose()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kept_history_replays_from_every_point_at_which_a_worker_could_die(path: Path) -> None:
    """Every beginning of it that ends with a whole step."""
    history = records(path)
    for cut in range(1, len(history)):
        if WIRE.decode(history[cut]).role == "inbound":
            replayed_execution(FEATURES[path.stem][0], history[:cut]).dispose()


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_has_a_history_that_is_never_overwritten(name: str) -> None:
    """`make` refuses to touch what is there."""
    assert (HERE / f"{name}.jsonl").exists(), "run python -m tests.golden.make, and commit the new file"
    with pytest.raises(FileExistsError):
        write(name)


def test_the_histories_say_the_same_as_the_code_does_now(tmp_path: Path) -> None:
    """As long as no event changes, making them anew gives the same bytes. (If this fails, add a version; keep the files.)"""
    for name in FEATURES:
        fresh = records(write(name, tmp_path))
        assert [WIRE.decode(record).__class__ for record in fresh] == [
            WIRE.decode(record).__class__ for record in records(HERE / f"{name}.jsonl")
        ]


def test_an_open_kept_history_goes_on_to_the_same_end() -> None:
    """The first half of a chain, taken over by the code of today."""
    history = records(HERE / "chain.jsonl")
    run = SteppedRun(FEATURES["chain"][0], 1)
    run.history = history[:2]
    run.reload()
    for command, value in ((1, 2), (2, 4), (3, 8)):
        run.complete(command, value)
    assert run.result() == 8
    run.dispose()
