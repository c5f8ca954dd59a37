"""Writes docs/reference/*.md from the docstrings of the package, and the list of decisions: `python docs/make_reference.py`.

The examples are programs, in docs/examples; EXAMPLES says which of them stands below which name.

With `--check` it only says which pages are stale.

Signatures are taken from the source text, not from `inspect.signature`: so every Python version writes the same files.
"""

import ast
import inspect
import io
import sys
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import durable
from durable import errors, history, stores

FOLDER = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/make_reference.py. Change what it reads, not this page, then run it again. -->\n"
EXAMPLES_FOLDER = FOLDER.parent / "examples"
WIDTH = 88  # what fits a code block of the site without a scroll bar

PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "workflow-code.md": (
        "Workflow code",
        "What a workflow is written with. Plain `asyncio` (`gather`, `TaskGroup`, `timeout`, `Queue`, ...) works as well.",
        ("workflow", "proxy", "local", "start_child", "continue_as_new", "author.ContinuingAsNew", "ChildHandle",
         "sleep", "now", "random", "uuid4", "wait_condition", "all_handlers_finished", "side_effect", "patched",
         "deprecate_patch", "Attribute",
         "upsert_attributes", "info",
         "RunInfo", "ParentInfo", "logger", "Signal", "Query", "Update", "external",
         "author._external.ExternalRun", "author.AttributeCondition", "author.Attributes"),
    ),
    "activities.md": (
        "Activities",
        "The functions that do the I/O, and what they know of themselves.",
        ("activity", "activity_info", "ActivityInfo", "heartbeat", "complete_later", "ActivityHandle", "RetryPolicy"),
    ),
    "client-and-worker.md": (
        "Client and worker",
        "The process that asks, and the process that runs.",
        ("Client", "Handle", "UpdateHandle", "client.StartOptions", "client._start_with_update.StartWithUpdateOptions",
         "RunDescription", "client.ForkInfo", "client.Parked", "client.ParkedTask",
         "client.VersionUse", "client.PatchUse", "Pruned", "Health", "client.PartitionHealth", "client.WorkerHealth", "Finding",
         "Worker", "ArchivedRun", "FolderArchive", "JsonCodec", "PickleCodec"),
    ),
    "interceptors.md": (
        "Interceptors",
        "Code around what clients, workflows and activities do. How to use it: [Interceptors and tracing](../how-to/interceptors.md).",
        ("Interceptor", "telemetry.TracingInterceptor", "interceptors.with_headers",
         "interceptors.RunView", "interceptors.StartInput", "interceptors.SignalInput", "interceptors.QueryInput",
         "interceptors.UpdateInput", "interceptors.CancelInput", "interceptors.TerminateInput", "interceptors.RunWorkflowInput",
         "interceptors.HandleSignalInput", "interceptors.HandleUpdateInput", "interceptors.HandleQueryInput",
         "interceptors.CallActivityInput", "interceptors.StartChildInput", "interceptors.SignalExternalInput",
         "interceptors.CancelExternalInput", "interceptors.ContinueAsNewInput", "interceptors.RunActivityInput"),
    ),
    "testing.md": (
        "Testing",
        "What `durable.testing` has for tests of workflows and activities. How to use it: [Test your workflows](../how-to/test-workflows.md).",
        ("testing.TestEnvironment", "testing.Fake", "testing.Call", "testing.in_turn", "testing.ActivityEnvironment",
         "testing.replay", "testing.replay_all", "testing.replay_files", "testing.histories_in", "testing.assert_replays",
         "testing.assert_deterministic", "testing.ReplayResult", "testing.Divergence", "testing.Drift",
         "testing.executions", "testing.outcomes", "testing.durations", "testing.Execution", "testing.strategies.Call",
         "testing.strategies.Attempt", "testing.strategies.Answer", "testing.strategies.Updated", "testing.Completed", "testing.Failed", "testing.Cancelled",
         "testing.TimedOut", "testing.Terminated", "testing.Continued", "testing.Waiting", "testing.ExecutionError", "testing.Story", "testing.strategies.Fate",
         "testing.strategies.Arrival", "testing.strategies.Crash", "testing.simulate", "testing.Chaos", "testing.RandomPrograms",
         "testing.simulation.Scenario", "testing.simulation.Report", "testing.SimulationError"),
    ),
}  # fmt: skip
EXAMPLES: dict[str, tuple[str, ...]] = {
    "Client.prune": ("a_prune",),
    "Client.health": ("a_look_at_health",),
    "workflow": ("a_workflow",),
    "proxy": ("a_proxy",),
    "local": ("a_local_activity",),
    "start_child": ("a_child",),
    "ChildHandle.result": ("a_child_that_fails",),
    "ChildHandle.cancel": ("a_child_that_is_cancelled",),
    "continue_as_new": ("continuing_as_new",),
    "ContinuingAsNew.into": ("continuing_as_another",),
    "sleep": ("sleeping",),
    "uuid4": ("chance_and_ids",),
    "wait_condition": ("waiting_for_a_condition",),
    "all_handlers_finished": ("handlers_and_the_end",),
    "side_effect": ("a_side_effect",),
    "patched": ("a_patch",),
    "deprecate_patch": ("a_patch_that_ages",),
    "Attribute": ("an_attribute",),
    "upsert_attributes": ("attributes_of_a_run",),
    "info": ("what_a_run_knows",),
    "Signal": ("signals_in_a_loop",),
    "Signal.receive": ("receiving_a_signal",),
    "Signal.handler": ("handling_a_signal",),
    "Signal.dynamic": ("signals_of_any_name",),
    "Query": ("answering_a_query",),
    "Query.dynamic": ("queries_of_any_name",),
    "Update": ("handling_an_update",),
    "Update.dynamic": ("updates_of_any_name",),
    "external": ("an_external_run",),
    "activity": ("an_activity", "cancelling_an_activity"),
    "activity_info": ("an_idempotency_key",),
    "heartbeat": ("a_heartbeat",),
    "complete_later": ("completing_later",),
    "ActivityHandle": ("an_activity_handle",),
    "RetryPolicy": ("a_retry_policy",),
    "StartOptions": ("ids_that_are_taken",),
    "Client.start_with_signal": ("starting_with_a_signal",),
    "Client.start_with_update": ("starting_with_an_update",),
    "Client.list": ("listing_runs",),
    "Client.versions": ("pinned_versions",),
    "Client.patches": ("patches_in_use",),
    "Handle.result": ("time_limits",),
    "Handle.start_update": ("an_update_found_later",),
    "Handle.cancel": ("cancelling_a_run",),
    "Handle.retry": ("retrying_a_run",),
    "Handle.fork": ("forking_a_run",),
    "Interceptor": ("an_interceptor",),
}
COVERED_ELSEWHERE = {"errors"}
FAMILIES = {
    "_runs": "Runs",
    "_activities": "Activities",
    "_children": "Child workflows",
    "_timers": "Timers",
    "_messages": "Messages",
    "_updates": "Updates",
    "_external": "Messages to other runs",
    "_markers": "Markers",
    "_attributes": "Attributes",
}
ROLES = {
    "inbound": "delivered to the code",
    "command": "asked for by the code",
    "close": "ends the run",
    "note": "not seen by the code",
}


