"""The public face: what it holds, that it is lazy, and that each name is there and says what it is."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import durable

PUBLIC = [  # one a line: several people add to it at once
    "ActivityHandle",
    "ActivityInfo",
    "ArchivedRun",
    "Attribute",
    "ChildHandle",
    "Client",
    "Finding",
    "FolderArchive",
    "Handle",
    "Health",
    "Interceptor",
    "JsonCodec",
    "ParentInfo",
    "PickleCodec",
    "Pruned",
    "Query",
    "RetryPolicy",
    "RunDescription",
    "RunInfo",
    "Signal",
    "Update",
    "UpdateHandle",
    "Worker",
    "activity",
    "activity_info",
    "all_handlers_finished",
    "complete_later",
    "continue_as_new",
    "deprecate_patch",
    "errors",
    "external",
    "heartbeat",
    "info",
    "local",
    "logger",
    "now",
    "patched",
    "proxy",
    "random",
    "side_effect",
    "sleep",
    "start_child",
    "upsert_attributes",
    "uuid4",
    "wait_condition",
    "workflow",
]
HEAVY = ["msgspec", "orjson", "opentelemetry", "sqlite3", "redis", "asyncio", "durable.author", "durable._engine"]


def test_the_list_is_pinned() -> None:
    """A name that comes or goes is a decision: change this list, the changelog and the reference with it."""
    assert durable.__all__ == PUBLIC


def test_the_list_is_sorted() -> None:
    """Sorted, so that two people who add a name do not fight over its place."""
    assert durable.__all__ == sorted(durable.__all__)


def test_the_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING, the list and the loader's map name the same things, each from the same module."""
    tree = ast.parse(Path(durable.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module or "" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(seen) == durable.__all__
    assert {name: home for name, home in seen.items() if name != "errors"} == durable._HOME


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A process that only wants a version or an error does not pay for the engine, the codec or a store."""
    code = f"import sys, durable; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root())
    assert done.stdout.strip() == "[]"


def test_a_client_loads_no_engine() -> None:
    """A process that only asks never loads what runs workflow code."""
    code = "import sys, durable; durable.Client; print([m for m in sys.modules if m.startswith(('durable._engine', 'durable.worker'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root())
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_resolves(name: str) -> None:
    """Each name of the list is there; it is the same object each time."""
    assert getattr(durable, name) is getattr(durable, name)
    assert name in dir(durable)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "logger"])
def test_each_name_says_what_it_is(name: str) -> None:
    """Each public class and function has a docstring, and so has each public method: the reference is made from them."""
    value = getattr(durable, name)
    assert inspect.getdoc(value), f"durable.{name} has no docstring"
    if inspect.isclass(value):
        methods = [m for m, _ in inspect.getmembers(value, inspect.isroutine) if not m.startswith("_")]
        silent = [m for m in methods if not inspect.getdoc(getattr(value, m))]
        assert not silent, f"durable.{name}: no docstring on {', '.join(silent)}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typo says so, as in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'wrokflow'"):
        _ = durable.wrokflow  # type: ignore[attr-defined]


def _root() -> Path:
    return Path(durable.__file__).parent.parent
