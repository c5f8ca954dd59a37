"""Finds in source text what workflow code and activities must not do. Pure: text in, findings out.

A workflow is a function decorated with durable's `workflow`, under whatever name it was imported. Its nested functions
are part of it, and so are the functions of the same module that it refers to. Activities are not, nor is what is handed
to `side_effect`. Code of other modules is not followed, and a name that cannot be told is not reported.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ._lint_activities import blocking_calls
from ._lint_awaits import unawaited_calls
from ._lint_calls import ENVIRONMENT_NAMES, broken_by, broken_by_method
from ._lint_cancel import swallowed_cancellations
from ._lint_names import ours
from ._lint_readers import commanding_readers
from ._lint_rules import ENVIRONMENT, IDENTITY, ORDER, Finding, Rule, codes_of
from ._lint_scope import Function, Scope, inner_scope, module_scope, own_nodes
from ._lint_state import Broken, shared_defaults, state_changes

_IGNORE = re.compile(r"#\s*durable:\s*ignore(?:\[([\w,\s-]+)\])?")
# What these make of a set does not depend on its order.
_ORDER_FREE = {
    "sorted", "set", "frozenset", "sum", "min", "max", "any", "all", "len", "bool", "collections.Counter", "math.fsum",
}  # fmt: skip
# These hand on the order of what they are given.
_ORDER_KEEPING = {
    "list", "tuple", "iter", "enumerate", "zip", "map", "filter", "next", "dict.fromkeys", "collections.deque",
    "itertools.chain", "asyncio.gather",
}  # fmt: skip


_Found = dict[tuple[int, int, str], Finding]


def lint_source(text: str, filename: str = "<source>", known: Mapping[str, str] | None = None) -> list[Finding]:
    """Return what breaks a rule in the workflows and activities of `text`, by line.

    `known` says of functions in other modules, by their dotted names, what they are (see `defined_in`). Raises
    `SyntaxError` if `text` is not Python.
    """
    tree = ast.parse(text, filename)
    found: _Found = {}
    module = module_scope(tree)
    for function, home, what in _marked_in(tree.body, module):
        if what == "workflow":
            _Walk(function.name, module, known or {}, found).follow(function, home)
        else:
            _check_activity(function, home, found)
    ignored = _ignored(text)
    kept = (finding for finding in found.values() if not ignored.covers(finding))
    return sorted(kept, key=lambda finding: (finding.line, finding.column, finding.rule))


def defined_in(text: str) -> dict[str, str]:
    """Return the functions at the top of a module that workflow code may not call without awaiting: name to what it is."""
    tree = ast.parse(text)
    top = {node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {function.name: what for function, _, what in _marked_in(tree.body, module_scope(tree)) if function in top}


def _marked_in(body: list[ast.stmt], scope: Scope) -> Iterator[tuple[Function, Scope, str]]:
    """Yield the workflows and activities among `body` and inside of it, each with the scope that it stands in."""
    for node in own_nodes(body):
        if isinstance(node, ast.ClassDef):
            yield from _marked_in(node.body, scope)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            what = next((each for each in ("workflow", "activity") if _is_marked(node, each, scope)), "")
            if what:
                yield node, scope, what
            if what != "workflow":  # what stands inside of a workflow is a part of it
                yield from _marked_in(node.body, inner_scope(node, scope))


def _is_marked(function: Function, what: str, scope: Scope) -> bool:
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in function.decorator_list)
    return any(ours(scope.resolved(mark), what) for mark in marks)


def _check_activity(function: Function, home: Scope, found: _Found) -> None:
    for broken, inside in blocking_calls(function, home):
        where = "" if inside is function else f" (in {inside.name}, which activity {function.name} uses)"
        _report(found, broken.rule, broken.node, broken.message(where))


def _report(found: _Found, rule: Rule, node: ast.expr, message: str) -> None:
    key = (node.lineno, node.col_offset + 1, rule.code)
    found.setdefault(key, Finding(rule.code, node.lineno, node.col_offset + 1, message, rule.advice))


class _Walk:
    """Visits the code of one workflow, and adds what it finds to `found`."""

    def __init__(self, workflow: str, module: Scope, known: Mapping[str, str], found: _Found) -> None:
        self.workflow, self.module, self.known, self.found = workflow, module, known, found
        self.seen: set[Function] = set()

    def follow(self, function: Function, home: Scope) -> None:
        """Visit `function`, which is defined in `home`, unless it was visited or is an activity or another workflow."""
        is_first = not self.seen
        is_other = self.seen and _is_marked(function, "workflow", home)
        if function in self.seen or is_other or _is_marked(function, "activity", home):
            return
        self.seen.add(function)
        where = "" if is_first else f" (in {function.name}, which workflow {self.workflow} uses)"
        scope = inner_scope(function, home)
        for broken in self._checks(function, home, scope, is_workflow=is_first):
            self._report(broken.rule, broken.node, broken.message(where))
        for statement in function.body:
            self._visit(statement, scope, where)

    def _checks(self, function: Function, home: Scope, scope: Scope, *, is_workflow: bool) -> Iterable[Broken]:
        """Yield what is found by looking at the function as a whole."""
        yield from state_changes(function, scope, self.module)
        yield from swallowed_cancellations(function, scope)
        yield from unawaited_calls(function, scope, self.known, returns_result=is_workflow)
        yield from commanding_readers(function, scope, self.known)
        if is_workflow or home is self.module:
            yield from shared_defaults(function, home)

    def _visit(self, node: ast.AST, scope: Scope, where: str, *, free: bool = False) -> None:
        """Visit `node` and what is in it. `free`: the order in which it gives its values does not matter."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.follow(node, scope)
            return
        if isinstance(node, ast.Lambda):
            scope = inner_scope(node, scope)
        self._check_order(node, scope, where, free=free)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in scope.functions:
            self.follow(*scope.functions[node.id])
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            self._check_call(node, scope, where)
            if ours(scope.resolved(node.func), "side_effect"):
                return
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            if (name := scope.resolved(node)) in ENVIRONMENT_NAMES:
                self._report(ENVIRONMENT, node, f"{name} {ENVIRONMENT.problem}{where}")
        elif isinstance(node, ast.keyword) and node.arg == "key" and scope.resolved(node.value) in ("id", "hash"):
            self._report(IDENTITY, node.value, f"{ast.unparse(node.value)} as a key {IDENTITY.problem}{where}")
        free_inside = isinstance(node, ast.Call) and scope.resolved(node.func) in _ORDER_FREE
        free_inside |= free and isinstance(node, ast.Call) and scope.resolved(node.func) in _ORDER_KEEPING
        free_inside |= isinstance(node, ast.Starred) and free
        free_inside |= isinstance(node, ast.Set)
        for child in children:
            self._visit(child, scope, where, free=free_inside)

    def _check_call(self, call: ast.Call, scope: Scope, where: str) -> None:
        name = scope.resolved(call.func)
        rule = broken_by(name, call) if name else None
        shown = name or ""
        if rule is None and isinstance(call.func, ast.Attribute):
            rule = broken_by_method(call.func.attr, of_path=scope.is_path(call.func.value))
            shown = call.func.attr
        if rule:
            self._report(rule, call, f"{shown}() {rule.problem}{where}")

    def _check_order(self, node: ast.AST, scope: Scope, where: str, *, free: bool) -> None:
        match node:
            case ast.For(iter=source) | ast.Starred(value=source):
                sources = [] if free else [source]
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp():
                quiet = free and not any(isinstance(inner, ast.Await) for inner in ast.walk(node))
                sources = [] if quiet else [generator.iter for generator in node.generators]
            case ast.SetComp() if any(isinstance(inner, ast.Await) for inner in ast.walk(node)):
                sources = [generator.iter for generator in node.generators]
            case ast.Call(func=ast.Attribute(attr="pop", value=source), args=[]):
                sources = [source]
            case ast.Call(func=ast.Attribute(attr="join"), args=[source]):
                sources = [source]
            case ast.Call() if not free and scope.resolved(node.func) in _ORDER_KEEPING:
                sources = list(node.args)
            case _:
                return
        for source in sources:
            if scope.is_set(source):
                self._report(ORDER, source, f"this {ORDER.problem}{where}")

    def _report(self, rule: Rule, node: ast.expr, message: str) -> None:
        _report(self.found, rule, node, message)


@dataclass(frozen=True, slots=True)
class _Ignored:
    """The rules that a comment turns off, by line; an empty set stands for all."""

    by_line: dict[int, set[str]]

    def covers(self, finding: Finding) -> bool:
        codes = self.by_line.get(finding.line)
        return codes is not None and (not codes or finding.rule in codes)


def _ignored(text: str) -> _Ignored:
    """Collect `# durable: ignore[DUR101, io]` and `# durable: ignore`; each holds for its own line. Unknown rules ignore nothing."""
    by_line: dict[int, set[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := _IGNORE.search(token.string)):
            by_line[token.start[0]] = _codes(match[1]) if match[1] else set()
    return _Ignored(by_line)


def _codes(text: str) -> set[str]:
    found = {"?"}  # never empty, which would stand for all
    for word in text.split(","):
        try:
            found |= codes_of(word)
        except ValueError:
            continue
    return found
