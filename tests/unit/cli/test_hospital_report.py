"""A hospital's own report: it holds the hospital's numbers, says so, and is as safe as the report of a model."""

from __future__ import annotations

import itertools
import re
import stat
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.cli import hospital
from tests.unit.cli.test_printable import HOSTILE
from tests.unit.cli.test_report import EVIL, elements, parsed
from wardround.cli.cluster import Cluster
from wardround.cli.commands import report as command
from wardround.cli.errors import CommandError
from wardround.cli.hospital_report import build, seen
from wardround.cli.report import page
from wardround.cli.report.document import IntervalChart, LineChart, Section, Table
from wardround.kubectl import parser

# Texts with a fixed set of values, times, and the signed assignment.
FIXED = {"assignment", "creationTimestamp", "time", "type", "status", "rows", "outcome", "class", "verdict", "kind"}


def written(known_objects: Any | None = None) -> str:
    return page.page(build.document(hospital.parsed(known_objects or hospital.objects())))


def section(name: str, known_objects: Any | None = None) -> Section:
    [each] = [
        one for one in build.document(hospital.parsed(known_objects or hospital.objects())).sections if one.name == name
    ]
    return each


def tables(shown: Section) -> dict[str, Table]:
    return {each.caption: each for each in shown.blocks if isinstance(each, Table)}


def hostile(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: hostile(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, key) for each in value]
    return f"{value}{EVIL}{HOSTILE}" if isinstance(value, str) and key not in FIXED else value


def test_the_page_says_before_all_else_that_it_stays_in_the_hospital() -> None:
    root = parsed(written())
    [notice] = [each for each in root.iter() if each.get("role") == "note"]
    assert "send it to nobody outside" in (notice.text or "")
    header = next(elements(root, "header"))
    assert [each.tag for each in header][:2] == ["h1", "p"]


