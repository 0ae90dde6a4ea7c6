"""What a Dataset says of itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.worlds.site import NOW, a_pod, ended
from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.dataset import ClassLeftOut, DatasetStatus, Ignored, LeftOut, Reading
from wardround.api.times import to_seconds
from wardround.plans import events
from wardround.plans.dataset import plan
from wardround.plans.pod import Step
from wardround.reasons.registry import REASONS, class_of
from wardround.tabular import dataschema
from wardround.wire.outcome import EvaluationBudget, IgnoredColumn, LeftOutRows, Remark

NOW_TEXT = to_seconds(NOW)
SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "mean_radius", "type": "number", "minimum": "0"},
        {"name": "malignant", "type": "integer"},
    ],
    "target": "malignant",
}
SPEC: dict[str, Any] = {
    "claimName": "data",
    "schemaName": "breast-v1",
    "path": "cases.csv",
    "identifier": {"column": "patient_id", "type": "string"},
    "split": {},
}
QUALITY = [{"field": "mean_radius", "reason": "Missing", "rows": 1}]
REPORT = {
    "rows": 341,
    "patients": 340,
    "samples": 290,
    "schemaDigest": "sha256:x",
    "quality": QUALITY,
    "leftOut": {"rows": 1, "patients": 1, "classes": [{"value": "1", "leftOut": 11, "kept": 33}]},
    "ignoredColumns": {"count": 2, "named": [{"name": "notes", "reason": "NotInSchema"}]},
    "remarks": [{"reason": "TargetsContradict", "patients": 3}],
    "splitFingerprint": "8ad884a12864",
}


def prepare(code: int, outcome: Any) -> Step:
    return a_pod(ended("prepare", code, json.dumps(outcome))).step("prepare")


def look(
    status: DatasetStatus | None = None,
    step: Step | None = None,
    document: Any = SCHEMA,
    generation: int = 1,
    **spec: Any,
) -> DatasetStatus:
    """`document`: the spec of the DataSchema. `spec`: changes of the Dataset's."""
    return plan({**SPEC, **spec}, document, status or DatasetStatus(), step, generation=generation, now=NOW)


def ready(status: DatasetStatus) -> Condition:
    condition = conditions.find(status.conditions, "Ready")
    assert condition is not None
    return condition


def test_the_digest_of_the_schema_is_there_at_once_and_is_the_one_that_prepare_computes() -> None:
    status = look()
    assert status.schema_digest == dataschema.digest(dataschema.parse(SCHEMA))
    assert status.columns_digest == dataschema.columns_digest(dataschema.parse(SCHEMA))
    assert (ready(status).status, ready(status).reason) == ("True", "NotReadYet")


def test_a_dataset_that_no_pod_has_read_says_what_nobody_has_looked_at() -> None:
    message = ready(look()).message
    assert "spec.claimName, spec.path and spec.format of the Dataset may be wrong" in message


def test_a_dataset_that_no_pod_could_read_says_why_until_its_spec_changes() -> None:
    first = look()
    why = "no pod has read the file within 4200 s: persistentvolumeclaim data not found"
    tried = Reading(
        generation=1, schema_digest=first.schema_digest, ended_at=NOW_TEXT, reason="DeadlineExceeded", message=why
    )
    status = look(dataclasses.replace(first, reading=tried))
    assert (ready(status).status, ready(status).reason) == ("True", "NotReadYet")
    assert ready(status).message.endswith(f"The newest try to read the file failed (DeadlineExceeded: {why}).")
    assert look(status) == status
    assert why not in ready(look(status, generation=2, claimName="cases")).message


def test_a_schema_that_is_wrong_says_where_and_has_no_digest_by_which_it_is_offered() -> None:
    status = look(look(), document=SCHEMA | {"target": "benign"})
    assert (status.schema_digest, status.columns_digest) == (None, None)
    assert (ready(status).status, ready(status).reason) == ("False", "SchemaInvalid")
    assert "target" in ready(status).message


def test_a_dataset_without_its_schema_waits_for_it_and_is_offered_to_nobody() -> None:
    status = look(document=None)
    assert (status.schema_digest, status.columns_digest, status.features) == (None, None, None)
    assert (ready(status).status, ready(status).reason) == ("False", "SchemaNotFound")
    assert "Its name is breast-v1." in ready(status).message
    assert "Apply the federation's DataSchema in this namespace" in ready(status).message
    assert ready(look(status)).reason == "NotReadYet"


def test_a_schema_that_was_made_again_under_its_name_makes_the_dataset_unread() -> None:
    """The Dataset's generation stays as it is, and so does the DataSchema's name."""
    before = look(step=prepare(0, REPORT))
    assert ready(look(before)).reason == "Read"
    again = look(before, document=SCHEMA | {"fields": SCHEMA["fields"][::-1]})
    assert (ready(again).reason, again.rows) == ("NotReadYet", None)
    gone = look(before, document=None)
    assert (ready(gone).reason, gone.rows) == ("SchemaNotFound", None)


