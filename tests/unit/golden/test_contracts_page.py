"""docs/contracts.md has only tables, with a row for each document, label, annotation and setting of the code.

After an intended change of a document: `UPDATE_GOLDEN=1 pytest tests/unit/golden`.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import types
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml

from lab.topology import ROOT
from tests.unit.plans_hub.test_reasons import used_by
from wardround.plans import waits
from wardround.plans.assignment import REFUSALS
from wardround.reasons.places import Place
from wardround.reasons.reason import EXIT_DATA, EXIT_OUR_FAULT, EXIT_TRY_AGAIN
from wardround.reasons.registry import REASONS, class_of
from wardround.reasons.transfers import TRANSFERS
from wardround.wire import (
    aggregation,
    assignment,
    card,
    codec,
    collected,
    envelope,
    grants,
    model_folder,
    models,
    outcome,
    server_state,
    training,
    update,
)

PAGE = ROOT / "docs" / "contracts.md"
HEAD = "| document | fields and their types |\n|---|---|\n"
# One table a section: what travels sealed or signed, what lies in the pod, what the aggregation reads and answers, what
# a model's folder holds.
TABLES: tuple[tuple[type, ...], ...] = (
    (
        envelope.Envelope,
        assignment.Assignment,
        models.Header,
        models.ModelManifest,
        models.UpdateManifest,
        server_state.StateManifest,
        grants.Grants,
        grants.TransferGrants,
        grants.PushGrants,
        grants.PushOffer,
    ),
    (training.RequestedTask, training.TrainingTask, training.PrivateReport, update.UpdateClaims, outcome.Outcome),
    (
        aggregation.AggregationPlan,
        aggregation.ListPage,
        collected.CollectedPage,
        aggregation.AggregationResult,
        aggregation.AggregationFailure,
    ),
    (card.ModelCard, model_folder.CardFile, model_folder.FolderOwner),
)
# Words with which the second sentence of a cell begins.
CONSEQUENCE = ("So ", "Otherwise ", "Otherwise, ")
OURS = re.compile(r"wardround\.io/[a-z-]+(?![a-z0-9])")
# What follows the group elsewhere: the API's version, and the names under which the operators report Events.
OTHERS = {"wardround.io/v", "wardround.io/hub-operator", "wardround.io/site-operator"}
SETTING = re.compile(r"WARDROUND_[A-Z_]+")
# Where a test puts the folders and the termination message that Kubernetes mounts elsewhere.
OF_TESTS = {"WARDROUND_ROOT", "WARDROUND_TERMINATION_LOG"}


def table(documents: tuple[type, ...]) -> str:
    return HEAD + "".join(f"| {document.__name__} | `{fields(document)}` |\n" for document in documents)


WORDS: dict[Any, str] = {str: "text", int: "integer", bool: "boolean", float: "number", bytes: "base64"}


def fields(document: Any) -> str:
    parts = []
    for each in codec.attributes(document):
        mark = "?" if each.has_default or type(None) in get_args(each.annotation) else ""
        parts.append(f'"{each.json}"{mark}: {kind(each.annotation)}')
    return f"{{{', '.join(parts)}}}"


def kind(annotation: Any) -> str:
    """A word for a type. A document that has a row stands as its name, a list in brackets."""
    if any(annotation in documents for documents in TABLES):
        return str(annotation.__name__)
    if dataclasses.is_dataclass(annotation):
        return fields(annotation)
    origin, arguments = get_origin(annotation), [each for each in get_args(annotation) if each is not type(None)]
    if origin in (Union, types.UnionType, Annotated):
        return kind(arguments[0])
    if origin is Literal:
        return "text"
    if origin is tuple:
        return f"[{kind(arguments[0])}, ...]"
    if origin in (Mapping, dict):
        return f"{{name: {kind(arguments[1])}}}"
    return WORDS.get(annotation, "JSON")


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_the_page_has_the_fields_of_each_document(number: int) -> None:
    page = PAGE.read_text()
    made = table(TABLES[number])
    tables = re.findall(rf"{re.escape(HEAD)}(?:\|.*\n)+", page)
    assert len(tables) == len(TABLES)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page.replace(tables[number], made))
        return
    assert tables[number] == made


def test_the_page_has_headings_tables_and_one_example_alone() -> None:
    page = re.sub(r"^```yaml\n.*?^```$", "", PAGE.read_text("utf-8"), count=1, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in page.splitlines() if line and not line.startswith(("#", "|"))] == []


def sentences(cell: str) -> list[str]:
    """A name in code at the end of a sentence, or at the beginning of one, is a word like others."""
    return re.split(r"(?<!et al\.)(?<=[.?!]) +(?=[A-Za-z0-9(\[])", re.sub(r"`[^`]*`", "CODE", cell))


def has_one_fact(cell: str) -> bool:
    _, *further = sentences(cell)
    return not further or (len(further) == 1 and further[0].startswith(CONSEQUENCE))


def test_a_row_holds_one_fact_and_at_most_what_follows_from_it() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    assert len(rows) > 2000
    long = [row for row in rows if not all(map(has_one_fact, re.split(r"(?<!\\)\|", row)))]
    assert long == [], "Give each fact a row of its own: several rows may have the same first cell"


@pytest.mark.parametrize(
    ("cell", "one"),
    [
        ("the site refuses the task", True),
        ("the clock is not compared. So the site accepts no old assignment", True),
        ("the site refuses the task. The hub asks again", False),
        ("a round of `DataSchema`. `Ready` is False", False),
        ("the clock is not compared. So no assignment is old. So the site accepts it", False),
    ],
)
def test_a_second_fact_in_a_cell_is_seen(cell: str, one: bool) -> None:
    assert has_one_fact(cell) is one


def cells(head: str) -> set[str]:
    """The code in the first column of the tables with this head."""
    rows = re.findall(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    assert rows, f"the page has no table {head!r}"
    return {word for part in rows for row in part.splitlines() for word in re.findall(r"`([^`]+)`", row.split("|")[1])}


def sources(*folders: str) -> Iterator[str]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yaml", ".tpl"}:
                yield path.read_text("utf-8")


def test_every_label_and_annotation_of_the_code_has_a_row() -> None:
    used = {name for text in sources("operator/wardround", "charts") for name in OURS.findall(text)} - OTHERS
    assert cells("label") | cells("annotation") == used
    assert cells("label") & cells("annotation") == set()


def test_every_setting_of_the_code_has_a_row() -> None:
    used = {name for text in sources("operator/wardround", "charts") for name in SETTING.findall(text)} - OF_TESTS
    page = PAGE.read_text()
    settings = {name for row in page.splitlines() if row.startswith("|") for name in SETTING.findall(row)}
    assert used - settings == set(), "a setting without a row"
    assert settings - used - {"WARDROUND_KERNELS", "WARDROUND_LAUNCHER"} == set(), "a row without a setting"


def test_a_site_compares_an_assignment_in_the_order_of_the_page() -> None:
    """After the envelope and the claims of `verify`, which stand in the first four rows."""
    rows = re.findall(r"^\| (\d+) \| .* \| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    page = [reason for number, cell in rows for reason in re.findall(r"`(\w+)`", cell) if int(number) > 4]
    words = [re.findall(r'"(\w+)"', inspect.getsource(rule)) for rule in REFUSALS]
    assert page == [word for rule in words for word in rule if word in REASONS]


def shown(place: Place) -> set[str]:
    return {name for name, each in REASONS.items() if place in each.stands_in}


def ends_job(exit_code: int) -> set[str]:
    """The reasons for which the aggregation Job ends with this exit code."""
    return {each.name for each in TRANSFERS if each.exit_code == exit_code}


COURIER = used_by(("courier", "store", "plans/courier")) & waits.TROUBLE - waits.UNACCEPTED
FAILS_JOB = {each.name for each in TRANSFERS if each.exit_code}
# The cells of a row before or after its list of reasons, and the reasons of the code.
LISTS = {
    "| Participant | `Ready` False |": shown(Place.PARTICIPANT) - {"Approved"},
    "| reason of `Reconciling` of a running task |": shown(Place.WAITS) - waits.UNACCEPTED - COURIER,
    "| reason of `Reconciling` while the courier tries again |": COURIER,
    "| reason of `Accepted` Unknown of a task that the site has not accepted yet |": waits.UNACCEPTED,
    "| other reasons than the courier's for which a running task usually needs a person |": waits.TROUBLE
    - waits.UNACCEPTED
    - COURIER,
    "| the round fails for good |": ends_job(EXIT_DATA),
    # A result that another try has written is no fault, but it ends the Job like one.
    "| the hub operator makes another Job |": ends_job(EXIT_TRY_AGAIN) | {"ResultExists"},
    "| a fault of Wardround's own code: the hub operator makes another Job |": ends_job(EXIT_OUR_FAULT)
    - {"ResultExists"},
    # The readers of signed documents read assignments, too.
    "| the aggregation leaves the update out |": used_by(("aggregate", "sealing"))
    - FAILS_JOB
    - {"AssignmentNotUnderstood", "AssignmentUnreadable"},
}


@pytest.mark.parametrize("label", LISTS)
def test_a_list_of_reasons_has_those_of_the_code(label: str) -> None:
    """None is missing, and none is foreign."""
    lines = PAGE.read_text("utf-8").splitlines()
    [row] = [line for line in lines if line.startswith(label) or line.endswith(label)]
    assert set(re.findall(r"`([A-Z]\w+)`", row.replace(label, ""))) == LISTS[label]


def test_each_wait_that_lasts_too_long_has_a_row_with_its_class() -> None:
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| (.+) \| (.+) \| (Site|Code|Platform|Network)(?:\. [^|]+)? \|$", page, re.MULTILINE)
    classes = {name: row[2] for row in rows for name in re.findall(r"`([A-Z]\w+)`", row[0] + row[1])}
    assert {waits.too_long(name, "") for name in waits.WAITS} <= set(classes)
    assert classes == {name: class_of(name) for name in classes}


EXAMPLES = re.search(r"```yaml\n(apiVersion: .*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("kind", ["Participant", "FederatedRound", "Site", "DataSchema", "Dataset"])
def test_the_example_of_a_kind_that_people_write_has_all_fields_of_its_spec(kind: str) -> None:
    """All fields have a name that is also a word of the example, and lists of objects have all their fields."""
    assert EXAMPLES is not None
    [example] = [
        each for each in EXAMPLES[1].split("\n---\n") if re.search(rf"^kind: {kind} *(#.*)?$", each, re.MULTILINE)
    ]
    [crd] = [each for each in map(yaml.safe_load, CRDS) if each["spec"]["names"]["kind"] == kind]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    # A toleration is the cluster's own type, and an upper bound is written like a lower one.
    elsewhere = {"tolerations", "maximum", "supplementalGroupsPolicy"}
    assert {name for name in spec_fields(schema, elsewhere) if not re.search(rf"\b{name}\b", example)} == set()


CRDS = [path.read_text("utf-8") for path in sorted((ROOT / "crds").glob("*.yaml"))]


def spec_fields(schema: Mapping[str, Any], without: AbstractSet[str]) -> Iterator[str]:
    for name, each in schema.get("properties", {}).items():
        if name not in without:
            yield name
            yield from spec_fields(each, without)
    if isinstance(schema.get("items"), Mapping):
        yield from spec_fields(schema["items"], without)
