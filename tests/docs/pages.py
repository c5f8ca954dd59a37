"""The pages of the documentation, and the code blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"<!-- (file|not run|retry): ([^>]+?) -->\n\s*\Z")


@dataclass(frozen=True)
class Block:
    """A code block. `file` is where a reader is told to save it; `not_run` says why it is not run here; `repeated`, that its answer takes a moment."""

    language: str
    text: str
    line: int
    file: str = ""
    not_run: str = ""
    repeated: bool = False


def name_of(page: Path) -> str:
    """Return the page's path from the top of the checkout, for the names of tests."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, with what a comment right above says of them."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        directive = _DIRECTIVE.search(text, 0, found.start())
        kind, value = (directive[1], directive[2]) if directive else ("", "")
        yield Block(
            language=found[3].strip(),
            text=found[4],
            line=text.count("\n", 0, found.start()) + 1,
            file=value if kind == "file" else "",
            not_run=value if kind == "not run" else "",
            repeated=kind == "retry",
        )
