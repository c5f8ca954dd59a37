"""The pages hang together: links lead somewhere, every page is in the site's menu, and the picture can be read."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from durable.cli._app import COMMANDS

from .pages import PAGES, ROOT, blocks, name_of

RUN = {"python", "console"}
SHOWN = {"ini", "py", "text", "toml"}
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    titles = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).strip().replace(" ", "-") for title in titles}


def local_links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield each link to a file of ours: as written, the file, and the anchor in it."""
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        yield target, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file, and to a heading in it."""
    for written, path, anchor in local_links(page):
        assert path.exists(), f"{name_of(page)}: {written}"
        if anchor:
            assert anchor in anchors(path), f"{name_of(page)}: {written}; there are {sorted(anchors(path))}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    """A block that no test runs is one of a language that is only shown."""
    for block in blocks(page):
        assert block.language in RUN | SHOWN, f"{name_of(page)}:{block.line}: a block of {block.language!r}"


def test_every_page_is_in_the_menu_of_the_site() -> None:
    """And nothing else is, but the samples: the site has them from their folder."""
    menu = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert menu - {"samples/README.md"} == {page for page in pages if not page.startswith("decisions/0")}


def test_every_decision_is_in_their_list() -> None:
    """`docs/decisions/README.md` names each page."""
    folder = ROOT / "docs" / "decisions"
    listed = {path.name for _, path, _ in local_links(folder / "README.md")}
    assert listed == {path.name for path in folder.glob("0*.md")}


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=name_of)
def test_a_picture_is_sound_and_says_what_it_shows(picture: Path) -> None:
    """For those who cannot see it: a title and a description."""
    root = ElementTree.parse(picture).getroot()
    names = [child.tag.rpartition("}")[2] for child in root]
    assert names[:2] == ["title", "desc"]


def test_every_sample_is_in_their_list_and_in_a_page() -> None:
    """`samples/README.md` names each, and a page about what it shows leads to it (but to the first one, which the README shows)."""
    folder = ROOT / "samples"
    samples = set(folder.glob("*.py"))
    assert {path for _, path, _ in local_links(folder / "README.md") if path.suffix == ".py"} == samples
    linked = {path for page in PAGES for _, path, _ in local_links(page)}
    assert samples - linked <= {folder / "hello.py"}


def test_every_command_is_in_the_changelog() -> None:
    """Its list is what a user reads first."""
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"`{name}`" not in told]
