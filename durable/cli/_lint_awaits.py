"""What `durable lint` finds out about calls that give something to await: results that are dropped or used too early."""

import ast
from collections.abc import Iterator, Mapping

from ._lint_names import ours
from ._lint_rules import UNAWAITED
from ._lint_scope import Function, Scope, own_nodes
from ._lint_state import Broken

_OUR_AWAITABLES = ("sleep", "wait_condition")
_OUR_CALLABLES = ("proxy", "local")
_ASYNCIO = {"asyncio.sleep", "asyncio.gather", "asyncio.wait", "asyncio.wait_for", "asyncio.shield"}
_SIGNAL_METHODS, _EXTERNAL_METHODS = {"receive"}, {"signal", "cancel"}
_OF_A_FUTURE = {"add_done_callback", "cancel", "cancelled", "done", "remove_done_callback"}


def unawaited_calls(
    function: Function, scope: Scope, known: Mapping[str, str], *, returns_result: bool
) -> Iterator[Broken]:
    """Yield the calls in `function` that begin something which nobody awaits.

    `known` names functions of other modules that are activities, workflows or coroutines. `returns_result`: what the
    function returns is a run's result, and so must not be something to await.
    """
    nodes = list(own_nodes(function.body))
    loaded = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in nodes:
        for call, why in _suspects(node, loaded, returns_result=returns_result):
            what = begun_by(call, scope, known)
            if what:
                yield Broken(UNAWAITED, call, what, why)


def _suspects(node: ast.AST, loaded: set[str], *, returns_result: bool) -> Iterator[tuple[ast.expr, str]]:
    """Yield the expressions whose value is lost or used as it stands in `node`, with what happens to it."""
    match node:
        case ast.Expr(value=value):
            yield value, "what it gives is dropped"
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in loaded:
            yield value, f"it is kept in {name!r}, which is never used"
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name not in loaded:
            yield value, f"it is kept in {name!r}, which is never used"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
            yield test, "it is used as a condition"
        case ast.BoolOp(values=values):
            yield from ((value, "it is used as a condition") for value in values[:-1])
        case ast.UnaryOp(operand=operand):
            yield operand, "it is used as a value"
        case ast.BinOp(left=left, right=right):
            yield from ((side, "it is used as a value") for side in (left, right))
        case ast.Compare(left=left, comparators=others):
            yield from ((side, "it is compared") for side in (left, *others))
        case ast.FormattedValue(value=value) | ast.Subscript(value=value):
            yield value, "it is used as a value"
        case ast.Attribute(value=value, attr=attr) if attr not in _OF_A_FUTURE:
            yield value, "it is used as a value"
        case ast.Return(value=ast.expr() as value) if returns_result:
            yield value, "it is returned as the run's result"
        case _:
            return


def begun_by(call: ast.expr, scope: Scope, known: Mapping[str, str]) -> str:
    """Return what `call` begins if it surely gives something to await, as text; else nothing."""
    if not isinstance(call, ast.Call):
        return ""
    shown = f"{ast.unparse(call.func)}()"
    name = scope.resolved(call.func)
    if any(ours(name, each) for each in _OUR_AWAITABLES) or name in _ASYNCIO:
        return shown
    match call.func:
        case ast.Name(id=local) if local in scope.functions:
            function, home = scope.functions[local]
            marked = any(_is_mark(mark, home) for mark in function.decorator_list)
            plain = isinstance(function, ast.AsyncFunctionDef) and not function.decorator_list
            return shown if marked or (plain and not _is_generator(function)) else ""
        case ast.Name(id=local) if all_made_by(local, scope, _OUR_CALLABLES):
            return shown
        case ast.Call(func=made_by) if any(ours(scope.resolved(made_by), each) for each in _OUR_CALLABLES):
            return shown
        case ast.Attribute(value=ast.Name(id=local), attr=attr) if attr in _SIGNAL_METHODS:
            return shown if all_made_by(local, scope, ("Signal",)) else ""
        case ast.Attribute(value=ast.Name(id=local), attr=attr) if attr in _EXTERNAL_METHODS:
            return shown if all_made_by(local, scope, ("external",)) else ""
        case ast.Attribute(value=ast.Call(func=made_by), attr=attr) if attr in _EXTERNAL_METHODS:
            return shown if ours(scope.resolved(made_by), "external") else ""
    return shown if name is not None and known.get(name.lstrip(".")) else ""


def _is_mark(mark: ast.expr, home: Scope) -> bool:
    name = home.resolved(mark.func if isinstance(mark, ast.Call) else mark)
    return ours(name, "activity") or ours(name, "workflow")


def _is_generator(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function.body))


def all_made_by(name: str, scope: Scope, makers: tuple[str, ...]) -> bool:
    """Return whether all that `name` is bound to is surely made by one of our `makers`."""
    values = scope.values.get(name, [])
    return bool(values) and all(
        isinstance(value, ast.Call) and any(ours(scope.resolved(value.func), maker) for maker in makers)
        for value in values
    )