def test_a_dataset_that_does_not_match_its_schema_says_where() -> None:
    status = look(fields=[{"name": "mean_radios", "from": "RADIUS"}])
    assert (ready(status).status, ready(status).reason) == ("False", "SchemaInvalid")
    assert "'mean_radios' is no field of the DataSchema" in ready(status).message


@pytest.mark.parametrize("place", ["", "DataSchema breast-v1: "])
def test_a_dataset_that_no_container_can_be_told_of_says_so_before_a_task_asks_for_it(place: str) -> None:
    more = {"name": "more" * (32 << 10), "type": "number"}
    long = SCHEMA | {"fields": [*SCHEMA["fields"], more]}
    status = look(document=long) if place else look(path="x" * (128 << 10))
    assert (ready(status).status, ready(status).reason) == ("False", "SchemaInvalid")
    assert ready(status).message.startswith(f"{place}the spec has")
    assert "leave out fields" in ready(status).message


def test_the_status_has_the_counts_of_prepare() -> None:
    status = look(step=prepare(0, REPORT))
    assert (status.features, status.rows, status.patients) == (1, 341, 340)
    assert status.left_out == LeftOut(
        rows=1,
        patients=1,
        share="0.003",
        fields=(LeftOutRows("mean_radius", "Missing", 1),),
        classes=(ClassLeftOut(value="1", rows=11, share="0.250"),),
    )
    assert status.ignored == Ignored(column_count=2, columns=(IgnoredColumn("notes", "NotInSchema"),))
    assert status.remarks == (Remark("TargetsContradict", 3),)
    assert status.read_at == "2026-11-24T11:59:40Z"
    assert ready(status).status == "True"


LOST = {"reason": "SplitKeyLost", "class": "Site", "message": "secrets/split/breast/key is not there"}


@pytest.mark.parametrize("reason", ["SplitKeyLost", "SplitKeyChanged"])
def test_a_dataset_whose_split_key_is_not_the_former_one_is_not_ready_and_keeps_its_counts(reason: str) -> None:
    """No row was read, so the counts are still those of the reading before."""
    read = look(step=prepare(0, REPORT))
    assert read.split_fingerprint == "8ad884a12864"
    lost = look(read, prepare(65, LOST | {"reason": reason, "splitFingerprint": "0" * 12}))
    assert (ready(lost).status, ready(lost).reason, ready(lost).message) == ("False", reason, LOST["message"])
    assert dataclasses.replace(lost, conditions=read.conditions) == read


def test_only_a_reading_makes_a_dataset_ready_again_after_its_split_key_was_lost() -> None:
    lost = look(look(step=prepare(0, REPORT)), prepare(65, LOST))
    changed = look(lost, generation=2)
    assert (ready(changed).status, ready(changed).reason) == ("False", "SplitKeyLost")
    assert ready(changed).observed_generation == 2
    assert changed.rows is None
    restored = look(changed, prepare(0, REPORT), generation=2)
    assert (ready(restored).status, ready(restored).reason) == ("True", "Read")


def test_the_first_fingerprint_of_the_split_key_stays() -> None:
    """Another one could be that of a Job of an earlier Dataset of this name."""
    read = look(step=prepare(0, REPORT))
    again = look(read, prepare(0, REPORT | {"splitFingerprint": "0" * 12}), generation=2)
    assert again.split_fingerprint == "8ad884a12864"
    assert look(read, document=SCHEMA | {"target": "benign"}).split_fingerprint == "8ad884a12864"


def test_fields_that_are_no_input_of_a_model_are_named_at_once_with_their_type() -> None:
    unused = [
        {"name": "seen", "type": "date"},
        {"name": "smoker", "type": "boolean"},
        {"name": "ward", "type": "string"},
    ]
    status = look(document=SCHEMA | {"fields": [*SCHEMA["fields"], *unused]})
    assert status.ignored is not None
    assert [(each.name, each.reason) for each in status.ignored.fields] == [
        ("seen", "Date"),
        ("smoker", "Boolean"),
        ("ward", "String"),
    ]
    assert (status.features, status.ignored.column_count, status.read_at) == (1, None, None)


def test_a_dataset_that_leaves_out_too_many_rows_is_not_ready_and_warns() -> None:
    failed = {
        "reason": "TooManyRowsLeftOut",
        "class": "Site",
        "message": "89 of 304 rows",
        "rows": 215,
        "patients": 215,
        "quality": [{"field": "age", "reason": "NotANumber", "rows": 89}],
        "leftOut": {"rows": 89, "patients": 89},
    }
    before = look()
    status = look(before, prepare(65, failed))
    assert (ready(status).status, ready(status).reason) == ("False", "TooManyRowsLeftOut")
    assert ready(status).message == "89 of 304 rows"
    assert status.left_out is not None
    assert (status.rows, status.left_out.rows, status.left_out.share) == (215, 89, "0.293")
    [event] = events.transitions(before.conditions, status.conditions)
    assert (event.type, event.reason) == ("Warning", "TooManyRowsLeftOut")
    # An Event may leave the namespace: it has the reason's text alone.
    assert "304" not in event.note


