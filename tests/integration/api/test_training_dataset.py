"""A Job reads a Dataset only as the hospital's DataSchema describes it. This holds for every account that makes a Job.

The site operator may write Jobs, and neither a Dataset nor a DataSchema. All Jobs
are made with its account and rights, from the Job that it builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.api.admission import refusal, until_admitted, until_refused
from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.attack import CELL, FEWEST, MOST_EVALUATIONS, MOST_LEFT_OUT
from tests.integration.api.described import (
    ABSENT,
    BREAST,
    CLAIM,
    LISTED,
    LISTED_SCHEMAS,
    MOVED,
    NAMESPACE,
    NOT_LISTED,
    NOT_THERE,
    ODD,
    ODDITIES,
    OPERATOR,
    OTHER,
    SCHEMA,
    SCHEMA_LABEL,
    SCHEMA_NOT_LISTED,
    SCHEMA_WORD_FOR_WORD,
    UNLISTED,
    WORD_FOR_WORD,
    dataset_spec,
    described_site,
    job_for,
    job_of,
    listing,
    reading_of,
    schema_spec,
)
from tests.integration.api.jobs import claim, container, variable
from tests.integration.api.objects import ROOT, data_schema, site_values, training_job
from tests.integration.cluster import Helm
from wardround.api import dataset_text, schema_text

Object = dict[str, Any]


@pytest.fixture(scope="module")
def site(api: Api, helm: Helm) -> Iterator[Api]:
    with described_site(api, helm) as made:
        yield made


@pytest.mark.parametrize("case", ["train", "train-initial", "statistics", "evaluate", "read"])
def test_the_policy_admits_a_job_that_gives_prepare_the_text_of_the_dataset(site: Api, case: str) -> None:
    job = reading_of(site) if case == "read" else training_job(case, NAMESPACE)
    assert variable("WARDROUND_DATASET")(job)["value"] == dataset_text.dump(dataset_spec(site, BREAST))
    assert variable("WARDROUND_SCHEMA")(job)["value"] == schema_text.dump(schema_spec(site, SCHEMA))
    site.create(job, user=OPERATOR, dry_run=True)


def test_the_policy_compares_a_job_that_only_reads_with_its_dataset_and_its_schema_too(site: Api) -> None:
    for name, words in {
        "WARDROUND_DATASET": WORD_FOR_WORD,
        "WARDROUND_SCHEMA": "WARDROUND_SCHEMA of prepare differs",
        "WARDROUND_DATASET_NAME": "WARDROUND_DATASET_NAME of prepare has to be breast",
    }.items():
        job = reading_of(site)
        variable(name)(job)["value"] += "x"
        assert words in refusal(site, job, OPERATOR)
    job = reading_of(site)
    claim("dataset")(job)["claimName"] = "breast-datb"
    assert f"{CLAIM} breast, breast-data" in refusal(site, job, OPERATOR)
    job = reading_of(site)
    job["metadata"]["labels"]["wardround.io/dataset"] = UNLISTED
    assert f"{NOT_LISTED} {UNLISTED} there" in refusal(site, job, OPERATOR)


def test_a_job_reads_only_the_dataset_that_owns_it(site: Api) -> None:
    """The site operator writes the Job's report into its owner's status."""
    refused = "has to have the UID of this Dataset"
    assert f"only reads Dataset {BREAST} {refused}" in refusal(site, reading_of(site, MOVED), OPERATOR)


def test_python_and_cel_write_an_odd_dataset_alike(site: Api) -> None:
    for spec in (dataset_spec(site, ODD), schema_spec(site, ODD)):
        assert {each["name"] for each in spec["fields"]} >= set(ODDITIES)
    assert refusal(site, job_for(site, ODD), OPERATOR) == ""


CHANGES: dict[str, Callable[[Object], Any]] = {
    "another file": lambda spec: spec.update(path="cases.csw"),
    "another format": lambda spec: spec.update(format="Parquet"),
    "no format": lambda spec: spec.pop("format"),
    "another identifier": lambda spec: spec["identifier"].update(column="malignant"),
    "another type of identifier": lambda spec: spec["identifier"].update(type="integer"),
    "another column": lambda spec: spec["fields"][0].update({"from": "RADIUT"}),
    "no column": lambda spec: spec["fields"][0].pop("from"),
    "another scale": lambda spec: spec["fields"][0].update(scale="1"),
    "another offset": lambda spec: spec["fields"][0].update(offset="17.3"),
    "a missing value of a field": lambda spec: spec["fields"][0].update(missingValues=["-1", "17.3"]),
    "another category": lambda spec: spec["fields"][1]["categories"][0].update(name="right"),
    "another name of a category": lambda spec: spec["fields"][1]["categories"][0].update({"from": "rechts"}),
    "a category more": lambda spec: spec["fields"][1]["categories"].append({"name": "left", "from": "l"}),
    "no categories": lambda spec: spec["fields"][1].pop("categories"),
    "a field more": lambda spec: spec["fields"].append({"name": "malignant", "from": "age"}),
    "a field less": lambda spec: spec["fields"].pop(0),
    "no fields": lambda spec: spec.pop("fields"),
    "another order": lambda spec: spec["fields"].reverse(),
    "a missing value": lambda spec: spec.update(missingValues=["", "NA", "17.3"]),
    "another version of the columns": lambda spec: spec.update(columnsVersion=2),
    "another key": lambda spec: spec["split"].update(keyFile="known-to-the-attacker"),
    "another fraction": lambda spec: spec["split"].update(test="0.9"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_policy_refuses_a_job_that_gives_prepare_another_dataset_text(
    site: Api, change: Callable[[Object], Any]
) -> None:
    spec = dataset_spec(site, BREAST)
    change(spec)
    assert WORD_FOR_WORD in refusal(site, job_of(BREAST, spec), OPERATOR)


SCHEMA_CHANGES: dict[str, Callable[[Object], Any]] = {
    "a bound": lambda spec: spec["fields"][0].update(maximum="51"),
    "no bound": lambda spec: spec["fields"][0].pop("minimum"),
    "a bound where there is none": lambda spec: spec["fields"][2].update(minimum="1"),
    "a value of a category": lambda spec: spec["fields"][2].update(categories=["0", "2"]),
    "a category less": lambda spec: spec["fields"][2].update(categories=["0"]),
    "what is not required": lambda spec: spec["fields"][1].update(required=False),
    "a letter": lambda spec: spec["fields"][0].update(name="mean_radios"),
    "another type": lambda spec: spec["fields"][0].update(type="integer"),
    "another unit": lambda spec: spec["fields"][0].update(unit="cm"),
    "a field more": lambda spec: spec["fields"].append({"name": "age", "type": "integer"}),
    "a field less": lambda spec: spec["fields"].pop(0),
    "another order": lambda spec: spec["fields"].reverse(),
    "another target": lambda spec: spec.update(target="mean_radius"),
}


@pytest.mark.parametrize("change", SCHEMA_CHANGES.values(), ids=SCHEMA_CHANGES)
def test_the_policy_refuses_a_job_that_gives_prepare_another_schema_text(
    site: Api, change: Callable[[Object], Any]
) -> None:
    schema = schema_spec(site, SCHEMA)
    change(schema)
    job = job_of(BREAST, dataset_spec(site, BREAST), schema)
    assert f"{SCHEMA_WORD_FOR_WORD} {SCHEMA}" in refusal(site, job, OPERATOR)


def test_the_policy_refuses_the_label_and_the_text_of_another_schema(site: Api) -> None:
    """The site operator could choose among all DataSchemas otherwise."""
    for label, schema in ((OTHER, OTHER), (OTHER, SCHEMA), (SCHEMA, OTHER)):
        job = job_of(BREAST, dataset_spec(site, BREAST), schema_spec(site, schema))
        job["metadata"]["labels"]["wardround.io/schema"] = label
        words = f"{SCHEMA_WORD_FOR_WORD} {SCHEMA}" if label == SCHEMA else f"{SCHEMA_LABEL} {SCHEMA}"
        message = refusal(site, job, OPERATOR)
        assert words in message or f"{SCHEMA_WORD_FOR_WORD} {OTHER}" in message


def test_the_policy_refuses_a_job_without_the_label_of_its_schema(site: Api) -> None:
    job = job_for(site, BREAST)
    job["metadata"]["labels"].pop("wardround.io/schema")
    message = refusal(site, job, OPERATOR)
    assert f"{SCHEMA_NOT_LISTED} it there" in message or SCHEMA_LABEL in message
    job["spec"]["template"]["metadata"]["labels"]["wardround.io/schema"] = SCHEMA
    assert refusal(site, job, OPERATOR)


def test_the_policy_refuses_a_schema_that_the_site_does_not_list(site: Api) -> None:
    site.patch("Dataset", MOVED, {"spec": {"schemaName": UNLISTED}}, NAMESPACE)
    try:
        until_refused(site, job_for(site, MOVED), f"{SCHEMA_NOT_LISTED} {UNLISTED} there", OPERATOR)
    finally:
        site.patch("Dataset", MOVED, {"spec": {"schemaName": SCHEMA}}, NAMESPACE)
        until_admitted(site, job_for(site, MOVED), OPERATOR)


def test_the_policy_refuses_a_listed_schema_that_does_not_exist(site: Api) -> None:
    """No text can replace a DataSchema, not even a text of the account that wrote the Dataset."""
    site.patch("Dataset", MOVED, {"spec": {"schemaName": ABSENT}}, NAMESPACE)
    try:
        until_refused(site, job_of(MOVED, dataset_spec(site, MOVED), schema_spec(site, SCHEMA)), NOT_THERE, OPERATOR)
    finally:
        site.patch("Dataset", MOVED, {"spec": {"schemaName": SCHEMA}}, NAMESPACE)
        until_admitted(site, job_for(site, MOVED), OPERATOR)


@pytest.mark.parametrize("name", ["WARDROUND_DATASET", "WARDROUND_SCHEMA"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace("{", '{"path":"other.csv","target":"side",', 1),
        lambda text: "$(WARDROUND_TASK)",
        lambda text: "",
    ],
    ids=["a blank", "a key twice", "another variable", "nothing"],
)
def test_the_policy_compares_text_and_not_meaning(site: Api, name: str, change: Callable[[str], str]) -> None:
    job = job_for(site, BREAST)
    item = variable(name)(job)
    item["value"] = change(item["value"])
    assert f"{name} of prepare differs from the spec" in refusal(site, job, OPERATOR)


@pytest.mark.parametrize("name", ["WARDROUND_DATASET", "WARDROUND_SCHEMA"])
@pytest.mark.parametrize("position", [0, 9])
def test_the_policy_refuses_a_variable_of_prepare_given_twice(site: Api, name: str, position: int) -> None:
    """If a variable occurs twice, the last one counts."""
    job = job_for(site, BREAST)
    item = variable(name)(job)
    container("prepare")(job)["env"].insert(position, item | {"value": item["value"].replace("mean", "neam")})
    assert f"{name} of prepare differs from the spec" in refusal(site, job, OPERATOR)


def test_the_policy_refuses_a_job_with_a_claim_of_another_dataset(site: Api) -> None:
    job = job_for(site, BREAST)
    claim("dataset")(job)["claimName"] = "breast-datb"
    assert f"{CLAIM} breast, breast-data" in refusal(site, job, OPERATOR)


def test_the_policy_refuses_a_job_that_describes_another_dataset(site: Api) -> None:
    spec = dataset_spec(site, BREAST) | {"schemaName": ODD}
    assert f"of Dataset {ODD}" in refusal(site, job_of(ODD, spec, schema_spec(site, ODD)), OPERATOR)


def test_the_policy_refuses_a_dataset_that_the_site_does_not_list(site: Api) -> None:
    assert f"{NOT_LISTED} {UNLISTED} there" in refusal(site, job_for(site, UNLISTED), OPERATOR)
    unnamed = job_for(site, BREAST)
    unnamed["metadata"]["labels"].pop("wardround.io/dataset")
    assert f"{NOT_LISTED} it there" in refusal(site, unnamed, OPERATOR)
    elsewhere = job_for(site, BREAST)
    elsewhere["metadata"]["labels"].pop("wardround.io/dataset")
    elsewhere["spec"]["template"]["metadata"]["labels"]["wardround.io/dataset"] = BREAST
    assert refusal(site, elsewhere, OPERATOR)


def test_a_site_without_datasets_reads_none(site: Api, api: Api, helm: Helm) -> None:
    values = site_values("site-a")
    values["policy"]["datasets"] = []
    helm.install("wardround-site", "site", "hospital-a", values)
    api.create(data_schema())
    try:
        operator = account("hospital-a", "site-operator")

        def refused() -> bool:
            try:
                api.create(training_job(), user=operator, dry_run=True)
            except Refused as refusal:
                return NOT_LISTED in str(refusal)
            return False

        until("it is refused as not listed", refused)
    finally:
        api.delete("DataSchema", SCHEMA, "hospital-a")
        helm.install("wardround-site", "site", "hospital-a", site_values("site-a"))


def test_helm_binds_the_comparing_policy_before_it_relaxes_the_refusing_one(helm: Helm) -> None:
    """Helm upgrades in the order of its template. In the other order, any Job would be admitted for a moment."""
    chart = str(ROOT / "charts/site")
    text = helm.ok("template", "wardround-site", chart, "--namespace", NAMESPACE, "--values", helm.values(listing()))
    objects = [each for each in yaml.safe_load_all(text) if each and each["kind"].endswith("PolicyBinding")]
    bindings = [each["metadata"]["name"] for each in objects]
    for policy, names in (("training-dataset", LISTED), ("training-schema", LISTED_SCHEMAS)):
        last = bindings.index(f"{policy}-unlisted.{NAMESPACE}.wardround.io")
        assert {f"{name}.{policy}.{NAMESPACE}.wardround.io" for name in names} <= set(bindings[:last])


def test_the_policy_refuses_a_listed_dataset_that_does_not_exist(site: Api) -> None:
    assert NOT_THERE in refusal(site, job_of(ABSENT, dataset_spec(site, BREAST)), OPERATOR)


def test_the_policy_compares_with_the_current_dataset(site: Api) -> None:
    before = job_for(site, MOVED)
    site.patch("Dataset", MOVED, {"spec": {"path": "moved.csv"}}, NAMESPACE)
    until_refused(site, before, WORD_FOR_WORD, OPERATOR)
    assert refusal(site, job_for(site, MOVED), OPERATOR) == ""


NUMBERS = {"WARDROUND_MIN_SAMPLES": FEWEST, "WARDROUND_MIN_CELL": CELL}


@pytest.mark.parametrize(("value", "admitted"), [("10", False), ("11", True), ("12", True)])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_policy_refuses_fewer_patients_than_the_charts(site: Api, name: str, value: str, admitted: bool) -> None:
    job = job_for(site, BREAST)
    variable(name)(job)["value"] = value
    assert (NUMBERS[name] in refusal(site, job, OPERATOR)) is not admitted


@pytest.mark.parametrize("value", ["", "-1", "1e3", " 11", "11\n", "1_1", "$(X)", "9" * 19])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_policy_requires_a_number_of_patients_for_prepare(site: Api, name: str, value: str) -> None:
    job = job_for(site, BREAST)
    variable(name)(job)["value"] = value
    assert NUMBERS[name] in refusal(site, job, OPERATOR)


@pytest.mark.parametrize(("value", "admitted"), [("0.1", True), ("0.099999", True), ("0", True), ("0.100001", False)])
def test_prepare_is_told_to_leave_out_no_more_rows_than_the_chart(site: Api, value: str, admitted: bool) -> None:
    job = job_for(site, BREAST)
    variable("WARDROUND_MAX_LEFT_OUT")(job)["value"] = value
    assert (MOST_LEFT_OUT in refusal(site, job, OPERATOR)) is not admitted


@pytest.mark.parametrize(("value", "admitted"), [("20", True), ("0", True), ("21", False)])
def test_the_policy_refuses_more_evaluations_than_the_charts(site: Api, value: str, admitted: bool) -> None:
    job = job_for(site, BREAST)
    variable("WARDROUND_MAX_EVALUATIONS")(job)["value"] = value
    assert (MOST_EVALUATIONS in refusal(site, job, OPERATOR)) is not admitted


@pytest.mark.parametrize("name", ["", MOVED, "new", f"{BREAST}2", BREAST.upper(), f"{BREAST}\n", f"$({BREAST})"])
def test_the_policy_refuses_a_job_that_counts_evaluations_under_another_name(site: Api, name: str) -> None:
    job = job_for(site, BREAST)
    variable("WARDROUND_DATASET_NAME")(job)["value"] = name
    assert "WARDROUND_DATASET_NAME of prepare has to be breast" in refusal(site, job, OPERATOR)
    job = job_for(site, BREAST)
    container("prepare")(job)["env"].append({"name": "WARDROUND_DATASET_NAME", "value": name})
    assert "WARDROUND_DATASET_NAME of prepare has to be breast" in refusal(site, job, OPERATOR)
