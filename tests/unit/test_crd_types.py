"""The code's types, patterns, defaults and limits are those of the CRD files."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.crd_files import CRDS, ROOT, root, walk
from tests.unit.plans_site.approved import TRAIN, key_of
from wardround.api import (
    approval,
    dataschema,
    dataset,
    federatedmodel,
    federatedround,
    modelpush,
    modeltransfer,
    modelversion,
    participant,
    prediction,
    roundtask,
    site,
    sitetask,
)
from wardround.cli.reviews import LONGEST
from wardround.plans.versions import LARGEST, MOST_PUBLISHED
from wardround.wire import assignment, codec
from wardround.wire.versions import KNOWN, LATEST

CODE: dict[str, type] = {
    "participants": participant.Participant,
    "federatedrounds": federatedround.FederatedRound,
    "federatedmodels": federatedmodel.FederatedModel,
    "modelversions": modelversion.ModelVersion,
    "modeltransfers": modeltransfer.ModelTransfer,
    "modelpushes": modelpush.ModelPush,
    "roundtasks": roundtask.RoundTask,
    "sites": site.Site,
    "sitetasks": sitetask.SiteTask,
    "approvals": approval.Approval,
    "dataschemas": dataschema.DataSchema,
    "datasets": dataset.Dataset,
    "predictions": prediction.Prediction,
}


def test_an_approval_lists_as_many_tasks_as_it_may_cover() -> None:
    spec, status = (root(CRDS["approvals"])["properties"][part]["properties"] for part in ("spec", "status"))
    limits = [spec[name]["maximum"] for name in ("maxRounds", "maxEvaluations")]
    lists = [status[name]["maxItems"] for name in ("roundTasks", "evaluationTasks")]
    assert [*limits, *lists] == [approval.MOST_TASKS] * 4
    key = key_of(dataclasses.replace(TRAIN, round_uid="u" * assignment.UID.longest, attempt=100))
    for name in ("roundTasks", "evaluationTasks"):
        items = status[name]["items"]
        assert re.fullmatch(items["pattern"], key)
        assert len(key) <= items["maxLength"]


def test_a_review_shows_the_longest_admission_of_a_round() -> None:
    deadlines = root(CRDS["federatedrounds"])["properties"]["spec"]["properties"]["deadlines"]
    for name in ("admissionSeconds", "queueSeconds", "startSeconds", "uploadSeconds"):
        assert deadlines["properties"][name]["maximum"] == LONGEST, name


@pytest.mark.parametrize("name", CRDS)
def test_the_codes_types_have_exactly_the_crds_fields(name: str) -> None:
    schema = {path for path, _ in walk(root(CRDS[name])) if not path.endswith("[]")}
    # The code passes on tolerations without looking inside.
    known = {path for path in schema if ".tolerations[]." not in path}
    # A site's words for its own people: one type in the code, but the hub's kind has no place for them.
    kept_at_the_site = {".status.failure.message"} if name == "roundtasks" else set()
    assert fields(CODE[name]) - {".metadata"} == known | kept_at_the_site


def test_an_assignments_texts_have_the_crds_patterns() -> None:
    """A site refuses to read others: what the kinds take, every site has to be able to read."""
    rounds, tasks = (dict(walk(root(CRDS[name]))) for name in ("federatedrounds", "roundtasks"))
    ref = ".spec.roundRef"
    for text, schema in (
        (assignment.LABEL, rounds[".spec.datasetName"]),
        (assignment.LABEL, rounds[".spec.participants.names"]["items"]),
        (assignment.LABEL, tasks[f"{ref}.namespace"]),
        (assignment.NAME, tasks[f"{ref}.name"]),
        (assignment.UID, tasks[f"{ref}.uid"]),
        (assignment.METRIC, rounds[".spec.metrics"]["items"]),
    ):
        assert (f"^{text.pattern}$", text.longest) == (schema["pattern"], schema["maxLength"])
    for text, schema in (
        (assignment.IMAGE, rounds[".spec.image"]),
        (assignment.WORD, rounds[".spec.command"]["items"]),
        (assignment.VALUE, rounds[".spec.parameters"]["additionalProperties"]),
        (assignment.PATTERN, rounds[".spec.exchange.frozen"]["items"]),
    ):
        assert text.longest == schema["maxLength"]
    assert assignment.ROWS.pattern == "|".join(rounds[".spec.rows"]["enum"])


@pytest.mark.parametrize("name", CRDS)
def test_defaults_of_crd_and_code_are_equal(name: str) -> None:
    """The API server fills in its own: the code's are seen where no API server was, in a test or a tool."""
    wrong = {
        path: (schema["default"], default)
        for path, schema, default in defaults(CODE[name], root(CRDS[name]))
        if schema.get("default", {}) != {} and schema["default"] != default
    }
    assert not wrong


def defaults(kind: Any, schema: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each field's place, its schema, and what it is in the code when nothing is said, or None."""
    for attribute in codec.attributes(kind):
        here = f"{path}.{attribute.json}"
        field = schema.get("properties", {}).get(attribute.json)
        if field is None or here == ".status":
            continue
        made = attribute.field.default
        if made is dataclasses.MISSING:
            factory = attribute.field.default_factory
            made = None if factory is dataclasses.MISSING else factory()
        yield here, field, codec.dump(made)
        for inner, _ in dataclasses_in(attribute.annotation):
            yield from defaults(inner, field.get("items", field), here)


def fields(kind: Any, path: str = "") -> set[str]:
    paths: set[str] = set()
    for attribute in codec.attributes(kind):
        here = f"{path}.{attribute.json}"
        if here.startswith(".metadata."):
            continue
        paths.add(here)
        if here != ".metadata":
            for inner, suffix in dataclasses_in(attribute.annotation):
                paths |= fields(inner, here + suffix)
    return paths


def dataclasses_in(annotation: Any, suffix: str = "") -> Iterator[tuple[Any, str]]:
    if dataclasses.is_dataclass(annotation):
        yield annotation, suffix
    elif typing.get_origin(annotation) is tuple:
        yield from dataclasses_in(typing.get_args(annotation)[0], suffix + "[]")
    else:
        for argument in typing.get_args(annotation):
            yield from dataclasses_in(argument, suffix)


def test_a_site_may_ask_for_the_versions_that_there_are_and_no_other() -> None:
    """In the kind and in the chart, so that a version that is added is added there too."""
    policy = root(CRDS["sites"])["properties"]["spec"]["properties"]["policy"]["properties"]
    chart = json.loads((ROOT / "charts/site/values.schema.json").read_text())["properties"]["policy"]["properties"]
    for field in (policy["lowestAssignmentVersion"], chart["lowestAssignmentVersion"]):
        assert (field["minimum"], field["maximum"]) == (KNOWN[0], LATEST)
    published = root(CRDS["participants"])["properties"]["status"]["properties"]["site"]["properties"]
    bounds = published["assignmentVersions"]
    assert (bounds["maxItems"], bounds["items"]["maximum"]) == (MOST_PUBLISHED, LARGEST)
