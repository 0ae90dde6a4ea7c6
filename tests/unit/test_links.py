"""Every link of README and docs leads somewhere, every page is linked, and code names only pages that exist."""

import re
from pathlib import Path

import pytest

from lab.topology import ROOT
from tests.documentation import PAGES

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(?P<text>.*)$", re.MULTILINE)
NAMED_PAGE = re.compile(r"\bdocs/[a-z-]+\.md\b")
# The roots of what git tracks, so that no virtual environment and no build folder is read.
SOURCES = (
    *("bench", "charts", "crds", "docs", "examples", "kernels", "lab", "launcher", "operator", "tests"),
    "trainer_image",
)
READ = {".py", ".yaml", ".md", ".c", ".tpl", ".json"}


def targets(page: str) -> list[str]:
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [match["target"] for match in LINK.finditer(text) if "://" not in match["target"]]


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """The anchors of a page."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor(match["text"]) for match in HEADING.finditer(text)}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    dead = []
    for target in targets(page):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(target)
    assert dead == []


def test_the_readme_links_every_page() -> None:
    assert {page for page in PAGES if page != "README.md"} - set(targets("README.md")) == set()


def test_code_names_only_pages_that_exist() -> None:
    files = [path for root in SOURCES for path in (ROOT / root).rglob("*") if path.suffix in READ and path.is_file()]
    files += [ROOT / name for name in ("README.md", "Makefile", "Dockerfile", "pyproject.toml")]
    named = {
        (str(path.relative_to(ROOT)), page) for path in files for page in NAMED_PAGE.findall(path.read_text("utf-8"))
    }
    assert {(path, page) for path, page in named if not (ROOT / page).is_file()} == set()
