"""Writes the document of a report as one HTML page, without scripts and without an address of a network. Pure."""

from collections.abc import Iterator

from wardround.cli.report import charts
from wardround.cli.report.document import Block, Chart, Document, Facts, Paragraph, Section, Table
from wardround.cli.report.markup import Markup, join, tag, trusted

# A longer table is folded.
MOST_ROWS = 30
# The browser fetches nothing, whatever the page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --page: #ffffff; --line: #d0d7de; --head: #f3f5f7;
  --c0: #0b62b0; --c1: #b35900; --c2: #00785a; --c3: #8a3c7d; --focus: #b35900; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ed; --quiet: #a3acb8; --page: #14171b; --line: #3a424c; --head: #1f242b;
    --c0: #6cb6ff; --c1: #f0a860; --c2: #4fd1a5; --c3: #d9a0d0; --focus: #f0a860; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  overflow-wrap: break-word; }
header, main, nav { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 2rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: 1rem 0 0; list-style: none; }
a { color: var(--c0); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--page); padding: .25rem .5rem; }
dl { display: grid; grid-template-columns: minmax(10rem, 16rem) 1fr; gap: .3rem 1rem; margin: .75rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding: .25rem 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word; font-weight: 400; min-width: 4rem; max-width: 30rem; }
thead th { background: var(--head); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.notice { border: 2px solid var(--focus); border-radius: .25rem; padding: .6rem .9rem; font-weight: 600; }
figure { margin: 1.25rem 0; }
figure h3 { font-size: 1rem; margin: 0 0 .5rem; }
figcaption { color: var(--quiet); margin-top: .5rem; }
summary { cursor: pointer; padding: .4rem 0; }
svg { display: block; width: 100%; max-width: 46rem; height: auto; font: 13px system-ui, sans-serif; }
/* A halo, so that lines do not cross out texts. */
svg text { fill: var(--quiet); stroke: var(--page); stroke-width: 4px; paint-order: stroke; }
svg .axis { fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; }
.zero { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 5 4; }
.band { fill: var(--c0); opacity: .13; }
.curve { fill: none; stroke-width: 2; }
.whisker { stroke-width: 1.5; }
.wide { stroke-width: 3; }
.mark { fill: var(--page); stroke-width: 2; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.full.c0, .bar.c0 { fill: var(--c0); } .full.c1, .bar.c1 { fill: var(--c1); }
.full.c2, .bar.c2 { fill: var(--c2); } .full.c3, .bar.c3 { fill: var(--c3); }
.bar { stroke: var(--page); stroke-width: 1; }
/* On a phone, a chart scrolls sideways, because its texts would be too small. */
.chart { overflow-x: auto; }
@media (max-width: 40rem) { .chart svg { min-width: 34rem; } }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { .skip, nav { display: none; } }
"""


def page(document: Document) -> str:
    """The whole file."""
    head = tag(
        "head",
        None,
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("title", None, document.title),
        tag("style", None, trusted(STYLE)),
    )
    links = (tag("li", None, tag("a", {"href": f"#{each.name}"}, each.title)) for each in document.sections)
    body = tag(
        "body",
        None,
        tag("a", {"class": "skip", "href": "#main"}, "Skip to the content"),
        tag("header", None, tag("h1", None, document.title), *_notice(document.notice), _facts(document.facts)),
        tag("nav", {"aria-label": "Sections"}, tag("ul", None, *links)),
        tag("main", {"id": "main"}, *(_section(each) for each in document.sections)),
    )
    return f"<!doctype html>\n{tag('html', {'lang': 'en'}, head, body)}\n"


def _notice(text: str) -> tuple[Markup, ...]:
    return (tag("p", {"class": "notice", "role": "note"}, text),) if text else ()


def _section(section: Section) -> Markup:
    heading = f"{section.name}-heading"
    blocks = (_block(each, f"{section.name}-{index}") for index, each in enumerate(section.blocks))
    return tag(
        "section",
        {"id": section.name, "aria-labelledby": heading},
        tag("h2", {"id": heading}, section.title),
        *blocks,
    )


def _block(block: Block, name: str) -> Markup:
    match block:
        case Paragraph():
            return tag("p", None, block.text)
        case Facts():
            return _facts(block)
        case Table() if len(block.rows) > MOST_ROWS:
            return _folded(block, f"{block.caption} ({len(block.rows)} rows)")
        case Table():
            return _table(block)
        case _:
            return _figure(block, name) if charts.has_numbers(block) else _table(block.table)


def _figure(chart: Chart, name: str) -> Markup:
    return tag(
        "figure",
        None,
        tag("h3", None, chart.title),
        tag("div", {"class": "chart"}, charts.draw(chart, name)),
        tag("figcaption", None, chart.description),
        _folded(chart.table, f"Table: {chart.title}"),
    )


def _folded(table: Table, title: str) -> Markup:
    """A table that the reader opens."""
    return tag("details", None, tag("summary", None, title), _table(table))


def _facts(facts: Facts) -> Markup:
    pairs = (join((tag("dt", None, name), tag("dd", None, value))) for name, value in facts.pairs)
    return tag("dl", None, *pairs)


def _table(table: Table) -> Markup:
    """A table that the keyboard can scroll."""
    if not table.rows:
        return tag("p", None, f"{table.caption}.")
    numbers = [column in table.numbers for column in table.columns]
    head = (
        tag("th", {"scope": "col", **_kind(number)}, column)
        for column, number in zip(table.columns, numbers, strict=True)
    )
    rows = (tag("tr", None, *_cells(row, numbers)) for row in table.rows)
    return tag(
        "div",
        {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": table.caption},
        tag(
            "table",
            None,
            tag("caption", None, table.caption),
            tag("thead", None, tag("tr", None, *head)),
            tag("tbody", None, *rows),
        ),
    )


def _cells(row: tuple[str, ...], numbers: list[bool]) -> Iterator[Markup]:
    first, *others = row
    yield tag("th", {"scope": "row"}, first)
    for text, number in zip(others, numbers[1:], strict=True):
        yield tag("td", _kind(number), text)


def _kind(number: bool) -> dict[str, str]:
    return {"class": "number"} if number else {}
