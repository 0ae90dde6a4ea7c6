"""`kubectl wardround dataschema digests`: what an operator compares, and in which fields two DataSchemas differ."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from wardround.cli import dataschemas
from wardround.kubectl import main
from wardround.plans.schema import assigned
from wardround.tabular import dataschema

Object = dict[str, Any]
SPEC: Object = {
    "fields": [
        {"name": "mean_radius", "type": "number", "unit": "mm", "minimum": "0", "maximum": "50"},
        {"name": "age", "type": "integer", "minimum": "0"},
        {"name": "malignant", "type": "integer", "required": True, "categories": ["0", "1"]},
    ],
    "target": "malignant",
}


def changed(**fields: Object) -> Object:
    """SPEC with changes of its fields by name."""
    spec = copy.deepcopy(SPEC)
    spec["fields"] = [{**each, **fields.get(each["name"], {})} for each in spec["fields"]]
    return spec


def file(folder: Path, name: str, spec: Object) -> str:
    item = {"kind": "DataSchema", "metadata": {"name": "breast-v1"}, "spec": spec}
    (folder / name).write_text(yaml.safe_dump_all([{"kind": "Site"}, item]))
    return str(folder / name)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["dataschema", "digests", *arguments])
    output = capsys.readouterr()
    return code, (output.out + output.err).splitlines()


def test_the_digests_are_those_that_hub_and_site_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, file(tmp_path, "own.yaml", SPEC))
    theirs = assigned(SPEC)
    assert code == 0
    assert f"schema digest:  {theirs.digest}" in lines
    assert f"columns digest: {theirs.columns_digest}" in lines
    assert [line.split() for line in lines[-3:]] == [[each.name, each.digest] for each in theirs.fields]


def test_descriptions_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = file(tmp_path, "own.yaml", SPEC)
    other = file(tmp_path, "other.yaml", changed(age={"description": "in years"}))
    code, lines = run(capsys, own, other)
    assert (code, lines[-1]) == (0, "The two DataSchemas mean the same.")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (changed(mean_radius={"unit": "cm"}), "field mean_radius: unit is mm in OWN, and cm in OTHER."),
        (changed(mean_radius={"maximum": "60"}), "field mean_radius: maximum is 50 in OWN, and 60 in OTHER."),
        (changed(age={"maximum": "120"}), "field age: maximum is not set in OWN, and 120 in OTHER."),
        (
            changed(age={"type": "date", "minimum": "1920-02-29"}),
            "field age: minimum is 0 in OWN, and 1920-02-29 in OTHER.",
        ),
        (changed(age={"type": "number"}), "field age: type is integer in OWN, and number in OTHER."),
        (changed(malignant={"categories": ["0", "1", "2"]}), "field malignant: categories is 0, 1 in OWN, and 0, 1, 2"),
        (changed(age={"name": "years"}), "field age: OWN has this field, and OTHER does not."),
        ({**SPEC, "fields": SPEC["fields"][::-1]}, "field 1 is mean_radius in OWN, and malignant in OTHER. The "),
        ({**SPEC, "target": "age"}, "target: the target is malignant in OWN, and age in OTHER."),
    ],
    ids=["unit", "bound", "new bound", "date", "type", "categories", "name", "order", "target"],
)
def test_each_field_that_differs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: Object, words: str
) -> None:
    own, other = file(tmp_path, "own.yaml", SPEC), file(tmp_path, "other.yaml", spec)
    code, lines = run(capsys, own, other)
    assert code == 1
    assert [line for line in lines if line.startswith(words.replace("OWN", own).replace("OTHER", other))]
    assert f"{other}: {dataschema.digest(dataschema.parse(spec))}" in lines
    assert "ask the round's author for a corrected one" in lines[-1]


def test_the_hub_compares_what_a_hospital_publishes() -> None:
    own = assigned(SPEC)
    datasets = [
        {"name": "breast", "schemaDigest": own.digest, "columnsDigest": own.columns_digest},
        {"name": "old", "schemaDigest": "sha256:" + "1" * 64, "columnsDigest": own.columns_digest},
    ]
    hospital = {
        "metadata": {"name": "site-a", "namespace": "site-a"},
        "spec": {"displayName": "Hospital"},
        "status": {"site": {"datasets": datasets}},
    }
    one = dataschemas.described("breast-cancer/breast-v1", SPEC)
    answer = dataschemas.published(one, hospital)
    assert answer.equal
    assert answer.lines[1] == "Dataset breast of site-a: the same"
    assert answer.lines[2].startswith(f"Dataset old of site-a: differs: sha256:{'1' * 64} (types, bounds, categories")
    hospital["status"] = {}
    nothing = dataschemas.published(one, hospital)
    assert not nothing.equal
    assert "site-a offers no Dataset" in nothing.lines[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Site\n", "has no objects of kind DataSchema"),
        ("kind: DataSchema\nspec: {fields: []}\n", "DataSchema: spec has no fields"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_file_without_a_dataschema_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    code, lines = run(capsys, str(tmp_path / "own.yaml"))
    assert code == 2
    assert words in "\n".join(lines)
