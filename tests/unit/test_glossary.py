"""The glossary has few words, each page defines the further words of its reader, and no word is defined twice."""

import re
from collections import Counter

import pytest

from lab.topology import ROOT
from tests.documentation import PAGES
from tests.unit.test_links import anchor

GLOSSARY = "docs/glossary.md"
# Names in code are used in code.
PAGES_OF_USERS = [page for page in PAGES if page != "docs/changing.md"]
MOST_WORDS = 25
TABLE = re.compile(r"^\| word \| meaning \|\n\|---\|---\|\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE)
FURTHER = re.compile(r"^- \[[^\]]+\]\((?P<page>[a-z-]+\.md)#(?P<anchor>[^)]+)\): (?P<words>.+)$", re.MULTILINE)
HEADING = re.compile(r"^#+ +(?P<text>.*)$", re.MULTILINE)


def words(text: str) -> list[str]:
    """The words that the tables of words define."""
    rows = [row for table in TABLE.finditer(text) for row in table["rows"].splitlines()]
    return [word for row in rows for word in row.split("|")[1].strip().split(", ")]


def words_of(page: str) -> list[str]:
    return words((ROOT / page).read_text("utf-8"))


def section(page: str, wanted: str) -> str:
    """The text under a heading, up to the next heading."""
    text = (ROOT / page).read_text("utf-8")
    headings = [*HEADING.finditer(text)]
    ends = [each.start() for each in headings[1:]] + [len(text)]
    (below,) = (
        text[each.end() : end] for each, end in zip(headings, ends, strict=True) if anchor(each["text"]) == wanted
    )
    return below


def further() -> list[tuple[str, str, list[str]]]:
    """Page, heading and words of each line at the glossary's end."""
    lines = FURTHER.finditer((ROOT / GLOSSARY).read_text("utf-8"))
    return [(f"docs/{each['page']}", each["anchor"], each["words"].split(", ")) for each in lines]


def test_the_glossary_has_few_words() -> None:
    assert 20 <= len(words_of(GLOSSARY)) <= MOST_WORDS


def test_no_word_is_defined_twice() -> None:
    in_tables = Counter(word for page in PAGES for word in words_of(page))
    listed = Counter([*words_of(GLOSSARY), *(word for *_, line in further() for word in line)])
    assert [word for word, times in (*in_tables.items(), *listed.items()) if times > 1] == []


@pytest.mark.parametrize("page", PAGES_OF_USERS)
def test_each_word_is_used(page: str) -> None:
    """In a page, outside of all tables of words, or in the description of a kind."""
    texts = [TABLE.sub("", (ROOT / each).read_text("utf-8")) for each in PAGES if each != GLOSSARY]
    texts += [path.read_text("utf-8") for path in (ROOT / "crds").glob("*.yaml")]
    text = "\n".join(texts)
    assert [word for word in words_of(page) if not re.search(rf"(?<!\w){re.escape(word)}", text, re.IGNORECASE)] == []


def test_the_glossary_says_where_each_further_word_stands() -> None:
    lists = {(page, heading): line for page, heading, line in further()}
    defined = {page: words_of(page) for page in PAGES if page != GLOSSARY and words_of(page)}
    assert {page: line for (page, heading), line in lists.items() if words(section(page, heading))} == defined
    for (page, heading), line in lists.items():
        text = " ".join(section(page, heading).split()).lower()
        assert [word for word in line if word.lower() not in text] == [], f"{page}#{heading}"
