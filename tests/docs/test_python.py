"""Every Python block of the README and the docs is run, page by page, in the order of the page.

Those of the reference are programs of their own: `test_examples.py` runs them.
"""

import ast
import asyncio
import inspect
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, blocks, name_of

WITH_CODE = [
    page
    for page in PAGES
    if page.parent != ROOT / "docs" / "reference" and any(block.language == "python" for block in blocks(page))
]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page share their names; an `await` at the top level works, each block on an event loop of its own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "docs_page"}  # so `if __name__ == "__main__"` is for the reader
    for block in blocks(page):
        if block.language != "python" or block.not_run:
            continue
        padding = "\n" * block.line  # so that a traceback names the line of the page
        code = compile(padding + block.text, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