def pages() -> dict[str, str]:
    """Return every page of the reference by its file name."""
    result = {name: public_page(*parts) for name, parts in PAGES.items()}
    result["errors.md"] = errors_page()
    result["events.md"] = events_page()
    result["stores.md"] = stores_page()
    result["limits.md"] = limits_page()
    result["command-line.md"] = command_line_page()
    result["lint-rules.md"] = lint_rules_page()
    result["../decisions/README.md"] = decisions_page()
    return result


def public_page(title: str, intro: str, names: tuple[str, ...]) -> str:
    """Return the page of some public names."""
    parts = [f"# {title}\n", NOTE, intro + "\n"]
    for name in names:
        home, _, name = name.rpartition(".")  # a class that is met, not imported, is named with its home
        parts.append(f"## {name}\n")
        parts.append(described(name, getattr(import_module(f"durable.{home}") if home else durable, name)))
    return "\n".join(parts)


def described(name: str, item: Any) -> str:
    """Return the signature and contract of a function, class or instance."""
    if inspect.isclass(item):
        return "\n".join(class_parts(name, item))
    if inspect.isfunction(item):
        node = parsed(item)
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        return f"{code(signature(node, name))}\n{doc(ast.get_docstring(node))}{examples(name)}"
    return doc(text_below(item_module(name), name)) + examples(name)


