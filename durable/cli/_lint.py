"""`durable lint`: the static check of workflow code."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ._exit import FAILED, OK, USAGE
from ._lint_rules import Finding
from ._lint_source import lint_source
from ._output import print_json
from ._settings import json_option

_NOT_OURS = {"__pycache__", "node_modules", "site-packages", "venv"}


class _Report(NamedTuple):
    """Which files were checked, what was found in them, and which of them could not be read."""

    files: list[Path]
    findings: list[tuple[Path, Finding]]
    unread: list[tuple[Path, str]]


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@json_option
def lint_command(paths: Sequence[Path], as_json: bool) -> int:
    """Find what workflow code must not do: clocks, chance, I/O, threads, the order of sets.

    Checks the functions marked @workflow and what they use in the same module. A line that ends with
    "# durable: ignore[DUR101]" is left alone. Exit code 1: something was found; 2: a file could not be read.
    """
    report = _lint_all(python_files(paths))
    if as_json:
        print_json([_as_data(path, finding) for path, finding in report.findings])
    else:
        for path, found in report.findings:
            click.echo(f"{path}:{found.line}:{found.column}: {found.rule} {found.message}; {found.advice}")
    for path, reason in report.unread:
        click.secho(f"{path}: {reason}", fg="red", err=True)
    if not as_json:
        click.echo(f"{len(report.files)} files checked, {len(report.findings) or 'nothing'} found", err=True)
    return USAGE if report.unread else FAILED if report.findings else OK


def python_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that are named, and the Python files of the folders, sorted; no hidden or installed ones."""
    for path in paths:
        if path.is_file():
            yield path
        for found in sorted(path.rglob("*.py")) if path.is_dir() else ():
            inside = found.relative_to(path).parts
            if not any(part in _NOT_OURS or part.startswith(".") for part in inside):
                yield found


def _lint_all(files: Iterator[Path]) -> _Report:
    report = _Report([], [], [])
    for path in files:
        report.files.append(path)
        try:
            report.findings.extend((path, found) for found in lint_source(path.read_text(encoding="utf-8"), str(path)))
        except SyntaxError as error:
            report.unread.append((path, f"not Python: {error.msg} (line {error.lineno})"))
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a null byte
            report.unread.append((path, f"cannot be read: {error}"))
    return report


def _as_data(path: Path, found: Finding) -> dict[str, object]:
    return {
        "path": str(path), "line": found.line, "column": found.column, "rule": found.rule, "message": found.message,
        "advice": found.advice,
    }  # fmt: skip
