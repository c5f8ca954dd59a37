"""What `durable lint` finds out about state that outlives a run: globals that are changed, defaults that are shared."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ._lint_rules import DEFAULT, STATE, Rule
from ._lint_scope import Function, Scope, own_nodes

_MUTABLE_CALLS = {
    "list", "dict", "set", "bytearray", "collections.defaultdict", "collections.deque", "collections.Counter",
    "collections.OrderedDict", "collections.ChainMap",
}  # fmt: skip
_MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_CHANGES = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "move_to_end", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort",
    "subtract", "symmetric_difference_update", "update",
}  # fmt: skip
_ITERATORS = {"itertools.count", "itertools.cycle", "iter"}


class Broken(NamedTuple):
    """A place that breaks a rule: what is shown of it, and how it does so if that is not clear."""

    rule: Rule
    node: ast.expr
    what: str
    how: str = ""

    def message(self, where: str) -> str:
        """Return the finding as a sentence; `where` follows it."""
        return f"{self.what} {self.rule.problem}{self.how and f': {self.how}'}{where}"


def state_changes(function: Function, scope: Scope, module: Scope) -> Iterator[Broken]:
    """Yield where `function`, whose inside is `scope`, changes what belongs to its module or to another one."""
    nodes = list(own_nodes(function.body))
    declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if name in declared:
                yield Broken(STATE, node, f"assigning the global {name!r}")
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                root = _root(node)
                if root is not None and root.id not in declared and _is_shared(root.id, scope, module):
                    yield Broken(STATE, node, f"assigning {ast.unparse(node)}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _CHANGES:
                if _is_global(name, scope, module) and _all_mutable(name, scope):
                    yield Broken(STATE, node, f"{name}.{attr}()")
            case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id=name), *_]):
                if _is_global(name, scope, module) and _all_iterators(name, scope):
                    yield Broken(STATE, node, f"next({name})")


def shared_defaults(function: Function, home: Scope) -> Iterator[Broken]:
    """Yield the defaults of `function` that can be changed. One that is defined inside of a run belongs to that run."""
    for default in [*function.args.defaults, *(d for d in function.args.kw_defaults if d is not None)]:
        if _is_mutable(default, home):
            yield Broken(DEFAULT, default, f"the default {ast.unparse(default)}")


def _root(node: ast.expr) -> ast.Name | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def _is_shared(name: str, scope: Scope, module: Scope) -> bool:
    """Whether `name` is bound at the top of the module, or imported."""
    return _is_global(name, scope, module) or not scope.names.get(name, "<local>").startswith("<local>")


def _is_global(name: str, scope: Scope, module: Scope) -> bool:
    # A scope hands its own lists on to the scopes inside: the same list is the same variable.
    return name in module.values and scope.values.get(name) is module.values[name]


def _all_mutable(name: str, scope: Scope) -> bool:
    return all(value is not None and _is_mutable(value, scope) for value in scope.values[name])


def _all_iterators(name: str, scope: Scope) -> bool:
    return all(isinstance(value, ast.Call) and scope.resolved(value.func) in _ITERATORS for value in scope.values[name])


def _is_mutable(node: ast.expr, scope: Scope) -> bool:
    if isinstance(node, ast.Call):
        function = node.func.value if isinstance(node.func, ast.Subscript) else node.func  # `Counter[str]()`
        return scope.resolved(function) in _MUTABLE_CALLS
    return isinstance(node, _MUTABLE_DISPLAYS)
