"""What `durable lint` finds out about activities: an `async def` that blocks the event loop of its worker."""

import ast
from collections.abc import Iterator

from ._lint_calls import blocked_by
from ._lint_scope import Function, Scope, inner_scope, own_nodes
from ._lint_state import Broken


def blocking_calls(function: Function, home: Scope) -> Iterator[tuple[Broken, Function]]:
    """Yield the calls of an `async def` activity that block, with the functions of its module in which they stand.

    What is handed to another thread is a function that is named, not called, and so it is not followed.
    """
    if isinstance(function, ast.AsyncFunctionDef):
        yield from _blocking(function, home, set())


def _blocking(function: Function, home: Scope, seen: set[Function]) -> Iterator[tuple[Broken, Function]]:
    seen.add(function)
    scope = inner_scope(function, home)
    for node in own_nodes(function.body):
        if not isinstance(node, ast.Call):
            continue
        name = scope.resolved(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        of_path = isinstance(node.func, ast.Attribute) and scope.is_path(node.func.value)
        rule = blocked_by(name, method, of_path=of_path)
        if rule is not None:
            yield Broken(rule, node, f"{method if of_path else name}()"), function
        elif isinstance(node.func, ast.Name) and node.func.id in scope.functions:
            called, its_home = scope.functions[node.func.id]
            if called not in seen and not called.decorator_list:
                yield from _blocking(called, its_home, seen)