def class_parts(name: str, item: type) -> Iterator[str]:
    """Yield the parts of a class: how it is made, its contract, its members."""
    node = parsed(item)
    assert isinstance(node, ast.ClassDef)
    functions = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and not is_overload(n)]
    init = next((f for f in functions if f.name == "__init__"), None)
    data = fields(node)
    if init is not None:
        yield code(signature(init, name, drop_self=True, returns=False))
    elif data:
        yield code(wrapped(f"{name}(", data, ")"))
    yield doc(ast.get_docstring(node)) + examples(name)
    for function in functions:
        if function.name.startswith("_") or not ast.get_docstring(function):
            continue
        yield f"### {name}.{function.name}\n"
        if any("property" in source_of(d) for d in function.decorator_list):
            kind = f": {type_of(function.returns)}" if function.returns else ""
            yield code(f"{function.name}{kind}  # property")
        else:
            static = any(source_of(d) == "staticmethod" for d in function.decorator_list)
            yield code(signature(function, function.name, drop_self=not static))
        yield doc(ast.get_docstring(function)) + examples(f"{name}.{function.name}")


def examples(name: str) -> str:
    """Return the examples of a name, each with what it says of itself."""
    parts = []
    for example in EXAMPLES.get(name, ()):
        text = (EXAMPLES_FOLDER / f"{example}.py").read_text(encoding="utf-8")
        says = ast.get_docstring(ast.parse(text))
        assert says is not None
        program = text.partition('"""\n\n')[2]
        parts += ["", f"*Example.* {says}\n", code(program, "python")]
    return "\n".join(parts)


