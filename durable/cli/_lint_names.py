"""What a dotted name in source text means: `dt.now` is `datetime.datetime.now` after `from datetime import datetime as dt`."""

import ast
from collections.abc import Iterable, Mapping


def imported_names(body: Iterable[ast.AST], package: str = "") -> dict[str, str]:
    """Return what the import statements among `body` bind: local name to full dotted name.

    Relative imports are resolved against `package`. A star import binds nothing that could be known.
    """
    names: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`; `import a.b as c` binds `c` to `a.b`.
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node, package)
            names |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names if alias.name != "*"}
    return names


def absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that `node` imports from, with relative dots resolved against `package`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def dotted(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """Return the full dotted name that the expression `node` stands for, or None if it is no plain dotted name.

    A name that `names` does not know stands for itself (a builtin, or something local).
    """
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([names.get(node.id, node.id), *reversed(attributes)])


def ours(name: str | None, what: str) -> bool:
    """Tell whether the dotted `name` is our public name `what`, imported from wherever it may be had."""
    return name == f"durable.{what}" or bool(name and name.startswith("durable.author.") and name.endswith(f".{what}"))
