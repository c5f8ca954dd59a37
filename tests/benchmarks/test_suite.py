"""The benchmark suite itself works: each workload at its smallest, the runner, and what it writes. (W1 to W6: tests/testing/test_benchmark.py.)"""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from durable._clock import SystemClock
from durable.testing.benchmark import Costs, Figure, Line, lines_of, one_pass, place_of
from tests.benchmarks import report
from tests.benchmarks.__main__ import main, read_arguments
from tests.benchmarks.stores import NAMES
from tests.benchmarks.workloads import WORKLOADS, parts_on, passes_of

CLOCK = SystemClock()


ON_SQLITE, ON_REDIS = ("W7", "W8", "W9", "W10", "W11"), ("W8", "W9", "W10")  # processes are slow to start


@pytest.mark.parametrize(
    ("store", "name"), [*(("sqlite", each) for each in ON_SQLITE), *(("redis", each) for each in ON_REDIS)]
)
def test_a_workload_gives_its_figures(store: str, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It raises by itself if a run ends wrongly, or an effect is missing."""
    url = f"sqlite:///{tmp_path}/x.db?synchronous=normal"
    place = place_of(url if store == "sqlite" else request.getfixturevalue("redis_server").url, CLOCK)
    try:
        figures = [each for part in parts_on(WORKLOADS[name], store, "tiny") for each in one_pass(part, place, CLOCK)]
    finally:
        place.close()
    named = {figure.name: figure.value for figure in figures}
    assert len({(figure.part, figure.name) for figure in figures}) == len(figures)
    # What a process has in memory may become less meanwhile, by more than a few runs need; so may what a server has.
    shrinks = {"memory of the worker for each", *(["the store for each"] if store == "redis" else [])}
    assert all(value >= 0 for called, value in named.items() if called not in shrinks)
    match name:
        case "W7":
            assert named["from the kill until all was done"] > 0
        case "W9":
            assert named["woken and finished"] > 0
            assert named["the store for each"] > 0 or store == "redis"
        case "W11":
            assert named["2 processes against 1"] == named["2 processes"] / named["1 process"]


def test_the_runner_measures_in_processes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One workload on one store: the table on standard output, how it goes on standard error, the files in the folder."""
    arguments = ["w4", "--quick", "--store", "memory", "--store", "sqlite-normal", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "| | | memory | sqlite-normal |" in printed.out
    assert "| | p50, ms | " in printed.out
    assert "W4 sqlite-normal : pass 1 of 1" in printed.err
    first, *lines = [json.loads(line) for line in Path(tmp_path, "out/results.jsonl").read_text().splitlines()]
    assert first["machine"]["cores"] > 0
    assert [(line["store"], line["figure"]) for line in lines] == [
        ("memory", "p50"), ("memory", "p99"), ("sqlite-normal", "p50"), ("sqlite-normal", "p99"),
    ]  # fmt: skip
    assert lines[2]["peak_bytes"] > 2**20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert "| **W4** |" in Path(tmp_path, "out/results.md").read_text()


@pytest.mark.parametrize("bad", [["W99"], ["W1", "--store", "postgres"]])
def test_what_there_is_not_is_refused(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(bad)
    assert bad[-1] in capsys.readouterr().err


def test_all_is_measured_unless_something_is_named() -> None:
    args = read_arguments([])
    assert args.workloads == [f"W{number}" for number in range(1, 14)]
    assert (args.repeats, args.scale, args.store) == (5, "full", None)
    assert (read_arguments(["--quick"]).repeats, read_arguments(["--quick"]).scale) == (1, "quick")
    assert passes_of(WORKLOADS["W2"], 5) == 5
    assert passes_of(WORKLOADS["W9"], 5) == 1
    for name, workload in WORKLOADS.items():
        counts = {len(parts_on(workload, store, "full")) for store in NAMES if store != "memory"}
        assert counts == {len(workload.parts("full"))}, name


def _line(store: str, unit: str, value: float, floor: float | None) -> Line:
    figure = Figure("<part>", "", unit, value, 10, floor, Costs(1.0, 0.5, 1_000, 2**20))
    (line,) = lines_of("W1", store, [[figure]])
    return line


LINES = [
    _line("memory", "runs/s", 50, 5_000),
    _line("sqlite-full", "runs/s", 30, 40),
    _line("redis-everysec", "runs/s", 300, 200),
]


def test_the_table_has_a_column_for_each_store() -> None:
    text = report.table([*LINES, _line("sqlite-full", "ms", 3, 2)], {"W1": "a title"})
    assert text.splitlines() == [
        "| | | memory | sqlite-full | redis-everysec |",
        "|---|---|---|---|---|",
        "| **W1** | a title | | | |",
        "| | <part>, runs/s | 50.0 (1%) | 30.0 (75%) | 300 (150%) |",
        "| | <part>, ms | – | 3.00 (1.5x) | – |",
    ]
    assert report.costs(LINES).splitlines()[2] == ("| W1 | <part> runs/s | memory | 100,000 | 50,000 | 100 | 1.00 |")


def test_the_plot_is_an_image_with_a_bar_for_each_rate_on_a_store() -> None:
    """Memory has no floor to speak of, and a latency is no part of one."""
    image = ET.fromstring(report.plot([*LINES, _line("sqlite-full", "ms", 3, 2)]))
    texts = [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["sqlite-full", "redis-everysec", "W1 <part> runs/s", "75% · 30.0 runs/s", "150% · 300 runs/s"]
