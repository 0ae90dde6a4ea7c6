"""docs/data-file.md says of each value what the code reads, and has every reason for which a row is left out."""

from __future__ import annotations

import datetime
import re

import pyarrow as pa
import pytest
import yaml

from lab.topology import ROOT
from wardround.reasons.registry import REASONS
from wardround.tabular import columns, problems, schema
from wardround.tabular.dataschema import Field
from wardround.tabular.schema import Source

PAGE = ROOT / "docs/data-file.md"
VALUE = re.compile(r"^\| (number|integer|boolean|date) \| (?:`(.*)`|\(nothing\)) \| (.*) \|$", re.MULTILINE)
HEAD = "| reason | meaning | what to do |\n|---|---|---|\n"


def rows_of_reasons() -> str:
    """The rows of the page's table. To write the page anew, `write`."""
    return "".join(f"| `{name}` | {each.meaning} | {each.advice} |\n" for name, each in problems.PROBLEMS.items())


def write() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(HEAD)
    _, _, after = rest.partition("\n\n")
    PAGE.write_text(f"{before}{HEAD}{rows_of_reasons()}\n{after}", "utf-8")


def test_the_page_has_every_reason_for_which_a_row_is_left_out() -> None:
    _, head, rest = PAGE.read_text("utf-8").partition(HEAD)
    assert head
    assert rest.partition("\n\n")[0] + "\n" == rows_of_reasons(), "run tests.unit.tabular.test_data_file_page.write()"


def test_every_reason_that_the_code_gives_has_meaning_and_advice() -> None:
    given = {
        *(problems.MISSING, problems.IDENTIFIER_MISSING, *problems.NOT_OF_TYPE.values(), problems.BELOW),
        *(problems.ABOVE, problems.NOT_IN_ENUM, problems.ROW_MALFORMED),
    }
    assert problems.PROBLEMS.keys() == given


def test_the_page_names_the_reasons_for_which_a_file_is_refused() -> None:
    *_, table = PAGE.read_text("utf-8").partition("## When the whole file is refused")
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert named == [
        *("ColumnMissing", "DataUnreadable", "DataReplaced", "IdentifiersChanged", "ColumnsChanged"),
        *("TooManyRowsLeftOut", "TooFewSamples"),
    ]
    assert all(name in REASONS for name in named)


VALUES = VALUE.findall(PAGE.read_text("utf-8"))


def test_the_page_has_values_of_each_type() -> None:
    assert {kind for kind, _, _ in VALUES} == {"number", "integer", "boolean", "date"}
    assert len(VALUES) == 25


@pytest.mark.parametrize(("kind", "text", "meaning"), VALUES)
def test_a_value_is_read_as_the_page_says(kind: str, text: str, meaning: str) -> None:
    field = Field("x", kind, unit="mm" if kind == "number" else "")
    column = columns.check(pa.array([text]), Source(field, "x"), needed=True)
    problems = [reason for reason, mask in column.problems if mask.any()]
    if meaning.startswith("`"):
        assert problems == [meaning.strip("`")]
        return
    assert problems == []
    assert column.numbers is not None
    days = datetime.date.fromisoformat(meaning) - datetime.date(1970, 1, 1) if kind == "date" else None
    assert column.numbers[0] == (float(meaning) if days is None else days.days)


def test_the_datasets_example_reads_a_file_as_the_page_says() -> None:
    """Units, words of a category, and words of a boolean."""
    [text] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    spec = yaml.safe_load(text)["spec"] | {"identifier": {"column": "id", "type": "string"}}
    described = {
        "fields": [
            {"name": "radius", "type": "number", "unit": "mm"},
            {"name": "temperature", "type": "number", "unit": "Cel"},
            {"name": "side", "type": "string", "categories": ["left", "right"]},
            {"name": "smoker", "type": "boolean"},
            {"name": "ill", "type": "integer", "categories": ["0", "1"]},
        ],
        "target": "ill",
    }
    read = {each.field.name: each for each in schema.parse(described, spec).sources}
    lines = {"radius": ["1.5", "-999"], "temperature": ["98.6", "NA"], "side": ["rechts", "unknown"], "smoker": ["yes"]}
    checked = {name: columns.check(pa.array(values), read[name], needed=True) for name, values in lines.items()}
    for name, value in (("radius", 15.0), ("temperature", 37.0), ("smoker", 1.0)):
        numbers = checked[name].numbers
        assert numbers is not None
        assert numbers[0] == pytest.approx(value, abs=1e-4)
    assert checked["side"].text.to_pylist()[0] == "right"
    for name in ("radius", "temperature", "side"):
        assert {reason for reason, mask in checked[name].problems if mask[1]} == {problems.MISSING}
        assert not any(mask[0] for _, mask in checked[name].problems)
