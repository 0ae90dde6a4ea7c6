"""Bad input of a hospital is reported on its Dataset, in words for a data manager, and without a patient's value.

`prepare` reads the file as in the pod of a reading. The site operator's plan makes the status from its message.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.reader import Reader
from tests.worlds.site import NOW, a_pod, ended
from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.dataset import DatasetStatus
from wardround.plans.dataset import plan
from wardround.tabular import columns
from wardround.wire import codec

# Values of patients, which no status may hold. Identifiers begin with the last one.
SECRETS = ("Lovelace", "13.37", "10.12.1815", "patient-")
HOSPITAL = {"claimName": "data", "schemaName": "breast-v1"}

Object = dict[str, Any]


def looked_at(reader: Reader, dataset: Mapping[str, Any], schema: Mapping[str, Any], **changes: Any) -> DatasetStatus:
    """The status after a reading of these objects."""
    before = DatasetStatus(split_fingerprint=changes.get("splitFingerprint"))
    code, message = reader.end(dataset=dataset, schema=schema, **changes)
    step = a_pod(ended("prepare", code, message)).step("prepare")
    status = plan({**HOSPITAL, **dataset}, schema, before, step, generation=1, now=NOW)
    text = json.dumps(codec.dump(status))
    assert not [secret for secret in SECRETS if secret in text]
    return status


def ready(status: DatasetStatus) -> Condition:
    condition = conditions.find(status.conditions, "Ready")
    assert condition is not None
    return condition


def with_field(field: Object) -> Object:
    return {**world.SCHEMA, "fields": [*world.SCHEMA["fields"], field]}


def mapped(*fields: Object) -> Object:
    return {**copy.deepcopy(world.DATASET), "fields": list(fields)}


OTHER_FEDERATION: Object = {
    "fields": [
        {"name": "pulse", "type": "number", "unit": "/min"},
        {"name": "infarction", "type": "integer", "categories": ["0", "1"]},
    ],
    "target": "infarction",
}


@pytest.mark.parametrize(
    ("dataset", "schema", "words"),
    [
        (
            mapped({"name": "age", "from": "ALTER"}, {"name": "age", "from": "AGE"}),
            world.SCHEMA,
            "field 'age' has two entries, which read the columns 'ALTER' and 'AGE'. Remove one of the",
        ),
        (
            mapped({"name": "age", "from": "ALTER"}, {"name": "mean_radius", "from": "ALTER"}),
            world.SCHEMA,
            "all read the column 'ALTER'. Only one field may",
        ),
        (mapped({"name": "mean_radius", "scale": "0"}), world.SCHEMA, "a scale of 0 makes all values equal"),
        (
            mapped({"name": "mean_radius", "from": "RADIUS"}),
            OTHER_FEDERATION,
            "field 'mean_radius' is no field of the DataSchema. Write one of pulse, infarction, or remove the entry",
        ),
    ],
    ids=["two columns, one field", "one column, two fields", "scale of zero", "schema of another federation"],
)
def test_a_dataset_that_does_not_fit_its_schema_says_where(
    reader: Reader, dataset: Object, schema: Object, words: str
) -> None:
    status = looked_at(reader, dataset, schema)
    assert (ready(status).status, ready(status).reason) == ("False", "SchemaInvalid")
    assert words in ready(status).message


def test_a_file_without_the_columns_of_another_federations_schema_says_which(reader: Reader) -> None:
    status = looked_at(reader, world.DATASET, OTHER_FEDERATION)
    assert (ready(status).status, ready(status).reason) == ("False", "ColumnMissing")
    assert "the data has no column pulse, infarction" in ready(status).message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            {"name": "x", "type": "string", "categories": ["left", "right"]},
            "Lovelace",
            "x NotInEnum 300 (correct the value, or write its category in Dataset.spec.fields.",
        ),
        (
            {"name": "x", "type": "boolean"},
            "1.0",
            "x NotABoolean 300 (write true, false, 1 or 0, and neither 1.0 nor yes",
        ),
        (
            {"name": "x", "type": "date"},
            "10.12.1815",
            "x NotADate 300 (write year, month and day in this order, such as 2024-02-29)",
        ),
    ],
    ids=["unlisted category", "boolean written as 1.0", "date in another order"],
)
def test_values_that_a_field_does_not_take_are_counted_and_explained(
    reader: Reader, field: Object, value: str, words: str
) -> None:
    world.pod(reader.folders.root, [f"{line},{value}" for line in world.rows()], world.HEADER + ",x")
    status = looked_at(reader, world.DATASET, with_field(field))
    assert (ready(status).status, ready(status).reason) == ("False", "TooManyRowsLeftOut")
    assert words in ready(status).message
    assert status.left_out is not None
    assert [(each.field, each.rows) for each in status.left_out.fields] == [("x", 300)]


def one_class() -> list[str]:
    return [f"patient-{number},13.37,50,1" for number in range(60)]


def contradicting() -> list[str]:
    once = world.rows()
    return [*once, *(f"{line[:-1]}{1 - int(line[-1])}" for line in once[:7])]


@pytest.mark.parametrize(
    ("lines", "reason", "patients", "words"),
    [
        (one_class, "OneClass", 60, "All valid rows of the data file have the same target"),
        (
            contradicting,
            "TargetsContradict",
            7,
            "In the data file, some patients have several rows with different targets",
        ),
    ],
    ids=["target with one class", "contradicting targets"],
)
def test_rows_that_look_wrong_are_noted_although_they_are_valid(
    reader: Reader, lines: Callable[[], list[str]], reason: str, patients: int, words: str
) -> None:
    world.pod(reader.folders.root, lines())
    status = looked_at(reader, world.DATASET, world.SCHEMA)
    assert (ready(status).status, ready(status).reason) == ("True", "Read")
    assert f"Note {reason}: {words}" in ready(status).message
    assert [(each.reason, each.patients) for each in status.remarks or ()] == [(reason, patients)]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (5, "training samples are left after the checks and the split, and the Site asks for at least 11"),
        (0, "the file has a header and no rows, and the Site asks for at least 11 training samples"),
    ],
)
def test_too_few_rows_are_reported(reader: Reader, count: int, words: str) -> None:
    world.pod(reader.folders.root, world.rows(count))
    status = looked_at(reader, world.DATASET, world.SCHEMA, minSamples=11)
    assert (ready(status).status, ready(status).reason) == ("False", "TooFewSamples")
    assert words in ready(status).message


def test_a_file_that_is_replaced_while_it_is_read_is_reported(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    file, examine = reader.folders.raw / "cases.csv", columns.check

    def replaced(*arguments: Any, **named: Any) -> Any:
        """A nightly export puts another file under this name while rows are checked."""
        file.with_suffix(".new").write_bytes(file.read_bytes())
        file.with_suffix(".new").rename(file)
        return examine(*arguments, **named)

    monkeypatch.setattr(columns, "check", replaced)
    status = looked_at(reader, world.DATASET, world.SCHEMA)
    assert (ready(status).status, ready(status).reason) == ("False", "DataReplaced")
    assert "somebody replaced or changed cases.csv during the reading" in ready(status).message


def test_a_key_of_the_split_that_changed_is_reported(reader: Reader) -> None:
    first = looked_at(reader, world.DATASET, world.SCHEMA)
    (reader.folders.secrets / "split" / "breast" / "key").write_bytes(b"another key of the hospital")
    status = looked_at(reader, world.DATASET, world.SCHEMA, splitFingerprint=first.split_fingerprint)
    assert (ready(status).status, ready(status).reason) == ("False", "SplitKeyChanged")
    assert "has another key than the key with which this Dataset was first read" in ready(status).message
    assert status.split_fingerprint == first.split_fingerprint
