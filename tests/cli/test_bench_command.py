"""`durable bench`: figures of a store with its floor, and nothing left behind."""

import json
import os
from pathlib import Path

import pytest

from durable.cli import main
from durable.cli._bench import NAMES
from durable.testing.benchmark import IN_ONE_PROCESS


def test_the_table_has_a_line_for_each_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store itself is not even made."""
    store = f"sqlite:///{tmp_path / 'mine.db'}?synchronous=normal"
    assert main(["bench", "w4", "--passes", "1", "--store", store]) == 0
    head, _, *lines = capsys.readouterr().out.strip().splitlines()
    assert "of the floor" in head
    assert [line.split()[0] for line in lines] == ["W4", "W4"]
    assert "p50" in lines[0]
    assert "ms" in lines[0]
    assert "x" in lines[0]
    assert "p99" in lines[1]
    assert os.listdir(tmp_path) == []


def test_json_has_a_document_on_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure with what it cost; a store in memory will do."""
    assert main(["--store", "memory:", "bench", "W6", "W4", "--passes", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["workload"], line["figure"], line["passes"]) for line in lines] == [
        ("W4", "p50", 2), ("W4", "p99", 2), ("W6", "", 2),
    ]  # fmt: skip
    assert lines[0]["store"] == "memory:"
    assert lines[0]["low"] <= lines[0]["value"] <= lines[0]["high"]
    assert lines[0]["cpu_s"] > 0
    assert lines[2]["ratio"] > 0


def test_every_workload_of_the_command_is_there() -> None:
    assert set(NAMES) < {workload.name for workload in IN_ONE_PROCESS}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bench", "W99"], 2, "W99"),
        (["bench", "W4", "--passes", "0"], 2, "--passes"),
        (["bench", "W4", "--store", "sqlite:////no-such-folder/x.db"], 4, "there is no folder"),
        (["bench", "W4", "--store", "redis+cluster://host:1"], 4, "makes a store of its own"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert message in capsys.readouterr().err
