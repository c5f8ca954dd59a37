"""What `durable lint` finds out about cancellation: handlers that take it and go on."""

import ast
from collections.abc import Iterable, Iterator

from ._lint_rules import SWALLOWED
from ._lint_scope import Function, Scope, own_nodes
from ._lint_state import Broken

_CANCELLED = {"asyncio.CancelledError", "asyncio.exceptions.CancelledError", "concurrent.futures.CancelledError"}
_EVERYTHING = {"BaseException", "BaseExceptionGroup"}


def swallowed_cancellations(function: Function, scope: Scope) -> Iterator[Broken]:
    """Yield the handlers of `function` that take a cancellation and do not raise again.

    Left alone: a handler of `CancelledError` that returns, since that ends the run on purpose, and one around the await of a
    task that the function has cancelled itself.
    """
    nodes = list(own_nodes(function.body))
    cancelled = {
        ast.unparse(node.func.value)
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cancel"
    }
    for node in nodes:
        match node:
            case ast.Try() | ast.TryStar():
                yield from _in_try(node, scope, cancelled)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    call = item.context_expr
                    if isinstance(call, ast.Call) and scope.resolved(call.func) == "contextlib.suppress":
                        caught = {scope.resolved(kind) for kind in call.args}
                        if caught & _EVERYTHING or (caught & _CANCELLED and not _only_awaits(node.body, cancelled)):
                            yield Broken(SWALLOWED, call, ast.unparse(call))


def _in_try(node: ast.Try | ast.TryStar, scope: Scope, cancelled: set[str]) -> Iterator[Broken]:
    for handler in node.handlers:
        caught = _caught(handler, scope)
        shown = f"except {ast.unparse(handler.type)}" if handler.type is not None else "a bare except"
        inside = list(own_nodes(handler.body))
        if any(isinstance(each, ast.Raise) for each in inside):
            continue
        everything = handler.type is None or bool(caught & _EVERYTHING)
        if not everything:
            if not caught & _CANCELLED or _only_awaits(node.body, cancelled):
                continue
            if any(isinstance(each, ast.Return) for each in inside):
                continue
        yield Broken(SWALLOWED, _at(handler), shown)
    for inner in own_nodes(node.finalbody):
        if isinstance(inner, ast.Return):
            yield Broken(SWALLOWED, _at(inner), "return in finally")


def _caught(handler: ast.ExceptHandler, scope: Scope) -> set[str | None]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
    return {scope.resolved(kind) for kind in kinds}


def _only_awaits(body: list[ast.stmt], cancelled: set[str]) -> bool:
    """Whether `body` does nothing but await what the function has cancelled: then the cancellation is that one's."""
    awaited: list[ast.expr] = []
    for statement in body:
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if not isinstance(value, ast.Await):
            return False
        awaited.append(value.value)
    return bool(awaited) and all(_names(each) & cancelled for each in awaited)


def _names(node: ast.AST) -> set[str]:
    parts: Iterable[ast.AST] = ast.walk(node)
    return {ast.unparse(part) for part in parts if isinstance(part, ast.Name | ast.Attribute)}


def _at(node: ast.ExceptHandler | ast.Return) -> ast.expr:
    """Stand for a place that is no expression."""
    return ast.Name("", ast.Load(), lineno=node.lineno, col_offset=node.col_offset)
