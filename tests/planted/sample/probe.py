"""`python probe.py FINDER BUDGET`, beside a copy of the package: what does the test kit find, and after how many examples?

Prints one line of JSON: `found`, `after` (seeds, examples, tests), `what` (the invariant, property, promise or rule), `text`.
"""

import importlib
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import hypothesis

import durable

HERE = Path(__file__).parent
EXAMPLES = (1, 3, 10, 30, 100, 200)  # for `assert_deterministic`, which does not tell how many it needed


class Found(Exception):
    """The kit has found something."""

    def __init__(self, after: int, what: str, text: object) -> None:
        super().__init__(text)
        self.after, self.what, self.text = after, what, str(text)


def simulate(about: str, budget: int) -> None:
    """The deterministic simulation of the whole system: seeds 0, 1, 2 ...; `about` says how many times as much goes wrong."""
    from durable.testing.simulation import Chaos, SimulationError
    from durable.testing.simulation import simulate as run

    for seed in range(budget):
        try:
            run(seed, chaos=Chaos().scaled(float(about or 1)))
        except SimulationError as error:
            raise Found(seed + 1, error.problems[0][0], error.problems[0][1]) from None


def conformance(_about: str, budget: int) -> None:
    """The store conformance suite, test by test."""
    import pytest

    class Count:
        tests = 0
        failed: tuple[str, str] | None = None

        def pytest_runtest_logreport(self, report: Any) -> None:
            self.tests += report.when == "setup"
            if report.failed and self.failed is None:
                self.failed = report.nodeid.rpartition("::")[2], report.longreprtext[-300:]

    count = Count()
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "pytest.ini",
        "--rootdir",
        str(HERE),
        "conformance_memory.py",
    ]
    (HERE / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytest.main(options, plugins=[count])
    assert count.tests > 50 or count.failed, "the suite did not run"
    if count.failed is not None and count.tests <= budget:
        raise Found(count.tests, *count.failed)


def executions(about: str, budget: int) -> None:
    """Executions drawn by Hypothesis, and the property `about`."""
    from rules import drawn

    strategy, holds = drawn(about)
    count = 0

    @hypothesis.strategies.composite
    def counted(draw: Any) -> Any:
        nonlocal count
        count += 1
        return draw(strategy)

    @hypothesis.settings(max_examples=budget, phases=[hypothesis.Phase.generate], report_multiple_bugs=False)
    @hypothesis.given(counted())
    def check(execution: Any) -> None:
        assert holds(execution), f"{about} does not hold"

    # The example that fails is run once more, to be shown: what counts is how many there were until then.
    first: list[int] = []
    original = holds

    def noticing(execution: Any) -> bool:
        good = original(execution)
        if not good:
            first.append(count)
        return good

    holds = noticing
    try:
        check()
    except hypothesis.errors.HypothesisException:
        raise
    except Exception as error:
        what = about if isinstance(error, AssertionError) and first else type(error).__name__
        raise Found(first[0] if first else count, what, error) from None


def deterministic(about: str, budget: int) -> None:
    """`assert_deterministic` for the workflow `about`, hash seeds included."""
    from rules import DRAWN, SHOP

    from durable.testing import ExecutionError, assert_deterministic

    workflow = getattr(importlib.import_module("shop"), about)
    for examples in (count for count in EXAMPLES if count <= budget):
        try:
            assert_deterministic(workflow, activities=SHOP, examples=examples, **DRAWN[about])
        except ExecutionError as error:
            raise Found(examples, "assert_deterministic", error) from None


def replay(about: str, budget: int) -> None:
    """Histories of the workflow `about` as it was before, replayed with the code as it is now."""
    import shop_before
    from rules import DRAWN, SHOP

    from durable.testing import executions as executions_of
    from durable.testing import replay as replay_one

    count = 0
    given = {activity.name: outcomes for activity, outcomes in SHOP.items()}

    @hypothesis.settings(max_examples=budget, phases=[hypothesis.Phase.generate])
    @hypothesis.given(executions_of(getattr(shop_before, about), activities=given, **DRAWN[about]))
    def check(execution: Any) -> None:
        nonlocal count
        count += 1
        result = replay_one(getattr(importlib.import_module("shop"), about), execution.history)
        if not result.ok:
            raise Found(count, "replay", result)

    check()


def definition(_about: str, _budget: int) -> None:
    """`@workflow` itself, which looks through the code that it is given."""
    from durable.errors import DefinitionError

    try:
        importlib.import_module("shop")
    except DefinitionError as error:
        raise Found(1, "DefinitionError", error) from None


def lint(_about: str, _budget: int) -> None:
    """`durable lint` on the sample module."""
    from durable.cli._lint_source import lint_source

    for finding in lint_source((HERE / "shop.py").read_text(encoding="utf-8")):
        raise Found(1, finding.rule, f"line {finding.line}: {finding.message}; {finding.advice}")


def main() -> None:
    """See the module."""
    assert Path(durable.__file__).parent == HERE / "durable", f"this is not the copy: {durable.__file__}"
    finder, _, about = sys.argv[1].partition(":")
    hypothesis.settings.register_profile(
        "planted", derandomize=True, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    hypothesis.settings.load_profile("planted")
    answer: dict[str, Any] = {"found": False, "after": 0, "what": "", "text": ""}
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            globals()[finder](about, int(sys.argv[2]))
    except Found as found:
        answer = {"found": True, "after": found.after, "what": found.what, "text": found.text[:2000]}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
