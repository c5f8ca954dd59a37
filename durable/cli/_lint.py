"""`durable lint`: the static check of workflow code and activities."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ._exit import FAILED, OK, USAGE
from ._lint_rules import RULES, Finding, codes_of
from ._lint_source import defined_in, lint_source
from ._output import print_json
from ._settings import json_option

_NOT_OURS = {"__pycache__", "node_modules", "site-packages", "venv"}
_FORMATS = ("concise", "full", "github")


class _Report(NamedTuple):
    """The text of each file that was checked, what was found, and which files could not be read."""

    texts: dict[Path, str]
    findings: list[tuple[Path, Finding]]
    unread: list[tuple[Path, str]]


def _codes(_ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> set[str]:
    try:
        return set[str]().union(*map(codes_of, values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--select", multiple=True, callback=_codes, metavar="RULES", help="Look for these only: codes or names.")
@click.option("--ignore", multiple=True, callback=_codes, metavar="RULES", help="Do not look for these.")
@click.option("--explain", metavar="RULE", help="Say what a rule forbids, why, and what to do instead.")
@click.option(
    "--format",
    "shown_as",
    type=click.Choice(_FORMATS),
    default="concise",
    show_default=True,
    help="One line each, with the source, or as annotations of GitHub Actions.",
)
@json_option
def lint_command(
    paths: Sequence[Path], select: set[str], ignore: set[str], explain: str | None, shown_as: str, as_json: bool
) -> int:
    """Find what workflow code must not do: clocks, chance, I/O, threads, the order of sets, shared state, lost awaits.

    Checks the functions marked @workflow and what they use in the same module, and whether an async @activity blocks. A
    line that ends with "# durable: ignore[DUR101]" is left alone. Exit code 1: something was found; 2: a file could not
    be read.
    """
    if explain is not None:
        return _explain(explain)
    if not paths:
        raise click.UsageError("name a file or a folder to check")
    report = _lint_all(python_files(paths), (select or set(RULES)) - ignore)
    if as_json:
        print_json([_as_data(path, finding) for path, finding in report.findings])
    else:
        for path, found in report.findings:
            _print(path, found, shown_as, report.texts[path])
    for path, reason in report.unread:
        click.secho(f"{path}: {reason}", fg="red", err=True)
    if not as_json:
        count = len(report.texts) + len(report.unread)
        click.echo(f"{count} files checked, {len(report.findings) or 'nothing'} found", err=True)
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


def _lint_all(files: Iterator[Path], codes: set[str]) -> _Report:
    report = _Report({}, [], [])
    defined: dict[Path, dict[str, str]] = {}
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
            defined[path] = defined_in(text)
            report.texts[path] = text
        except SyntaxError as error:
            report.unread.append((path, f"not Python: {error.msg} (line {error.lineno})"))
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a null byte
            report.unread.append((path, f"cannot be read: {error}"))
    known = _known(defined)
    for path, text in report.texts.items():
        report.findings.extend((path, found) for found in lint_source(text, str(path), known) if found.rule in codes)
    return report


def _known(defined: Mapping[Path, Mapping[str, str]]) -> dict[str, str]:
    """Return what is known of functions by each dotted name under which they may be imported.

    From where a file is imported is not known, so each ending of its path will do, unless two files have it.
    """
    found: dict[str, str] = {}
    twice: set[str] = set()
    for path, functions in defined.items():
        parts = path.resolve().with_suffix("").parts[1:]
        parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
        for first in range(len(parts)):
            module = ".".join(parts[first:])
            for name, what in functions.items():
                twice |= {f"{module}.{name}"} & found.keys()
                found[f"{module}.{name}"] = what
    return {name: what for name, what in found.items() if name not in twice}


def _print(path: Path, found: Finding, shown_as: str, text: str) -> None:
    if shown_as == "github":
        message = f"{found.message}; {found.advice}".replace("%", "%25").replace("\n", "%0A")
        click.echo(f"::error file={path},line={found.line},col={found.column},title={found.rule}::{message}")
        return
    code, place = click.style(found.rule, fg="red", bold=True), f"{path}:{found.line}:{found.column}:"
    click.echo(f"{click.style(place, bold=True)} {code} {found.message}; {found.advice}")
    if shown_as == "full":
        line = text.splitlines()[found.line - 1]
        indent = " " * len(line[: found.column - 1].expandtabs())
        click.echo(f"{found.line:>5} | {line.expandtabs()}\n      | {indent}{click.style('^', fg='red', bold=True)}\n")


def _explain(word: str) -> int:
    try:
        rules = [RULES[code] for code in sorted(codes_of(word))]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for rule in rules:
        title = click.style(f"{rule.code} {rule.name}", bold=True)
        click.echo(f"{title}: {rule.problem}\n\n{rule.why}\n\nInstead: {rule.advice}.\n")
        for label, text in (("Not like this", rule.bad), ("But like this", rule.good)):
            click.echo(f"{label}:\n\n" + "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines()))
    return OK


def _as_data(path: Path, found: Finding) -> dict[str, object]:
    return {
        "path": str(path), "line": found.line, "column": found.column, "rule": found.rule,
        "name": RULES[found.rule].name, "message": found.message, "advice": found.advice,
    }  # fmt: skip
