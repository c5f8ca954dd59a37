"""Runs each Python block of the README and of the docs as a test; the blocks of one page share their names."""

import ast
import asyncio
import inspect
from types import CodeType

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser


class AsyncCodeBlockParser(CodeBlockParser):
    """Blocks marked `python`; an `await` at their top level runs, each block on an event loop of its own."""

    language = "python"

    def evaluate(self, example: Example) -> None:
        lines = "\n" * (example.line + example.parsed.line_offset)  # so that a traceback names the line of the page
        namespace = example.document.namespace
        namespace.setdefault("__name__", "docs_page")
        code = compile(
            lines + example.parsed, str(example.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        _run(code, example.document)


def _run(code: CodeType, document: Document) -> None:
    result = eval(code, document.namespace)  # noqa: S307 - our own pages
    if inspect.iscoroutine(result):
        asyncio.run(result)


pytest_collect_file = Sybil(
    parsers=[AsyncCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md"],
    excludes=["docs/decisions/**"],
).pytest()
