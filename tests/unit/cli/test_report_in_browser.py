"""A browser shows the report as people need it: on paper-white and on black, on a phone, by keyboard and read aloud.

`make test` installs Chromium. For pictures, set REPORT_PICTURES to a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import browser
from tests.unit.card.models import write_folder
from tests.unit.cli import hospital, reported
from wardround.cli.hospital_report import build as hospital_build
from wardround.cli.report import build
from wardround.cli.report import page as pages
from wardround.cli.report.seen import SignedCard

pytestmark = pytest.mark.skipif(not browser.installed(), reason="there is no Chromium here: apt-get install chromium")
TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")
# WCAG 2.2, success criteria 1.4.3 (text) and 1.4.11 (graphics).
TEXT_CONTRAST, GRAPHICS_CONTRAST = 4.5, 3.0
MOST_TABS = 100
FOCUSED = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
# Of the texts in charts, once the browser has scaled the charts.
LEAST_PIXELS = 10
SMALLEST = """Math.min(...[...document.querySelectorAll('svg text')].map(each =>
  parseFloat(getComputedStyle(each).fontSize) * each.ownerSVGElement.getScreenCTM().a))"""
# The lowest contrast of each kind: text on the background behind it, and strokes of charts on the page.
LOWEST = """(() => {
  const numbers = text => (text.match(/[0-9.]+/g) || []).map(Number);
  const light = text => {
    const [r, g, b] = numbers(text).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = each => {
    for (; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
  };
  const own = each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const shown = [...document.body.querySelectorAll('*')].filter(each => each.checkVisibility());
  const texts = shown.filter(own).filter(each => !each.closest('title, desc')).map(each => {
    const style = getComputedStyle(each);
    return contrast(each.closest('svg') ? style.fill : style.color, behind(each));
  });
  const strokes = shown.filter(each => each.matches('.curve, .whisker, .mark, .zero'))
    .map(each => contrast(getComputedStyle(each).stroke, behind(each)));
  const bars = shown.filter(each => each.matches('.bar'))
    .map(each => contrast(getComputedStyle(each).fill, behind(each)));
  return [Math.min(...texts), Math.min(...strokes, ...bars), texts.length];
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a model, the same with a signed card, and that of a hospital."""
    folder = tmp_path_factory.mktemp("reports")
    made = write_folder(folder / "model")
    card = replace(made.card, version=3, round_namespace="fed", hospital_names=("North Hospital",))
    known = reported.parsed(reported.objects())
    signed = replace(known, signed=SignedCard(card, made.identity.fingerprint))
    documents = {
        "model": build.document(known),
        "signed": build.document(signed),
        "hospital": hospital_build.document(hospital.parsed(hospital.objects())),
    }
    for name, document in documents.items():
        (folder / f"{name}.html").write_text(pages.page(document))
    return {name: folder / f"{name}.html" for name in documents}


REPORTS = pytest.mark.parametrize("name", ["model", "signed", "hospital"])


@REPORTS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_texts_and_lines_can_be_told_from_what_is_behind_them(
    page: browser.Page, files: dict[str, Path], name: str, scheme: str
) -> None:
    page.open(files[name], scheme=scheme)
    background = page.value("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    texts, graphics, number = page.value(LOWEST)
    assert number > 100
    assert texts >= TEXT_CONTRAST
    assert graphics is None or graphics >= GRAPHICS_CONTRAST
    if folder := os.environ.get("REPORT_PICTURES"):
        page.picture(Path(folder) / f"{name}-{scheme}.png")


@REPORTS
@pytest.mark.parametrize("width", [320, 390, 1000])
def test_only_tables_and_charts_scroll_sideways(
    page: browser.Page, files: dict[str, Path], name: str, width: int
) -> None:
    """On a phone, and at 400 % on a desk (WCAG 2.2, success criterion 1.4.10)."""
    page.open(files[name], width=width)
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.value("document.documentElement.scrollWidth") <= width


@REPORTS
@pytest.mark.parametrize("width", [320, 1000])
def test_texts_of_charts_can_be_read(page: browser.Page, files: dict[str, Path], name: str, width: int) -> None:
    page.open(files[name], width=width)
    assert page.value(SMALLEST) >= LEAST_PIXELS


@REPORTS
def test_the_browser_fetches_nothing_and_complains_of_nothing(
    page: browser.Page, files: dict[str, Path], name: str
) -> None:
    page.open(files[name])
    fetched = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert fetched == [files[name].as_uri()]
    assert not [each for each in page.events if each["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]


@REPORTS
def test_the_keyboard_reaches_all_links_tables_and_folded_tables_in_their_order(
    page: browser.Page, files: dict[str, Path], name: str
) -> None:
    page.open(files[name])
    wanted = page.value("[...document.querySelectorAll('a, summary, .scroll')].filter(e => e.checkVisibility()).length")
    places = []
    for _ in range(MOST_TABS):
        page.press(*TAB)
        element, outline = page.value(FOCUSED)
        if element == "BODY":
            break
        assert outline == "solid"
        places.append(page.value("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    assert len(places) == wanted
    assert places == sorted(places)


def test_the_first_key_goes_past_the_links_and_enter_opens_a_folded_table(
    page: browser.Page, files: dict[str, Path]
) -> None:
    page.open(files["model"])
    page.press(*TAB)
    assert page.value("document.activeElement.textContent") == "Skip to the content"
    assert page.value("document.activeElement.getBoundingClientRect().left") >= 0
    page.value("document.querySelector('summary').focus()")
    page.press(*ENTER)
    assert page.value("document.querySelector('details').open") is True


@REPORTS
def test_a_screen_reader_gets_landmarks_headings_and_a_name_for_each_chart_and_table(
    page: browser.Page, files: dict[str, Path], name: str
) -> None:
    page.open(files[name])
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    nodes = page.accessible()
    roles = [role for role, _ in nodes]
    assert {"banner", "navigation", "main", "heading"} <= set(roles)
    named = [text for role, text in nodes if role in ("image", "table", "region", "link")]
    assert all(named)
    assert roles.count("table") == page.value("document.querySelectorAll('table').length")
    assert roles.count("image") == page.value("document.querySelectorAll('svg').length")
    assert roles.count("columnheader") == page.value("document.querySelectorAll('thead th').length")
    assert roles.count("rowheader") == page.value("document.querySelectorAll('tbody th').length")
