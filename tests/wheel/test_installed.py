"""Run by `nox -s wheel` in a folder elsewhere, against the installed wheel: nothing that it needs was left out.

The files of this folder are copied there, so they import nothing of the checkout.
"""

import json
import subprocess
import sys
from importlib.metadata import metadata, version
from importlib.resources import files
from pathlib import Path

import durable


def test_it_is_the_wheel_that_is_tested() -> None:
    """Not the checkout: else a missing file would go unnoticed."""
    assert Path(sys.prefix) in Path(durable.__file__).parents
    assert not (Path(durable.__file__).parent.parent / "pyproject.toml").exists()


def test_the_version_is_that_of_the_distribution() -> None:
    """One place says it."""
    assert version("durable-sdk") == durable.__version__
    assert metadata("durable-sdk")["License-Expression"] == "MIT"


def test_every_public_name_is_there() -> None:
    """With no more than the core's dependencies and the extra `cli`."""
    for name in durable.__all__:
        assert getattr(durable, name) is not None


def test_the_data_files_are_there() -> None:
    """The types' marker, the schema of the SQLite store, the scripts of the Redis store, and the orders of the demo."""
    package = files("durable")
    assert (package / "py.typed").is_file()
    assert [entry.name for entry in (package / "stores" / "sqlite" / "schema").iterdir() if entry.name.endswith(".sql")]
    scripts = {entry.name for entry in (package / "stores" / "redis" / "lua").iterdir()}
    assert {"commit.lua", "renew.lua", "_tasks.lua"} <= scripts
    orders = (package / "_samples" / "orders" / "orders.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(orders) >= 1_000
    assert isinstance(json.loads(orders[0]), dict)


def test_the_command_is_there() -> None:
    """`durable` is on the path of the environment, next to its interpreter."""
    command = Path(sys.executable).with_name("durable")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"durable, version {durable.__version__}"