def test_a_missing_column_is_named() -> None:
    failed = {
        "reason": "ColumnMissing",
        "class": "Site",
        "field": "mean_radius",
        "message": "column mean_radius missing",
    }
    status = look(look(step=prepare(0, REPORT)), prepare(65, failed))
    assert (ready(status).status, ready(status).reason) == ("False", "ColumnMissing")
    assert "mean_radius" in ready(status).message
    assert (status.rows, status.patients, status.left_out) == (None, None, None), "of an earlier reading"
    assert (status.features, status.read_at) == (1, "2026-11-24T11:59:40Z")


def test_too_few_rows_say_why_the_others_were_left_out() -> None:
    """A wrong type in the schema leaves out every row; the counts of an earlier reading would not tell."""
    wrong = [{"field": "mean_radius", "reason": "NotANumber", "rows": 341}]
    failed = {"reason": "TooFewSamples", "class": "Site", "message": "none", "rows": 0, "patients": 0, "quality": wrong}
    status = look(look(step=prepare(0, REPORT)), prepare(65, failed))
    assert (ready(status).status, ready(status).reason) == ("False", "TooFewSamples")
    assert (status.rows, status.patients) == (0, 0)
    assert status.left_out is not None
    assert [(each.field, each.reason, each.rows) for each in status.left_out.fields] == [
        ("mean_radius", "NotANumber", 341)
    ]


@pytest.mark.parametrize("reason", ["ColumnMissing", "DataReplaced", "DataUnreadable"])
def test_a_file_that_cannot_count_is_not_ready_in_the_words_of_the_pod(reason: str) -> None:
    failure = {"reason": reason, "class": class_of(reason), "message": "cases.csv ..."}
    status = look(look(step=prepare(0, REPORT)), prepare(REASONS[reason].exit_code or 0, failure))
    assert (ready(status).status, ready(status).reason, ready(status).message) == ("False", reason, "cases.csv ...")
    assert (status.rows, status.left_out, status.remarks) == (None, None, None)
    # The next reading makes it Ready again.
    assert ready(look(status, prepare(0, REPORT))).reason == "Read"


def test_an_open_network_is_not_the_datasets_fault() -> None:
    before = look(step=prepare(0, REPORT))
    assert look(before, prepare(75, {"reason": "NetworkOpen", "message": "open"})) == before


def test_a_changed_dataset_is_unread_again() -> None:
    before = look(step=prepare(0, REPORT))
    changed = look(before, generation=2)
    assert ready(changed).reason == "NotReadYet"
    assert (changed.rows, changed.patients, changed.left_out) == (None, None, None)
    assert (changed.read_at, changed.remarks) == (None, None)
    assert (changed.features, changed.ignored) == (1, Ignored())
    assert look(before) == before


def test_looking_twice_changes_nothing() -> None:
    first = look()
    assert look(first) == dataclasses.replace(first)


COUNTED = {"evaluations": [{"rows": "Test", "used": 3, "left": 17, "until": "2026-12-24T12:00:00Z"}]}
BUDGETS = (EvaluationBudget(rows="Test", used=3, left=17, until="2026-12-24T12:00:00Z"),)
USED_UP = {
    "reason": "EvaluationsUsedUp",
    "class": "Site",
    "message": "Dataset breast allows 20 evaluations",
    "rows": 341,
    "evaluations": [{"rows": "Test", "used": 20, "left": 0, "until": "2026-12-24T12:00:00Z"}],
}


def test_the_status_has_what_is_left_of_the_evaluations() -> None:
    assert look(step=prepare(0, REPORT | COUNTED)).evaluations == BUDGETS
    assert look(step=prepare(0, REPORT)).evaluations is None


def test_a_training_pod_and_a_changed_spec_leave_what_is_left_of_the_evaluations() -> None:
    status = look(step=prepare(0, REPORT | COUNTED))
    assert look(status, prepare(0, REPORT)).evaluations == BUDGETS
    assert look(status, generation=2).evaluations == BUDGETS
    assert look(status, document=SCHEMA | {"target": "benign"}).evaluations == BUDGETS


def test_a_dataset_whose_evaluations_are_used_up_is_ready_for_other_rounds() -> None:
    before = look(step=prepare(0, REPORT | COUNTED))
    status = look(before, prepare(65, USED_UP))
    assert status.evaluations is not None
    assert [(each.used, each.left) for each in status.evaluations] == [(20, 0)]
    assert (ready(status), status.rows, status.read_at) == (ready(before), before.rows, before.read_at)
