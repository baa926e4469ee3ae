"""Each link of each page leads to a file that is there, and to a heading in it; each path in its text, to a file."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

FOLDERS = [path for path in Path().iterdir() if path.is_dir() and not path.name.startswith(".")]
PAGES = sorted([*Path().glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md"))])
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_ELSEWHERE = re.compile(r"https?:")
_PATH = re.compile(rf"`((?:{'|'.join(re.escape(folder.name) for folder in FOLDERS)})/[\w./-]+)`")
YOURS = {"compose/credentials.env", "compose/prometheus/token", "compose/rules", "compose/certificates"}
"""Files and folders that the pages tell their reader to make."""


def prose(page: Path) -> str:
    """A page without what stands between fences."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> Iterator[str]:
    """The anchors that a page's headings make on GitHub: words joined with hyphens, a second one of a name numbered."""
    names: Counter[str] = Counter()
    for title in re.findall(r"^#+ +(.+?) *#*$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        yield f"{name}-{names[name]}" if names[name] else name
        names[name] += 1


def broken(page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for link in _LINK.findall(prose(page)):
        if _ELSEWHERE.match(link):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_path_in_the_text_is_one_of_a_file_that_is_there(page: Path) -> None:
    paths = set(_PATH.findall(prose(page))) - YOURS
    assert [path for path in sorted(paths) if not Path(path).exists()] == []


def test_the_pages_are_found() -> None:
    assert {Path("README.md"), Path("docs/operations.md"), Path("tests/golden/README.md")} <= set(PAGES)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("# A page\n[a](#a-page) [b](../pages/page.md#a-page) [c](https://example.com/x) ![d](page.md)", []),
        ("[a](#a-page)", ["#a-page"]),
        ("[a](other.md)\n[b](page.md#none)", ["other.md", "page.md#none"]),
        ("## `kept`, and when\n## `kept`, and when\n[a](#kept-and-when-1) [b](#kept-and-when-2)", ["#kept-and-when-2"]),
        ("```\n# no heading\n[no link](nowhere.md)\n```\n[a](#no-heading)", ["#no-heading"]),
    ],
)
def test_a_link_that_leads_nowhere_is_named(text: str, links: list[str], tmp_path: Path) -> None:
    page = tmp_path / "pages" / "page.md"
    page.parent.mkdir()
    page.write_text(text, encoding="utf-8")
    assert list(broken(page)) == links
