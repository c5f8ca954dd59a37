"""What `durable lint` finds out about what may only read: query handlers and validators."""

import ast
from collections.abc import Iterator, Mapping

from ._lint_awaits import all_made_by, begun_by
from ._lint_names import ours
from ._lint_rules import READER
from ._lint_scope import Function, Scope, inner_scope, own_nodes
from ._lint_state import Broken

_COMMANDS = ("start_child", "continue_as_new", "side_effect", "patched", "deprecate_patch", "upsert_attributes")


def commanding_readers(function: Function, scope: Scope, known: Mapping[str, str]) -> Iterator[Broken]:
    """Yield the calls in the query handlers and validators of `function` that command something. See `unawaited_calls` for `known`."""
    for node in own_nodes(function.body):
        if not isinstance(node, ast.FunctionDef):
            continue
        reader = next((what for mark in node.decorator_list if (what := _reader(mark, scope))), "")
        if not reader:
            continue
        inside = inner_scope(node, scope)
        for call in own_nodes(node.body):
            if isinstance(call, ast.Call) and (what := _command(call, inside, known)):
                yield Broken(READER, call, what, f"{node.name} is {reader}")


def _reader(mark: ast.expr, scope: Scope) -> str:
    """Return what a function is that is decorated with `mark`, if it may only read; else nothing."""
    match mark:
        case ast.Attribute(value=value, attr="handler") if _made_by(value, scope, "Query"):
            return "a query handler"
        case ast.Attribute(value=value, attr="dynamic") if ours(scope.resolved(value), "Query"):
            return "a query handler"
        case ast.Attribute(value=value, attr="validator") if _made_by(value, scope, "Update"):
            return "a validator"
    return ""


def _made_by(value: ast.expr, scope: Scope, maker: str) -> bool:
    match value:
        case ast.Call():
            return ours(scope.resolved(value.func), maker)
        case ast.Name(id=name):
            return all_made_by(name, scope, (maker,))
    return False


def _command(call: ast.Call, scope: Scope, known: Mapping[str, str]) -> str:
    name = scope.resolved(call.func)
    if any(ours(name, each) for each in _COMMANDS):
        return f"{ast.unparse(call.func)}()"
    return begun_by(call, scope, known)
