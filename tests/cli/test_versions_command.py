"""Finding runs by attributes on the command line, and what open runs still need: `list --attribute`, `versions`, `patches`."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Attribute,
    Client,
    PickleCodec,
    Signal,
    Worker,
    deprecate_patch,
    patched,
    upsert_attributes,
    workflow,
)
from durable.cli import main
from durable.cli._timeline import timeline_of

HERE = "tests.cli.test_versions_command"

customer = Attribute("customer", str)
total = Attribute("total", int)
due = Attribute("due", datetime)
tags = Attribute("tags", list[str])
paid = Attribute("paid", bool)
go = Signal("go")


@workflow(name="bill")
async def bill(number: int) -> None:
    upsert_attributes({total: number})
    if number > 5:
        patched("bigger")
    deprecate_patch("older")
    await go.receive()


@workflow(name="bill", version="2", pinned=True)
async def bill_2(number: int) -> None:
    await go.receive()


@workflow(name="bill", version="2", pinned=True)
async def bill_2_changed(number: int) -> None:
    patched("x")
    upsert_attributes({total: number})
    await go.receive()


current = [bill, bill_2]
changed = [bill, bill_2_changed]
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with four open runs, one of them pinned."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/runs.db"

    async def fill() -> None:
        async with Client.connect(url) as client, Worker(client, workflows=current):
            handles = [
                await client.start(
                    bill,
                    id=f"b-{number}",
                    attributes={
                        customer: f"c{number}",
                        due: datetime(2026, 1, number, tzinfo=UTC),
                        tags: ["a", f"t{number}"],
                    },
                    memo={"note": f"n{number}", "more": [number]},
                )(number)
                for number in (5, 6, 7)
            ]
            handles.append(await client.start(bill_2, id="pinned", attributes={paid: True, customer: "42"})(1))
            for handle in handles:
                with pytest.raises(Exception, match="has no query"):
                    await handle.query("begun")

    asyncio.run(fill())
    return url


@pytest.fixture
def say(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    monkeypatch.setenv("DURABLE_STORE", url)

    def say(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return say


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["total>=6"], "76"),
        (["total >= 6", "total<7"], "6"),
        (["total=5.0"], "5"),
        (["total==5"], "5"),
        (["total!=5"], "76"),
        (['total="5"'], ""),
        (["customer=c5"], "5"),
        (["customer=42"], ""),
        (['customer="42"'], "d"),
        (["customer^=c"], "765"),
        (["tags~=t6"], "6"),
        (["tags"], "765"),
        (["paid=true"], "d"),
        (["paid!=true"], ""),
        (["due<2026-01-06T00:00:00Z"], "5"),
        (["due>=2026-01-06T05:00:00+05:00"], "76"),
        (["nobody=1"], ""),
    ],
)  # fmt: skip
def test_list_takes_conditions(say: Say, conditions: list[str], expected: str) -> None:
    """As they are read: a number is a number, and text in quotes is text."""
    options = [word for condition in conditions for word in ("--attribute", condition)]
    code, out, _ = say("list", "--json", *options)
    assert code == 0
    assert [run["workflow_id"][-1] for run in json.loads(out)] == list(expected)
    code, out, _ = say("list", "--json", "--count", *options)
    assert json.loads(out).get("running", 0) == len(expected)


@pytest.mark.parametrize("condition", ["", ">=5", "a b=5", "paid>true", 'tags=["a"]', "total=>5"])
def test_a_condition_that_is_none_is_wrong_usage(say: Say, condition: str) -> None:
    """The message shows it, and what one looks like."""
    code, _, err = say("list", "--attribute", condition)
    if condition == "total=>5":  # text, which begins with a sign: no number is like that
        assert code == 0
        return
    assert code == 2
    assert repr(condition) in err


def test_list_goes_on_where_it_ended(say: Say) -> None:
    """With the run id that it names."""
    code, out, err = say("list", "--json", "--limit", "2")
    first = json.loads(out)
    assert [run["workflow_id"] for run in first] == ["pinned", "b-7"]
    assert f"--before {first[-1]['run_id']} the next page" in err or code == 0
    _, out, _ = say("list", "--json", "--before", first[-1]["run_id"])
    assert [run["workflow_id"] for run in json.loads(out)] == ["b-6", "b-5"]
    _, _, err = say("list", "--limit", "1")
    assert "--before " in err
    assert say("list", "--count", "--before", "x")[0] == 2


def test_show_tells_attributes_memo_and_version(say: Say) -> None:
    """And the timeline what was set."""
    code, out, _ = say("show", "b-6")
    assert code == 0
    assert 'attributes: customer=c6, due=2026-01-06T00:00:00.000000Z, tags=["a","t6"], total=6' in out
    assert "memo: note=n6, more=[6]" in out
    assert "attributes set" in out
    assert "patch older marked as deprecated" in out
    assert "patch bigger marked" in out
    _, out, _ = say("show", "pinned")
    assert "on queue default, pinned to version 2, started" in out
    assert "run of bill (version 2, pinned) started" in out
    assert "stuck: no running worker of queue default knows version 2 of workflow bill" in out
    _, out, _ = say("show", "b-6", "--json")
    run = json.loads(out)["run"]
    assert (run["attributes"]["total"], run["memo"]["more"], run["version"], run["pinned"]) == (6, [6], None, False)


def test_versions_and_patches_are_listed(say: Say) -> None:
    """For people, and as data."""
    code, out, _ = say("versions")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[2:] if line.strip()]
    assert rows == [["default", "bill", "3", "no"], ["default", "bill", "2", "yes", "1", "no"]]
    _, out, _ = say("versions", "--json", "--queue", "default")
    assert [(use["version"], use["open_runs"], use["served"]) for use in json.loads(out)] == [
        (None, 3, False),
        ("2", 1, False),
    ]
    code, out, _ = say("patches", "--ids")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[2:] if line.strip()]
    assert rows == [
        ["bigger", "bill", "2", "0", "2", "b-7,", "b-6", "pinned,", "b-5"],
        ["older", "bill", "0", "3", "1", "pinned"],
    ]
    _, out, _ = say("patches", "--json")
    assert [(use["patch"], use["marked"], use["deprecated"], use["without"]) for use in json.loads(out)] == [
        ("bigger", 2, 0, 2), ("older", 0, 3, 1),
    ]  # fmt: skip
    assert say("versions", "--queue", "a@b")[0] != 0


def test_replay_takes_the_version_that_a_run_is_pinned_to(say: Say, tmp_path: Path) -> None:
    """From the store, runs of versions that are not there are passed over; a file with one is an answer of no."""
    code, out, _ = say("replay", "--module", f"{HERE}:current", "--json")
    assert code == 0
    assert len(json.loads(out)["runs"]) == 4
    code, out, _ = say("replay", "--module", f"{HERE}:changed", "--json")
    assert code == 1
    assert [run["workflow_id"] for run in json.loads(out)["runs"] if not run["ok"]] == ["pinned"]
    code, out, _ = say("replay", "--module", f"{HERE}:bill", "--json", "--attribute", "total>5")
    assert [run["workflow_id"] for run in json.loads(out)["runs"]] == ["b-7", "b-6"]
    assert say("export", "--to", str(tmp_path))[0] == 0
    assert say("replay", "--module", f"{HERE}:current", *map(str, tmp_path.glob("*.jsonl")))[0] == 0
    code, out, _ = say("replay", "--module", f"{HERE}:bill", "--json", str(tmp_path))
    (failed,) = [run for run in json.loads(out)["runs"] if not run["ok"]]
    assert (code, failed["workflow_id"], failed["divergence"]["kind"]) == (1, "pinned", "unknown_workflow")
    assert (
        failed["divergence"]["error"] == "the run is pinned to version '2' of workflow 'bill', which is not among them"
    )


def test_start_takes_attributes_a_memo_and_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each value of the type that it is written as."""
    store = ["--store", f"sqlite:///{tmp_path}/runs.db"]
    given = [
        "total=5",
        "customer=ada",
        "paid=true",
        'tags=["a","b"]',
        "due=2026-01-31T12:00:00+00:00",
        'zip="01234"',
        "price=1.5",
    ]
    options = [word for text in given for word in ("--attribute", text)]
    code = main(
        [
            "start",
            "bill",
            "1",
            "--id",
            "s",
            "--version",
            "2",
            *options,
            "--memo",
            "note=call",
            "--memo",
            "n=[1]",
            *store,
        ]
    )
    assert code == 0
    capsys.readouterr()

    async def look() -> Any:
        async with Client.connect(store[1]) as client:
            return await client.handle("s").describe()

    run = asyncio.run(look())
    assert dict(run.attributes) == {
        "total": 5, "customer": "ada", "paid": True, "tags": ("a", "b"), "due": "2026-01-31T12:00:00.000000Z",
        "zip": "01234", "price": 1.5,
    }  # fmt: skip
    assert dict(run.memo) == {"note": "call", "n": [1]}
    assert (run.version, run.pinned) == ("2", True)
    for wrong in (["--attribute", "total"], ["--attribute", "a b=5"], ["--memo", "x"], ["--version", "a@b"]):
        assert main(["start", "bill", "1", *wrong, *store]) == 2, wrong
    capsys.readouterr()


def test_a_memo_of_another_codec_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run is listed and shown all the same."""
    url = f"sqlite:///{tmp_path}/runs.db"

    async def fill() -> None:
        async with Client.connect(url, codec=PickleCodec(b"k" * 32)) as client:
            await client.start(bill, id="p", memo={"note": 1j})(1)

    asyncio.run(fill())
    assert main(["list", "--json", "--store", url]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert "memo 'note'" in run["memo"]["note"]
    assert main(["show", "p", "--store", url]) == 0
    assert "memo: note=<" in capsys.readouterr().out


def test_the_timeline_tells_of_attributes_that_are_removed() -> None:
    """By name."""
    event = {"type": "AttributesUpserted", "at": 1, "id": 1, "values": {"total": 5, "customer": None, "tags": ["a"]}}
    (line,) = timeline_of([(1, event)]).lines
    assert (line.what, line.detail) == ("attributes set", 'total=5, customer removed, tags=["a"]')
