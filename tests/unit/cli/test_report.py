"""The page of a report: well-formed, safe with hostile texts, without a network, and readable without its charts."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.cli import reported
from tests.unit.cli.test_printable import HOSTILE
from wardround.cli.cluster import Cluster
from wardround.cli.commands import report as command
from wardround.cli.errors import CommandError
from wardround.cli.report import build, charts, course, page
from wardround.cli.report.document import Document, Facts, LineChart, Point, Section, Table
from wardround.kubectl import parser

EVIL = "</td></title></style><script>alert(1)</script><img src=x onerror=\"alert('1')\">&amp;"
# Texts with a fixed set of values, and times.
FIXED = {
    "task",
    "outcome",
    "stage",
    "trigger",
    "rows",
    "better",
    "started",
    "time",
    "creationTimestamp",
    "release",
    "class",
    "type",
}
METRICS = ("loss", "auc")
NUMBERS = {"value", "low", "high", "from", "to", "observed"}


def written(objects: Any | None = None) -> str:
    return page.page(build.document(reported.parsed(objects or reported.objects())))


def parsed(text: str) -> ElementTree.Element:
    """The page as XML. Raises ParseError if it is not well-formed."""
    return ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))


def hostile(value: Any, kept: set[str], key: str = "") -> Any:
    """The same objects with markup in every free text. Equal texts stay equal: objects still find each other."""
    if isinstance(value, dict):
        return {name: hostile(each, kept, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(hostile(each, kept, key) for each in value)
    return f"{value}{EVIL}{HOSTILE}" if isinstance(value, str) and key not in kept and value not in METRICS else value


def elements(root: ElementTree.Element, *names: str) -> Iterator[ElementTree.Element]:
    return (each for each in root.iter() if each.tag in names)


def test_the_page_is_well_formed_and_has_all_sections_with_headings_in_order() -> None:
    root = parsed(written())
    levels = [int(each.tag[1]) for each in elements(root, "h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    links = [each.get("href") for each in elements(root, "a")]
    names = {each.get("id") for each in root.iter() if each.get("id")}
    assert {"#convergence", "#versions", "#own", "#calibration", "#hospitals", "#time", "#data", "#card"} < set(links)
    assert all(link is not None and link.removeprefix("#") in names for link in links)
    assert root.get("lang") == "en"


def test_the_report_says_that_the_model_waits_for_people_and_why() -> None:
    items = reported.objects()
    waits = {"type": "Stalled", "status": "True", "reason": "RoundSchemaNotFound", "message": "Apply the DataSchema."}
    items["model"][0]["status"]["conditions"] = [waits]
    assert "RoundSchemaNotFound: Apply the DataSchema." in written(items)
    assert "waits for people" not in written()


def test_names_are_used_once() -> None:
    names = [each.get("id") for each in parsed(written()).iter() if each.get("id")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kept", [FIXED, FIXED | NUMBERS], ids=["everything", "charts"])
def test_markup_in_texts_of_objects_stays_text(kept: set[str]) -> None:
    text = written(hostile(reported.objects(), kept))
    root = parsed(text)
    assert not list(elements(root, "script", "img", "link", "iframe", "object", "form"))
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]
    assert len(list(elements(root, "style"))) == 1
    assert len(list(elements(root, "svg"))) == (6 if kept >= NUMBERS else 1)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_needs_no_network_and_no_script() -> None:
    text = written()
    assert not re.search(r"https?:|//|url\(|@import|\ssrc=|<script|<link|<img", text)
    assert all(str(each.get("href")).startswith("#") for each in elements(parsed(text), "a"))
    assert "default-src 'none'" in text.replace("&#x27;", "'")


def test_each_chart_has_a_title_a_description_and_a_table() -> None:
    figures = list(elements(parsed(written()), "figure"))
    # Loss, AUC, differences, own models, calibration, time.
    assert len(figures) == 6
    for each in figures:
        [drawn] = elements(each, "svg")
        assert drawn.get("role") == "img"
        title, text = [child.get("id") for child in list(drawn)[:2]]
        assert drawn.get("aria-labelledby") == f"{title} {text}"
        assert all(child.text for child in list(drawn)[:2])
        assert len(list(elements(each, "table"))) == 1


def test_each_table_has_a_caption_and_heads_and_the_keyboard_can_scroll_it() -> None:
    root = parsed(written())
    tables = list(elements(root, "table"))
    for each in tables:
        assert next(elements(each, "caption")).text
        assert {head.get("scope") for head in elements(each, "th")} == {"col", "row"}
    regions = [each for each in root.iter() if each.get("role") == "region"]
    assert len(regions) == len(tables)
    assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in regions)


def test_no_number_of_a_single_hospital_is_in_the_page() -> None:
    text = written()
    for number in (*map(str, reported.SAMPLES.values()), reported.OWN_LOSS, "15846"):
        assert number not in text


def test_totals_over_one_hospital_are_left_out_with_their_calibration() -> None:
    """A Site may tell its own number to those who read the round. The page goes to more people."""
    objects = reported.objects()
    model, versions, rounds = objects["model"]
    alone = [each for item in (*versions, *rounds) for each in own_numbers(item)]
    for each in alone:
        each["hospitals"] = 1
    text = written({**objects, "model": (model, versions, rounds)})
    parsed(text)
    values = {str(each["value"]) for each in alone}
    assert {"0.302", "0.93", "-0.029"} <= values
    assert not [value for value in values if value in text]
    assert ">0.76<" not in text
    assert "numbers of single hospitals" in text
    # One metric over one hospital hides the groups, which do not say over how many they are.
    again = reported.objects()
    again["model"][1][0]["status"]["metrics"][0]["hospitals"] = 1
    assert ">0.76<" not in written(again)
    assert ">0.76<" in written()


def test_numbers_about_test_rows_stand_in_a_table_of_their_own() -> None:
    objects = reported.objects()
    first, second = objects["model"][1]
    numbers = [{**each, "rows": "Test", "value": "0.4321"} for each in first["status"]["metrics"]]
    first["status"]["test"] = {"roundName": "heart-t2", "outcome": "Complete", "metrics": numbers}
    second["status"]["test"] = {"roundName": "heart-t1", "outcome": "Failed", "message": "Nobody answered."}
    text = written(objects)
    parsed(text)
    assert text.count(">0.4321<") == len(numbers)
    assert "The versions on test rows" in text
    assert "Nobody answered." in text
    assert "on test rows" not in written()
    for each in numbers:
        each["hospitals"] = 1
    assert ">0.4321<" not in written(objects)


def test_a_version_that_no_round_has_measured_says_why() -> None:
    """The gate accepts a first version, whatever it is worth."""
    items = reported.objects()
    first = items["model"][1][1]
    words = "The version has no metrics: round heart-e1 has failed."
    ready = {"type": "Ready", "status": "True", "reason": "NumbersWithheld", "message": words}
    first["status"] |= {"metrics": [], "calibration": [], "conditions": [ready]}
    text = "".join(parsed(written(items)).itertext())
    assert f"NumbersWithheld. {words}" in text
    assert "Versions that no round has measured:" not in "".join(parsed(written()).itertext())


def own_numbers(item: Any) -> list[Any]:
    """All numbers of a version or of a round."""
    status = item["status"]
    result = status.get("result", {})
    return [*status.get("metrics", []), *result.get("metrics", []), *result.get("differences", [])]


def test_the_page_says_who_was_left_out_and_why() -> None:
    rows = [[cell.text for cell in each] for each in elements(parsed(written()), "tr")]
    meanings = {str(row[0]): row[1:4] for row in rows if len(row) == 5 and row[2] in ("ColumnMissing", "Withheld")}
    assert meanings["Clinic West (site-c)"][0] == "series 2, Statistics and 5 more"
    assert "column" in str(meanings["Clinic West (site-c)"][2])
    assert meanings["South Hospital (site-b)"][:2] == ["series 2, Compare", "Withheld"]
    assert ["site-d", "ParticipantSuspended"] in [[row[0], row[2]] for row in rows if len(row) == 5]
    assert ["series 2, Train 1", "Complete", "4", "3", "2", "1", "2", "0"] in rows
    # Its Dataset has other columns.
    assert ["Clinic West (site-c)", "yes", "no"] in rows


def test_the_curve_goes_over_all_series_of_which_a_version_or_a_round_is_left() -> None:
    """The round of version 1 is the only one of series 1 that the hub operator keeps."""
    rows = [[cell.text for cell in each] for each in elements(parsed(written()), "tr")]
    places = ["series 1, Train 2", "series 2, Train 1", "series 2, Train 2", "series 2, Train 3"]
    assert [row[:2] for row in rows if row[0] in places and row[-1] == "Validation"] == [
        *([places[0], "0.331"], [places[1], "0.412"], [places[2], "0.331"], [places[3], "0.302"]),
        *([places[0], "0.91"], [places[1], "0.86"], [places[2], "0.91"], [places[3], "0.93"]),
    ]


@pytest.mark.parametrize("own", [True, False])
def test_a_round_of_an_earlier_series_is_shown_if_the_model_controls_it(own: bool) -> None:
    """People who make rounds can give a round any name and label."""
    items = reported.objects()
    kept = reported.federated_round("r2", -400, "Train", None)
    kept["metadata"] |= {"name": reported.FIRST, "uid": reported.FIRST}
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": "FederatedModel", "name": "heart", "controller": True}
    kept["metadata"]["ownerReferences"] = [{**owner, "uid": "m" if own else "another"}]
    items["model"][2].append(kept)
    rows = [[cell.text for cell in each] for each in elements(parsed(written(items)), "tr")]
    assert (["series 1, Train 2", "Complete", "4", "3", "2", "1", "2", "0"] in rows) is own


def test_a_failed_round_says_why() -> None:
    objects = reported.objects()
    failed = objects["model"][2][4]["status"]
    failed["conditions"] = [{"type": "Failed", "status": "True", "reason": "QuorumNotMet", "message": "Too few."}]
    del failed["result"]
    assert ">Failed: QuorumNotMet<" in written(objects)


def test_the_report_for_a_person_without_the_right_to_read_hospitals_says_what_is_missing() -> None:
    text = written({**reported.objects(), "tasks": None, "participants": None, "schema": None})
    parsed(text)
    assert "your account may not read the hospitals&#x27; RoundTasks" in text
    assert "your account may not read their Participants" in text
    assert "ParticipantSuspended" in text


def test_a_model_before_its_first_round_has_a_report() -> None:
    objects = reported.objects()
    bare = {"metadata": objects["model"][0]["metadata"], "spec": reported.SPEC}
    text = written({"model": (bare, [], []), "tasks": [], "participants": [], "schema": None})
    parsed(text)
    assert "No series has a loss or AUC to show: a number in this report covers at least 2 hospitals." in text


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.05, 0.02), (0.3, 0.30001), (-1e9, 1e9), (0.0, 3e-7)])
def test_ticks_are_round_numbers_between_the_ends(low: float, high: float) -> None:
    made = charts.ticks(low, high)
    assert 2 <= len(made) <= 7
    room = (high - low) * 1e-6
    assert all(low - room <= each <= high + room for each in made)


def test_numbers_that_hardly_differ_have_room() -> None:
    low, high = charts.padded([1e9, 1e9 + 2e-7])
    assert len(set(charts.ticks(low, high))) >= 2
    low, high = charts.padded([0.5, 0.5])
    assert low < 0.5 < high
    assert charts.padded([0.0]) == (-1.0, 1.0)


def test_a_long_series_has_a_curve_without_marks_and_folded_tables() -> None:
    points = tuple(Point(str(n), 1 / n, 0.9 / n, 1.1 / n, n == 90) for n in range(1, 101))
    table = Table("losses", ("round", "loss"), tuple((each.label, str(each.value)) for each in points))
    chart = LineChart("loss", "It falls.", "round", "loss", points, table)
    text = page.page(Document("long", Facts(()), (Section("one", "One", (chart, table)),)))
    root = parsed(text)
    assert len(list(elements(root, "circle"))) == 1
    assert len(list(elements(root, "polygon"))) == 1
    assert [each.text for each in elements(root, "summary")] == ["Table: loss", "losses (100 rows)"]


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("SplitKeyLost", True),
        ("DatasetDiffers", True),
        ("TooFewSamples", True),
        ("WrongSchema", False),
        ("TrainerFailed", False),
        ("SomethingNew", False),
    ],
)
def test_only_a_reason_about_data_is_a_problem_of_the_data(reason: str, data: bool) -> None:
    """Training code that changes tensors is no fault of a hospital's data."""
    objects = reported.objects()
    for each in objects["tasks"]:
        if "failure" in each["status"]:
            each["status"]["failure"]["reason"] = reason
    [*_, table] = course.data_quality(reported.parsed(objects)).blocks
    assert isinstance(table, Table)
    assert [row[2] for row in table.rows] == ([reason] if data else [])


def test_the_command_writes_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    objects = reported.objects()
    reported.serve(monkeypatch, objects)
    path = tmp_path / "heart.html"
    words = ["report", "fm/heart", "-n", "fed", "-o"]
    assert command.run_report(cast(Cluster, None), parser().parse_args([*words, str(path)])) == 0
    assert f"Wrote {path}, the report of model fed/heart." in capsys.readouterr().out
    assert "Model fed/heart" in path.read_text()
    with pytest.raises(CommandError, match="The command cannot write"):
        command.run_report(cast(Cluster, None), parser().parse_args([*words, str(tmp_path / "absent" / "x.html")]))
    with pytest.raises(CommandError, match="federatedmodel/NAME"):
        command.run_report(cast(Cluster, None), parser().parse_args(["report", "fr/heart", "-o", str(path)]))