def signature(
    node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, *, drop_self: bool = False, returns: bool = True
) -> str:
    """Return the signature of a function as source text, one parameter a line if it is long."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [parameter(argument, default) for argument, default in zip(positional, defaults, strict=True)]
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        parts.append(f"*{parameter(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [parameter(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        parts.append(f"**{parameter(arguments.kwarg, None)}")
    if drop_self:
        parts = parts[1:]
    start = "async " if isinstance(node, ast.AsyncFunctionDef) and returns else ""
    end = f") -> {type_of(node.returns)}" if returns and node.returns is not None else ")"
    return wrapped(f"{start}{name}(", parts, end)


def parameter(argument: ast.arg, default: ast.expr | None) -> str:
    """Return a parameter as source text."""
    hint = f": {type_of(argument.annotation)}" if argument.annotation is not None else ""
    if default is None:
        return argument.arg + hint
    return argument.arg + hint + (" = " if hint else "=") + source_of(default)


def wrapped(start: str, parts: list[str], end: str) -> str:
    """Return `start`, `parts` and `end` on one line if they fit, else on several."""
    line = start + ", ".join(parts) + end
    if len(line) <= WIDTH or not parts:
        return line
    return start + "\n" + "".join(f"    {part},\n" for part in parts) + end


def fields(node: ast.ClassDef) -> list[str]:
    """Return the public fields of a data class, with their types and defaults."""
    found = []
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        hint = type_of(item.annotation)
        if item.target.id.startswith("_") or hint.startswith("ClassVar"):
            continue
        default = f" = {source_of(item.value)}" if item.value is not None else ""
        found.append(f"{item.target.id}: {hint}{default}")
    return found


def errors_page() -> str:
    """Return the page of the error tree."""
    tree, _, rest = (errors.__doc__ or "").partition("\n\n")[2].partition("\n\n")
    parts = ["# Errors\n", NOTE, "All are in `durable.errors`.\n", code(tree, "text"), doc(rest)]
    for name, item in vars(errors).items():
        if not inspect.isclass(item) or not issubclass(item, errors.DurableError):
            continue
        bases = ", ".join(f"`{base.__name__}`" for base in item.__bases__)
        again = " · the same call may succeed later" if item.retryable else ""
        parts += [f"## {name}\n", f"{bases}{again}\n", doc(item.__doc__)]
    return "\n".join(parts)


def events_page() -> str:
    """Return the page of the event types."""
    intro = (
        "What a history is made of. An event is one JSON object: `type` is its name (with `.2` and so on from version 2 on), "
        "`at` the store's time in milliseconds since 1970 (UTC), and the fields below. Fields that have their default are left "
        "out. `handle.history()` returns them, and `durable show ID --json` prints them.\n"
    )
    parts = ["# Events\n", NOTE, intro]
    module = ""
    for event in history.EVENTS:
        family = event.__module__.rpartition(".")[2]
        if family != module:
            module = family
            parts.append(f"## {FAMILIES[family]}\n")
        node = parsed(event)
        assert isinstance(node, ast.ClassDef)
        inherited = ["id: int"] if event.role == "command" else []
        parts += [f"### {history.tag_of(event)}\n", f"*{ROLES[event.role]}*\n", doc(event.__doc__)]
        listed = inherited + fields(node)
        if listed:
            parts.append(code("\n".join(listed)))
    return "\n".join(parts)


def stores_page() -> str:
    """Return the page of store URLs and of the function that opens them."""
    node = parsed(stores.open_store)
    assert isinstance(node, ast.FunctionDef)
    return "\n".join([
        "# Stores\n",
        NOTE,
        doc(stores.__doc__),
        "## open_store\n",
        "In `durable.stores`. `Client.connect` calls it for you.\n",
        code(signature(node, "open_store")),
        doc(ast.get_docstring(node)),
        "## The contract\n",
        "In `durable.stores`: what every store promises, and [a store of your own](../how-to/write-a-store.md) must keep.\n",
        doc(import_module("durable.stores._protocol").__doc__),
        *("\n".join(class_parts(name, getattr(stores, name))).replace("\n### ", "\n#### ") for name in ("Store", "Inspect")),
    ])  # fmt: skip


def limits_page() -> str:
    """Return the table of limits: each with the reason that stands beside it."""
    limits = import_module("durable._limits")
    source = inspect.getsource(limits)
    rows = []
    for number, line in enumerate(source.splitlines(), start=1):
        names, _, rest = line.partition(" = ")
        if not rest or not names.replace("_", "").replace(",", "").replace(" ", "").isupper():
            continue
        comment = next((t.string.lstrip("# ") for t in comments(source) if t.start[0] == number), "")
        values = ", ".join(f"{getattr(limits, name.strip()):,}" for name in names.split(","))
        rows.append(f"| `{names}` | {values} | {comment} |")
    return "\n".join(["# Limits\n", NOTE, "| limit | value | why |", "|---|---|---|", *rows, ""])


def comments(source: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the comments of a source text."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return (token for token in tokens if token.type == tokenize.COMMENT)


def command_line_page() -> str:
    """Return the page of the command line: what each command says of itself."""
    import click  # the extra "cli": only this page needs it

    from durable.cli._app import app

    parts = ["# Command line\n", NOTE, 'Install the extra `cli`: `pip install "durable-sdk[cli]"`.\n']
    parts += [doc((import_module("durable.cli._app").__doc__ or "").partition("\n\n")[2])]

    def add(command: click.Command, path: str, level: int) -> None:
        settings = {"help_option_names": ["-h", "--help"], "terminal_width": WIDTH, "max_content_width": WIDTH}
        context = click.Context(command, info_name=path, **settings)  # type: ignore[arg-type]
        parts.extend([f"{'#' * level} {path}\n", code(command.get_help(context), "text")])
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                add(found, f"{path} {name}", min(level + 1, 3))

    add(app, "durable", 2)
    return "\n".join(parts)


def lint_rules_page() -> str:
    """Return the page of what `durable lint` finds."""
    from durable.cli._lint_rules import RULES

    parts = ["# Lint rules\n", NOTE]
    parts.append("What `durable lint` finds. How to use it: [Check your code](../how-to/lint.md).\n")
    rows = [
        f"| [{r.code}](#{r.code.lower()}-{r.name}) | `{r.name}` | {r.problem} | {r.advice} |" for r in RULES.values()
    ]
    parts.append("\n".join(["| rule | name | code that | instead |", "|---|---|---|---|", *rows]) + "\n")
    for rule in RULES.values():
        parts.append(f"## {rule.code} {rule.name}\n")
        parts.append(f"{rule.why}\n\nNot like this:\n")
        parts.append(f"```py\n{rule.bad.rstrip()}\n```\n")
        parts.append("But like this:\n")
        parts.append(f"```py\n{rule.good.rstrip()}\n```\n")
    return "\n".join(parts)


def decisions_page() -> str:
    """Return the list of the decisions, by their titles."""
    rows = []
    for path in sorted((FOLDER.parent / "decisions").glob("0*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# 0123456789.")
        rows.append(f"| [{path.name[:4]}]({path.name}) | {title} |")
    intro = "What was decided where the design left room: context, decision, what was tried, consequences. One short page each.\n"
    return "\n".join(["# Decisions\n", NOTE, intro, "| | about |", "|---|---|", *rows, ""])


def source_of(node: ast.expr) -> str:
    """Return an expression as source text, with double quotes."""
    text = ast.unparse(node)
    return text if '"' in text else text.replace("'", '"')


def type_of(node: ast.expr) -> str:
    """Return an annotation as source text, without the quotes of a forward reference."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return source_of(node)


