"""The rules of the code base that a machine can check. What each forbids and why: docs/explanation and CONTRIBUTING.md."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from durable.cli._lint_names import absolute, dotted, imported_names, ours

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "durable"
FILES = sorted(PACKAGE.rglob("*.py"))

VOCABULARY = {"errors", "_version", "_ids", "_clock", "_duration", "_headers", "_limits", "interceptors", "retry"}
LAYERS = [
    VOCABULARY,
    {"codec", "telemetry", "stores"},
    {"history"},
    {"_log"},
    {"_retention"},
    {"_runtime"},
    {"author"},
    {"_engine"},
    {"worker", "client"},
    {"testing"},
    {"cli", "web"},
    {"__init__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# The order alone does not keep the core pure, nor the edges thin.
NEVER = {
    "history": {"stores"},
    "_runtime": {"stores"},
    "author": {"stores"},
    "client": {"_engine", "_runtime", "worker"},
    "cli": {"_engine", "_runtime", "_log", "worker", "history"},  # `durable replay` is the replayer of `testing`
    "web": {"_engine", "_runtime", "_log", "worker", "history", "testing"},
}
# The edges are programs like those that users write, so they may use the public face (it is lazy: nothing is circular).
USES_THE_FACE = {"cli", "web"}

PURE = {
    "errors",
    "_version",
    "_ids",
    "_limits",
    "_duration",
    "_headers",
    "interceptors",
    "retry",
    "codec",
    "history",
    "_runtime",
}
IMPURE_MODULES = {
    "time", "random", "uuid", "os", "socket", "sqlite3", "redis", "threading", "secrets", "subprocess", "multiprocessing",
    "select", "ssl", "tempfile",
}  # fmt: skip
MAY_IMPORT = {
    "_runtime/entropy.py": {"random", "uuid"},  # the one seeded generator of a run
}
TYPES = {"uuid.UUID", "random.Random"}  # types that a value may have; to make a `Random` is another matter

CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "time.localtime", "time.gmtime", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "datetime.date.today", "uuid.uuid1", "uuid.uuid4", "uuid.uuid7", "os.urandom",
}  # fmt: skip
READS_A_CLOCK = {"_clock.py"}
HOLDS_A_GENERATOR = {"_clock.py", "_runtime/entropy.py"}

FILE_LINES_MAX, BODY_LINES_MAX = 400, 60
OVERSIZE: dict[str, int] = {}  # may only shrink
SHADOWING = {"workflow.py", "activity.py"}  # importing such a module would replace the decorator of that name
VAGUE = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}


TESTS = sorted(path for folder in ("tests", "samples/tests") for path in (ROOT / folder).rglob("test_*.py"))
SLEEPS = {"time.sleep", "asyncio.sleep"}
MAY_SLEEP = {
    "tests/runtime/test_guard.py": {"_sleep": "what a workflow must not call"},
    "tests/runtime/test_loop.py": {
        "sleeper": "runs in a workflow's loop, where it is a timer that the test fires",
        "forgotten": "runs in a workflow's loop, where it is a timer that the test fires",
    },
    "tests/runtime/test_loop_order.py": {"nap": "runs in a workflow's loop, where it is a timer that the test fires"},
    "tests/simulation/test_speed.py": {
        "execute": "a simulation of known length, as the test is of how those are told apart"
    },
}
"""Functions of tests that sleep for some time, and why that waits for nothing."""


class Import(NamedTuple):
    """One import: the full name of what is imported, its line, and whether only type checkers run it."""

    name: str
    line: int
    typing_only: bool
    deferred: bool


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    """Return the part of the package that a file belongs to: its folder, or its own name at the top."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def package_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(path: Path) -> list[Import]:
    """Return every import of a file, wherever it stands."""
    found: list[Import] = []

    def visit(node: ast.AST, typing_only: bool, deferred: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, typing_only, deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node, package_of(path))
            found.extend(Import(f"{origin}.{a.name}", node.lineno, typing_only, deferred) for a in node.names)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, typing_only or (guarded and child in getattr(node, "body", [])), inside)

    visit(parsed(path), typing_only=False, deferred=False)
    return found


def target_part(name: str) -> str | None:
    """Return the part of our package that `name` belongs to ("__init__" for the public face), or None if it is not ours."""
    parts = name.split(".")
    if parts[0] != "durable":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "__init__"


