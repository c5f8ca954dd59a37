"""Finds in source text what workflow code must not do. Pure: text in, findings out.

A workflow is a function decorated with durable's `workflow`, under whatever name it was imported. Its nested functions
are part of it, and so are the functions of the same module that it refers to. Activities are not, nor is what is handed
to `side_effect`. Code of other modules is not followed, and a name that cannot be told is not reported.
"""

import ast
import io
import re
import tokenize
from dataclasses import dataclass

from ._lint_rules import ORDER, Finding, Rule, broken_by, broken_by_method
from ._lint_scope import Function, Scope, inner_scope, module_scope, own_nodes

_IGNORE = re.compile(r"#\s*durable:\s*ignore(?:\[([A-Z0-9,\s]+)\])?")
# What these make of a set does not depend on its order.
_ORDER_FREE = {
    "sorted", "set", "frozenset", "sum", "min", "max", "any", "all", "len", "bool", "collections.Counter", "math.fsum",
}  # fmt: skip
# These hand on the order of what they are given.
_ORDER_KEEPING = {
    "list", "tuple", "iter", "enumerate", "zip", "map", "filter", "next", "dict.fromkeys", "collections.deque",
    "itertools.chain", "asyncio.gather",
}  # fmt: skip


def lint_source(text: str, filename: str = "<source>") -> list[Finding]:
    """Return what breaks a rule in the workflows of `text`, by line. Raises `SyntaxError` if it is not Python."""
    tree = ast.parse(text, filename)
    found: dict[tuple[int, int, str], Finding] = {}
    _find_workflows(tree.body, module_scope(tree), found)
    ignored = _ignored(text)
    kept = (finding for finding in found.values() if not ignored.covers(finding))
    return sorted(kept, key=lambda finding: (finding.line, finding.column, finding.rule))


def _find_workflows(body: list[ast.stmt], scope: Scope, found: dict[tuple[int, int, str], Finding]) -> None:
    for node in own_nodes(body):
        if isinstance(node, ast.ClassDef):
            _find_workflows(node.body, scope, found)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if _is_marked(node, "workflow", scope):
                _Walk(node.name, found).follow(node, scope)
            elif not _is_marked(node, "activity", scope):
                _find_workflows(node.body, inner_scope(node, scope), found)


def _is_ours(name: str | None, what: str) -> bool:
    """Tell whether the dotted `name` is our public name `what`, imported from wherever it may be had."""
    return name == f"durable.{what}" or bool(name and name.startswith("durable.author.") and name.endswith(f".{what}"))


def _is_marked(function: Function, what: str, scope: Scope) -> bool:
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in function.decorator_list)
    return any(_is_ours(scope.resolved(mark), what) for mark in marks)


class _Walk:
    """Visits the code of one workflow, and adds what it finds to `found`."""

    def __init__(self, workflow: str, found: dict[tuple[int, int, str], Finding]) -> None:
        self.workflow, self.found = workflow, found
        self.seen: set[Function] = set()

    def follow(self, function: Function, home: Scope) -> None:
        """Visit `function`, which is defined in `home`, unless it was visited or is an activity or another workflow."""
        is_other = self.seen and _is_marked(function, "workflow", home)
        if function in self.seen or is_other or _is_marked(function, "activity", home):
            return
        self.seen.add(function)
        where = "" if function.name == self.workflow else f" (in {function.name}, which workflow {self.workflow} uses)"
        scope = inner_scope(function, home)
        for statement in function.body:
            self._visit(statement, scope, where)

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
            if _is_ours(scope.resolved(node.func), "side_effect"):
                return
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
        key = (node.lineno, node.col_offset + 1, rule.code)
        self.found.setdefault(key, Finding(rule.code, node.lineno, node.col_offset + 1, message, rule.advice))


@dataclass(frozen=True, slots=True)
class _Ignored:
    """The rules that a comment turns off, by line; an empty set stands for all."""

    by_line: dict[int, set[str]]

    def covers(self, finding: Finding) -> bool:
        codes = self.by_line.get(finding.line)
        return codes is not None and (not codes or finding.rule in codes)


def _ignored(text: str) -> _Ignored:
    """Collect `# durable: ignore[DUR101, DUR104]` and `# durable: ignore`; each holds for its own line."""
    by_line: dict[int, set[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := _IGNORE.search(token.string)):
            by_line[token.start[0]] = {code.strip() for code in (match[1] or "").split(",") if code.strip()}
    return _Ignored(by_line)