def test_the_page_is_well_formed_and_needs_no_network() -> None:
    text = written()
    root = parsed(text)
    levels = [int(each.tag[1]) for each in elements(root, "h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    names = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(names) == len(set(names))
    # A screen reader lists regions by their labels.
    labels = [each.get("aria-label") for each in root.iter() if each.get("role") == "region"]
    assert len(labels) == len(set(labels))
    assert not re.search(r"https?:|//|url\(|@import|\ssrc=|<script|<link|<img", text)


def test_markup_in_texts_of_objects_stays_text() -> None:
    text = written(hostile(hospital.objects()))
    root = parsed(text)
    assert not list(elements(root, "script", "img", "link", "iframe", "object", "form"))
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]
    assert "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text


def test_a_model_has_the_hospitals_numbers_of_each_version_and_its_verdicts() -> None:
    shown = section("model-2")
    assert shown.title == "Model breast-cancer/heart"
    lines = [each for each in shown.blocks if isinstance(each, LineChart)]
    assert [[point.value for point in each.points] for each in lines] == [[0.662, 0.417, 0.318], [0.81, 0.82, 0.83]]
    assert [point.label for point in lines[0].points] == ["1.1", "1.2", "1.3"]
    known = tables(shown)
    newest = known["All numbers of the newest measurement, over this hospital's own people, model breast-cancer/heart"]
    assert newest.rows == (("loss", "Validation", "series 2 after Train 3", "0.311", "0.241 to 0.381", "Lower", "61"),)
    verdicts = known["This hospital's own verdicts, model breast-cancer/heart"].rows
    assert [row[2:4] for row in verdicts] == [("heart-1", "Better"), ("heart-2", "Undecided")]
    assert [row[5:] for row in verdicts] == [("-0.031", "-0.052 to -0.011"), ("0.004", "-0.012 to 0.021")]
    [chart] = [each for each in shown.blocks if isinstance(each, IntervalChart)]
    assert [(each.value, each.low, each.high) for each in chart.points] == [
        (-0.031, -0.052, -0.011),
        (0.004, -0.012, 0.021),
    ]


def test_a_hospital_with_too_few_people_reads_that_there_are_no_numbers() -> None:
    known_objects = hospital.objects()
    for each in known_objects["tasks"]:
        each["status"].pop("metrics", None)
        for verdict in each["status"].get("verdicts", ()):
            verdict["outcome"] = "TooFewPeople"
    model = section("model-2", known_objects)
    assert any("a class has fewer people" in getattr(each, "text", "") for each in model.blocks)
    assert [row[3] for row in tables(model)["This hospital's own verdicts, model breast-cancer/heart"].rows] == [
        "TooFewPeople"
    ] * 2


def test_each_task_that_failed_has_its_reason_and_who_acts() -> None:
    known = tables(section("tasks"))
    [row] = known["Tasks that failed or wait, and why"].rows
    assert row[:3] == ("series 2, Train 1", "heart-s2-r1-a1", "ColumnMissing")
    assert "The file has no column mean_radius." in row[4]
    assert ("model breast-cancer/heart", "Train", "3", "1", "0") in known["Tasks that this site still holds"].rows
    assert ("alice: Approve" in [each[4] for each in known["All tasks"].rows]) is True


def test_the_data_of_the_hospital_has_its_counts_and_reasons() -> None:
    text = written()
    for each in ("301", "287", "0.0227", "AboveMaximum", "RowsRepeated", "13 patients", "17"):
        assert each in text


def test_a_report_on_a_task_is_about_its_model_alone() -> None:
    whole = hospital.parsed(hospital.objects())
    of_model = seen.about(whole, "heart-s1-r2-a1")
    assert {each.asks.round_name.partition("-")[0] for each in of_model.tasks} == {"heart"}
    assert len(of_model.tasks) == 6
    assert [each.metadata.name for each in of_model.datasets] == ["breast"]
    by_hand = seen.about(whole, "by-hand-a1")
    assert [each.name for each in by_hand.tasks] == ["by-hand-a1"]
    assert seen.about(whole, "gone").groups == ()


def test_a_task_whose_assignment_cannot_be_read_is_named() -> None:
    known_objects = hospital.objects()
    known_objects["tasks"][0]["spec"]["assignment"] = "{}"
    assert any("heart-s2-r1-a1" in getattr(each, "text", "") for each in section("tasks", known_objects).blocks)


class Server:
    """An API server that has these objects."""

    server, default_namespace = "https://hospital.example", hospital.NAMESPACE

    def __init__(self, known_objects: Any) -> None:
        self.objects = [known_objects["site"], *known_objects["tasks"], *known_objects["datasets"]]

    def get(self, kind: str, name: str, namespace: str) -> Any:
        known = (each for each in self.objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
        return next(known, None)

    def list(self, kind: str, namespace: str) -> Any:
        return [each for each in self.objects if each["kind"] == kind]


def run(target: str, path: Path, known_objects: Any | None = None) -> str:
    options = parser().parse_args(["report", target, "-n", hospital.NAMESPACE, "-o", str(path)])
    command.run_report(cast(Cluster, Server(known_objects or hospital.objects())), options)
    return path.read_text()


@pytest.mark.parametrize(
    ("target", "subject"), [("st/heart-s1-r2-a1", "breast-cancer/heart"), ("site/site", "all models")]
)
def test_the_command_writes_a_file_that_nobody_else_reads(
    target: str, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.html"
    path.write_text("An older file that everybody may read, and that is longer than nothing.")
    path.chmod(0o644)
    text = run(target, path)
    ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))
    assert subject in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "Keep it in the hospital" in capsys.readouterr().out


def test_the_command_says_what_to_do_with_a_task_that_it_cannot_read(tmp_path: Path) -> None:
    known_objects = hospital.objects()
    known_objects["tasks"][0]["spec"]["assignment"] = "{}"
    with pytest.raises(CommandError, match="kubectl wardround explain sitetask/heart-s2-r1-a1"):
        run("st/heart-s2-r1-a1", tmp_path / "own.html", known_objects)