def refusal(part: str, target: str) -> str | None:
    """Return why `part` may not import `target`, or None if it may."""
    if target == part or {part, target} <= VOCABULARY:
        return None
    if target == "__init__":
        return None if part in USES_THE_FACE else "it imports the public face; import the module that defines the name"
    if target in NEVER.get(part, set()):
        return f"`{part}` never imports `{target}`; pass in what it needs, or move the code to a layer above both"
    if LEVEL[target] == LEVEL[part]:
        return f"`{part}` and `{target}` are neighbours; move what they share to a layer below"
    if LEVEL[target] > LEVEL[part]:
        return f"imports point down, and `{target}` is above `{part}`; turn the dependency round"
    return None


each_file = pytest.mark.parametrize("path", FILES, ids=relative)


@each_file
def test_a_file_belongs_to_a_layer(path: Path) -> None:
    """Every file is in a part that the list of layers knows."""
    assert part_of(path) in LEVEL, f"{relative(path)} is in no layer; add its part to LAYERS where it belongs"


@each_file
def test_imports_point_down(path: Path) -> None:
    """A part imports only what lies below it, and never what the bans name."""
    part, broken = part_of(path), []
    for found in imports_of(path):
        target = target_part(found.name)
        if target is None or (part == "__init__" and found.typing_only):
            continue
        if reason := refusal(part, target):
            broken.append(f"{path}:{found.line}: imports {found.name}: {reason}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("part", "target", "allowed"),
    [
        ("_engine", "stores", True),
        ("worker", "_engine", True),
        ("author", "_runtime", True),
        ("retry", "_duration", True),
        ("cli", "__init__", True),
        ("_runtime", "stores", False),
        ("codec", "stores", False),
        ("history", "_log", False),
        ("client", "worker", False),
        ("client", "_engine", False),
        ("cli", "worker", False),
        ("stores", "client", False),
        ("_engine", "__init__", False),
    ],
)
def test_the_rule_on_imports_bites(part: str, target: str, *, allowed: bool) -> None:
    """The rule itself is right: what it must allow it allows, what it must refuse it refuses."""
    assert (refusal(part, target) is None) == allowed


PURE_FILES = [path for path in FILES if part_of(path) in PURE or path.stem.lstrip("_") == "step"]


@pytest.mark.parametrize("path", PURE_FILES, ids=relative)
def test_pure_parts_touch_no_outside(path: Path) -> None:
    """The pure parts import no clock, generator, thread, socket or environment: what they need is an argument."""
    allowed = MAY_IMPORT.get(relative(path), set())
    broken = [
        f"{path}:{found.line}: imports {found.name}; take what it gives as an argument"
        for found in imports_of(path)
        if found.name.split(".")[0] in IMPURE_MODULES - allowed and found.name not in TYPES
    ]
    assert not broken, "\n".join(broken)