def parsed(item: Any) -> ast.stmt:
    """Return the syntax tree of a class or function."""
    return ast.parse(textwrap.dedent(inspect.getsource(item))).body[0]


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether this is only a signature for the type checkers."""
    return any(source_of(decorator) == "overload" for decorator in node.decorator_list)


def item_module(name: str) -> Any:
    """Return the module that defines the public instance `name`."""
    wanted = getattr(durable, name)
    for module in list(sys.modules.values()):
        if module.__name__.startswith("durable.author._") and vars(module).get(name) is wanted:
            return module
    raise LookupError(f"no module of durable.author defines {name}")


def text_below(module: Any, name: str) -> str:
    """Return the text that stands below the assignment of `name`."""
    body = ast.parse(inspect.getsource(module)).body
    for first, second in pairwise(body):
        if isinstance(first, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in first.targets):
            assert isinstance(second, ast.Expr)
            assert isinstance(second.value, ast.Constant)
            return str(second.value.value)
    raise LookupError(f"nothing is assigned to {name} in {module.__name__}")


def doc(text: str | None) -> str:
    """Return a docstring as Markdown."""
    if not text:
        raise ValueError("expected a docstring")
    return inspect.cleandoc(text) + "\n"


def code(text: str, language: str = "python-signature") -> str:
    """Return a code block. Signatures are no programs: their language is one that no test runs."""
    return f"```{'py' if language == 'python-signature' else language}\n{text.rstrip()}\n```\n"


def main(argv: list[str], *, say: Callable[[str], object] = print) -> int:
    """Write the pages, or with `--check` say which differ (exit code 1)."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER.parent / "decisions").mkdir(exist_ok=True)
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
    if stale:
        say(f"{'stale' if '--check' in argv else 'written'}: {', '.join(stale)}")
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
