"""Brings the samples onto the site: mkdocs calls these functions while it builds (see `hooks` in mkdocs.yml).

The pages link to the files of `samples/` as they lie in the repository, outside of `docs/`. On the site each sample is a
page of its own, and those links lead to it.
"""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
_TO_A_SAMPLE = re.compile(r"\]\((?:\.\./)+samples/([\w/.-]*)\)")
_IN_THE_LIST = re.compile(r"\]\((\w+)\.py\)")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each sample, and their list."""
    listed = (SAMPLES / "README.md").read_text(encoding="utf-8")
    listed = _IN_THE_LIST.sub(r"](\1.md)", listed).replace("](orders)", "](shop.md)").replace("](tests)", "](#samples)")
    files.append(File.generated(config, "samples/README.md", content=listed))
    for sample in [*sorted(SAMPLES.glob("*.py")), SAMPLES / "orders" / "shop.py"]:
        files.append(File.generated(config, f"samples/{sample.stem}.md", content=page_of(sample)))
    return files


def page_of(sample: Path) -> str:
    """Return the page of a sample: what it says of itself, and its code."""
    text = sample.read_text(encoding="utf-8")
    says = ast.get_docstring(ast.parse(text)) or ""
    program = text.partition('"""\n\n')[2]
    return f"# {sample.name}\n\n{says}\n\n```py\n{program}```\n"


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Let a page's links to samples lead to their pages."""
    up = "../" * page.file.src_uri.count("/")
    return _TO_A_SAMPLE.sub(lambda found: f"]({up}samples/{page_name(found[1])})", markdown)


def page_name(path: str) -> str:
    """Return the page of a path below `samples/`: `saga.py` is on `saga.md`, the folder `orders` on `shop.md`."""
    if path.startswith("orders"):
        return "shop.md"
    return path.removesuffix(".py") + ".md" if path.endswith(".py") else "README.md"