def clock_uses(tree: ast.Module, package: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the reason for each use of a clock, an id or a generator that `file` may not make."""
    names = imported_names(ast.walk(tree), package)
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        name = dotted(node, names) if isinstance(node, ast.Attribute | ast.Name) else None
        if not name or not isinstance(node, ast.Attribute | ast.Name) or (name in TYPES and node not in called):
            continue
        if name in CLOCKS and file not in READS_A_CLOCK:
            yield node.lineno, f"uses {name}; ask the clock that was handed in"
        if name.startswith(("random.", "secrets.")) and file not in HOLDS_A_GENERATOR:
            yield node.lineno, f"uses {name}; take `Clock.jitter` or the run's own generator"


@each_file
def test_only_the_clock_reads_a_clock(path: Path) -> None:
    """Time, ids and chance come through the `Clock` that is handed in; so a test can run days in milliseconds."""
    broken = [f"{path}:{line}: {why}" for line, why in clock_uses(parsed(path), package_of(path), relative(path))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "text",
    [
        "import time\nt = time.time()",
        "from time import monotonic as clock\nt = clock()",
        "from datetime import datetime as dt\nt = dt.now()",
        "def f():\n    import random\n    return random.choice([1])",
        "import os\nx = os.urandom(8)",
        "from random import Random\nx = Random(1)",
    ],
)
def test_the_rule_on_clocks_bites(text: str) -> None:
    """Aliases and imports inside of functions do not hide a clock."""
    assert list(clock_uses(ast.parse(text), "durable._engine", "_engine/x.py"))


@each_file
def test_a_file_fits_its_cap(path: Path) -> None:
    """One concept a file."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    cap = OVERSIZE.get(relative(path), FILE_LINES_MAX)
    assert lines <= cap, f"{path} has {lines} lines, {cap} are allowed; split it by concept"


@each_file
def test_a_function_fits_a_screen(path: Path) -> None:
    """A body, without its docstring, is at most a screen long."""
    long = [
        f"{path}:{node.lineno}: {node.name} has a body of {length} lines, {BODY_LINES_MAX} are allowed; split it"
        for node, length in bodies(parsed(path))
        if length > BODY_LINES_MAX
    ]
    assert not long, "\n".join(long)


@each_file
def test_a_file_has_a_name_that_says_something(path: Path) -> None:
    """No module hides a decorator, and none is a drawer for everything."""
    if path.parent == PACKAGE:
        assert path.name not in SHADOWING, f"{path}: importing it would shadow the decorator `{path.stem}`; rename it"
    assert path.name not in VAGUE, f"{path}: name it after the concept that it holds"


@each_file
def test_public_names_have_docstrings(path: Path) -> None:
    """A module, and each public function and class in it, says what it promises. Plain records of a private module may be silent."""
    tree = parsed(path)
    silent = [] if ast.get_docstring(tree) or not tree.body else [f"{path}:1: the module has no docstring"]
    silent += [
        f"{path}:{node.lineno}: {node.name} has no docstring; say what it guarantees, its units and its errors"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not is_overload(node)
        and not (path.stem.startswith("_") and is_record(node))
    ]
    assert not silent, "\n".join(silent)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Not even within one part: what is imported at load time forms no circle."""
    graph = {module_of(path): loaded_by(path) for path in FILES if path != PACKAGE / "__init__.py"}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "a circle of imports: " + " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_test_sleeps(path: Path) -> None:
    """It waits for what is to happen. Workflows and activities may sleep, and so may a loop that looks whether it has happened."""
    allowed = MAY_SLEEP.get(path.relative_to(ROOT).as_posix(), {})
    found = [(function, line) for function, line in sleeps(parsed(path)) if function not in allowed]
    assert not found, "\n".join(
        f"{path}:{line}: {function} sleeps; wait for the event, or use virtual time" for function, line in found
    )


def test_what_may_sleep_does() -> None:
    """The list says nothing of what is not there any more."""
    for name, functions in MAY_SLEEP.items():
        assert {function for function, _ in sleeps(parsed(ROOT / name))} == set(functions)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("import asyncio\nasync def test_x(): await asyncio.sleep(0.1)", True),
        ("from time import sleep as nap\ndef test_x(): nap(1)", True),
        ("import asyncio\nasync def test_x(s): await asyncio.sleep(s)", True),
        ("import asyncio\nasync def test_x(): await asyncio.sleep(0)", False),
        ("import asyncio\nasync def test_x():\n    while not done(): await asyncio.sleep(1)", False),
        ("import asyncio\nfrom durable import workflow\n@workflow\nasync def x(): await asyncio.sleep(1)", False),
        ("import time\nfrom durable import activity\n@activity(timeout=1)\ndef x(): time.sleep(1)", False),
    ],
)
def test_the_rule_on_sleeps_bites(text: str, is_found: bool) -> None:
    """Aliases do not hide a sleep."""
    assert bool(list(sleeps(ast.parse(text)))) is is_found


def sleeps(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the sleeps of a test module for some time, or for one that cannot be told, each with its function and line.

    Not those in workflows, activities and what is inside of them, nor those within a loop.
    """
    names = imported_names(ast.walk(tree))

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
            if any(ours(dotted(mark, names), what) for mark in marks for what in ("workflow", "activity")):
                return
            function = node.name
        elif isinstance(node, ast.While | ast.For | ast.AsyncFor):
            return
        elif isinstance(node, ast.Call) and dotted(node.func, names) in SLEEPS:
            known = node.args[0] if node.args else None
            if not isinstance(known, ast.Constant) or known.value:
                yield function, node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(tree, "")


def bodies(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Yield each function with the number of lines of its body, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def is_record(node: ast.stmt) -> bool:
    """Tell whether a class has fields only: their names and types say it all."""
    return isinstance(node, ast.ClassDef) and all(isinstance(line, ast.AnnAssign) for line in node.body)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def loaded_by(path: Path) -> set[str]:
    """Return the modules of ours that are loaded when `path` is: no deferred imports, none for type checkers."""
    known = {module_of(other) for other in FILES}
    found: set[str] = set()
    for one in imports_of(path):
        if not one.typing_only and not one.deferred:
            name = one.name if one.name in known else one.name.rpartition(".")[0]
            found |= {name} & (known - {"durable", module_of(path)})
    return found
