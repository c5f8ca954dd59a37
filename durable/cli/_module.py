"""Imports a user's module by `MODULE[:NAME]`, and tells what is wrong with it apart from what is wrong with us."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from ._exit import USAGE

_NOT_THEIRS = (str(Path(__file__).parents[1]), str(Path(importlib.__file__).parent), "<frozen importlib")


class BrokenModuleError(click.ClickException):
    """The user's module raised while it was imported. It is shown with the lines of their code only."""

    exit_code = USAGE

    def __init__(self, module: str, error: Exception) -> None:
        super().__init__(f"the module {module!r} cannot be imported: {type(error).__name__}: {error}")
        self._error = error

    def show(self, file: Any = None) -> None:
        """Print where in their code it happened, and what."""
        frames = traceback.extract_tb(self._error.__traceback__)
        theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
        lines = traceback.format_list(theirs)
        if isinstance(self._error, SyntaxError):  # its place is in the error, not in a frame
            lines += traceback.format_exception_only(self._error)[:-1]
        click.echo("".join(lines).rstrip(), err=True, file=file)
        click.secho(f"durable: {self.message}", fg="red", err=True, file=file)


def load(target: str, hint: "Callable[[ModuleType], str] | None" = None) -> tuple[ModuleType, object]:
    """Import the module of `MODULE[:NAME]`, from the working directory too; return it, and the named object or itself.

    Raises `click.UsageError` that says which part was not found (`hint` tells what the module has), or `BrokenModuleError` if the module itself raises.
    """
    module_name, colon, name = target.partition(":")
    if not module_name or (colon and not name):
        raise click.UsageError(f"expected MODULE or MODULE:NAME, got {target!r}")
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").replace(os.sep, ".").strip(".")
        raise click.UsageError(f"expected a module as in an import, got the path {module_name!r}; try {dotted!r}")
    module = _imported(module_name)
    found: object = module
    for part in name.split(".") if name else ():
        if not hasattr(found, part):
            raise click.UsageError(f"the module {module_name!r} has no {name!r}; {(hint or workflows_of)(module)}")
        found = getattr(found, part)
    return module, found


def is_module_here(name: str) -> bool:
    """Return whether `name` is a module in the working directory. Imports nothing."""
    path = Path(os.getcwd(), *name.split("."))
    return path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()


def workflows_of(module: ModuleType) -> str:
    """Return the workflows of `module` as a hint."""
    from ..author import Workflow

    names = sorted(name for name, value in vars(module).items() if isinstance(value, Workflow))
    return f"its workflows are {', '.join(names)}" if names else "it has no workflows"


def _imported(name: str) -> ModuleType:
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        # Is it the named module, or a package above it, that is missing? It could be one that the module imports.
        if missing.name and f"{name}.".startswith(f"{missing.name}."):
            raise click.UsageError(f"there is no module {name!r} in {here} or among the installed packages") from None
        raise BrokenModuleError(name, missing) from missing
    except Exception as error:
        raise BrokenModuleError(name, error) from error
