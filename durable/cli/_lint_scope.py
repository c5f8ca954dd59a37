"""What is known about the names of one function: where they come from, and which of them are sets or paths."""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ._lint_names import dotted, imported_names

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_SET_TYPES = {
    "set", "frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet", "typing.MutableSet",
    "collections.abc.Set", "collections.abc.MutableSet",
}  # fmt: skip
_SET_METHODS = {"union", "intersection", "difference", "symmetric_difference", "copy"}
_PATH_TYPES = {"pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"}
_MAKES_A_TASK = {"create_task", "ensure_future"}


@dataclass(slots=True)
class Scope:
    """The names that a body sees: its own, and those of the bodies around it."""

    names: dict[str, str]  # local name -> full dotted name, or "<local>.name"
    functions: (
        "dict[str, tuple[Function, Scope]]"  # those that are defined in sight, with the scopes that they stand in
    )
    values: dict[str, list[ast.expr | None]]  # what each name is bound to (None: unknown)
    added: dict[str, list[ast.expr]]  # what `name.add(...)` puts into each
    types: dict[str, ast.expr]  # annotations

    def resolved(self, node: ast.AST) -> str | None:
        """Return the full dotted name of an expression, or None."""
        return dotted(node, self.names)

    def is_set(self, node: ast.expr | None, *, depth: int = 0) -> bool:
        """Return whether `node` is surely a set whose order differs by process."""
        match node:
            case ast.Set():
                return not all(self._has_fixed_hash(e) for e in node.elts)
            case ast.SetComp():
                return not self._has_fixed_hash(node.elt)
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SET_METHODS:
                return self.is_set(value, depth=depth)
            case ast.Call():
                return self.resolved(node.func) in ("set", "frozenset") and not self._made_of_tasks(node)
            case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self.is_set(node.left, depth=depth) or _is_keys(node.left)
            case ast.IfExp():
                return self.is_set(node.body, depth=depth) and self.is_set(node.orelse, depth=depth)
            case ast.NamedExpr():
                return self.is_set(node.value, depth=depth)
            case ast.Name() if depth < 4:  # `a = b; b = a` must end
                if any(self._is_task(value) for value in self.added.get(node.id, [])):
                    return False
                return self._all_values(node.id, _SET_TYPES, lambda value: self.is_set(value, depth=depth + 1))
        return False

    def is_path(self, node: ast.expr | None, *, depth: int = 0) -> bool:
        """Return whether `node` is surely a `pathlib.Path`."""
        match node:
            case ast.Call():
                return self.resolved(node.func) in _PATH_TYPES
            case ast.BinOp(op=ast.Div()):
                return self.is_path(node.left, depth=depth)
            case ast.Name() if depth < 4:
                return self._all_values(node.id, _PATH_TYPES, lambda value: self.is_path(value, depth=depth + 1))
        return False

    def _all_values(self, name: str, types: set[str], check: Callable[[ast.expr], bool]) -> bool:
        values = self.values.get(name, [])
        if name in self.types:
            declared = self.types[name]
            if self.resolved(declared.value if isinstance(declared, ast.Subscript) else declared) in types:
                return all(value is None or check(value) for value in values)
        return bool(values) and all(value is not None and check(value) for value in values)

    def _has_fixed_hash(self, node: ast.expr) -> bool:
        """Whole numbers hash to themselves; the tasks of a workflow's loop hash by their order of creation."""
        return (isinstance(node, ast.Constant) and isinstance(node.value, int)) or self._is_task(node)

    def _is_task(self, node: ast.expr | None) -> bool:
        if isinstance(node, ast.Name):
            values = self.values.get(node.id, [])
            return bool(values) and all(not isinstance(v, ast.Name) and self._is_task(v) for v in values)
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        name = (
            function.attr if isinstance(function, ast.Attribute) else (self.resolved(function) or "").rpartition(".")[2]
        )
        return name in _MAKES_A_TASK

    def _made_of_tasks(self, call: ast.Call) -> bool:
        made_of = call.args[0] if call.args else None
        return isinstance(made_of, ast.GeneratorExp | ast.ListComp) and self._is_task(made_of.elt)


def module_scope(tree: ast.Module) -> Scope:
    """Return the scope of a module's top level."""
    return _scope(tree.body, [], Scope({}, {}, {}, {}, {}))


def inner_scope(function: Function | ast.Lambda, outer: Scope) -> Scope:
    """Return the scope of `function`, which stands in `outer`."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    body: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    return _scope(body, every, outer)


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield every node of `body` but those inside of functions and classes that it defines (themselves included)."""
    for node in body:
        yield node
        if not isinstance(node, _SCOPES):
            yield from own_nodes(ast.iter_child_nodes(node))


def _scope(body: Iterable[ast.AST], arguments: list[ast.arg], outer: Scope) -> Scope:
    nodes = list(own_nodes(body))
    bound: dict[str, list[ast.expr | None]] = {argument.arg: [None] for argument in arguments}
    types = {argument.arg: argument.annotation for argument in arguments if argument.annotation}
    added: dict[str, list[ast.expr]] = {}
    for node in nodes:
        for name, value in _bound_by(node):
            bound.setdefault(name, []).append(value)
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                types[name] = node.annotation
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add"), args=[value]):
                added.setdefault(name, []).append(value)
    scope = Scope(
        names=outer.names | {name: f"<local>.{name}" for name in bound} | imported_names(nodes),
        functions={name: home for name, home in outer.functions.items() if name not in bound},
        values=outer.values | bound,
        added=outer.added | added,
        types={name: type_ for name, type_ in outer.types.items() if name not in bound} | types,
    )
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            scope.functions[node.name] = (node, scope)
    return scope


def _bound_by(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names that a node binds, with the values where they are plain."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                elif (pairs := _paired(target, value)) is not None:
                    yield from pairs
                else:
                    yield from _stored_in(target)
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.NamedExpr(target=ast.Name(id=name)):
            yield name, node.value
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            yield from _stored_in(target)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from _stored_in(target)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, None
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case _:
            return


def _paired(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr | None]] | None:
    """Return the names and values of `a, b = 1, 2`, or None for anything less plain."""
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple) or len(target.elts) != len(value.elts):
        return None
    names = [each.id for each in target.elts if isinstance(each, ast.Name)]
    plain = len(names) == len(target.elts) and not any(isinstance(each, ast.Starred) for each in value.elts)
    return list(zip(names, value.elts, strict=True)) if plain else None


def _stored_in(target: ast.expr) -> Iterator[tuple[str, None]]:
    """Yield the names that assigning to `target` binds: what they are bound to is not known."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, None


def _is_keys(node: ast.expr) -> bool:
    """`a.keys() - b` is a set, though keys have an order of their own."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"
