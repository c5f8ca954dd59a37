"""What people type: targets of the form MODULE[:NAME], arguments, and moments."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from durable.cli import main
from durable.cli._find import served_by, workflow_of
from durable.cli._values import arguments_of, moment_of, value_of

SHOP = "tests.cli.shop"


def names(found: list[Any]) -> list[str]:
    return sorted(one.name for one in found)


@pytest.mark.parametrize(
    ("target", "workflows", "activities"),
    [
        (
            SHOP,
            ["approval", "broken", "checkout", "outside", "outsourced", "refund-order", "stock"],
            ["ask_outside", "charge"],
        ),
        (f"{SHOP}:checkout", ["checkout"], []),
        (f"{SHOP}:charge", [], ["charge"]),
        (f"{SHOP}:everything", ["checkout"], ["charge"]),
        (f"{SHOP}:warehouse", [], ["Warehouse.ship"]),
        (f"{SHOP}:Warehouse", [], ["Warehouse.ship"]),
    ],
)
def test_what_a_target_serves(target: str, workflows: list[str], activities: list[str]) -> None:
    """A module serves what is decorated in it; a name only what it stands for."""
    served = served_by(target)
    assert names(served.workflows) == workflows
    assert [name.rpartition(".")[2] for name in names(served.activities)] == [a.rpartition(".")[2] for a in activities]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("no_such_module", "no module 'no_such_module'"),
        ("tests.cli.no_such_module:x", "no module 'tests.cli.no_such_module'"),
        (f"{SHOP}:nothing", "its workflows are approval, broken, checkout, outside, outsourced, refund, stock"),
        (f"{SHOP}:", "expected MODULE or MODULE:NAME"),
        (":checkout", "expected MODULE or MODULE:NAME"),
        ("tests/cli/shop.py", "try 'tests.cli.shop'"),
        ("json", "no function marked @workflow or @activity"),
    ],
)
def test_a_target_that_is_wrong_says_how(target: str, hint: str) -> None:
    """The message names what was not found, and what there is."""
    with pytest.raises(click.UsageError) as caught:
        served_by(target)
    assert hint in caught.value.message


def test_a_fault_inside_of_the_module_is_not_taken_for_its_absence(capsys: pytest.CaptureFixture[str]) -> None:
    """The user sees the line of theirs that failed, and none of ours."""
    assert main(["worker", "tests.cli.shop_with_a_bug"]) == 2
    said = capsys.readouterr().err
    assert "import no_such_module_anywhere" in said
    assert "No module named 'no_such_module_anywhere'" in said
    assert "durable/cli/" not in said


def test_modules_of_the_working_directory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `python -m`, the folder where one stands counts."""
    (tmp_path / "a_shop_in_this_folder.py").write_text("from durable import activity\n@activity\ndef ship(): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert names(served_by("a_shop_in_this_folder").activities) == ["ship"]


def test_only_a_workflow_can_be_started() -> None:
    """An activity, or a number, is refused with the names of the workflows."""
    assert workflow_of(f"{SHOP}:refund").name == "refund-order"
    with pytest.raises(
        click.UsageError,
        match="is no workflow; its workflows are approval, broken, checkout, outside, outsourced, refund, stock",
    ):
        workflow_of(f"{SHOP}:charge")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("true", True),
        ("null", None),
        ('"42"', "42"),
        ("blue", "blue"),
        ("", ""),
        ('{"id": "o-1"}', {"id": "o-1"}),
        ("NaN", "NaN"),
        ("{half", "{half"),
    ],
)
def test_a_value_is_json_if_it_is_json(text: str, value: object) -> None:
    """Else it is the text itself."""
    assert value_of(text) == value


def test_arguments_come_by_their_declared_types() -> None:
    """JSON becomes what the parameter declares; a text like 42 stays text where text is declared."""
    order, note = arguments_of(workflow_of(f"{SHOP}:checkout"), ['{"id": "o-1", "amount": 3}', "42"])
    assert (type(order).__name__, order.amount, note) == ("Order", 3, "42")
    assert arguments_of(workflow_of(f"{SHOP}:refund"), ["1", "b"]) == ["1", "b"]
    assert arguments_of(workflow_of(f"{SHOP}:refund"), []) == []


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        ([], "missing a required argument"),
        (["{}", "b", "c"], "too many positional arguments"),
        (['{"id": "o-1"}'], "argument 'order'"),
        (["blue"], "argument 'order'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(texts: list[str], hint: str) -> None:
    """The message names the argument, before anything is written."""
    with pytest.raises(click.UsageError) as caught:
        arguments_of(workflow_of(f"{SHOP}:checkout"), texts)
    assert hint in caught.value.message


def test_a_moment_is_a_date_a_time_or_an_age() -> None:
    """Times without a zone are local, as on a clock on the wall."""
    assert moment_of("2026-01-31T12:00:00+00:00") == datetime.fromisoformat("2026-01-31T12:00:00+00:00")
    assert moment_of("2026-01-31").tzinfo is not None
    assert (moment_of("1 hour") - moment_of("3 hours")).total_seconds() == pytest.approx(7200, abs=5)
    with pytest.raises(click.BadParameter, match="how long ago"):
        moment_of("yesterday")
