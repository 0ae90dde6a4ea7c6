"""A Job reads a Dataset only as the hospital described it, by the hospital's DataSchema, whoever creates the Job.

The site operator may write Jobs, and neither a Dataset nor a DataSchema. All Jobs
are made with its account and rights, from the Job that it builds.
"""

from __future__ import annotations

import bisect
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.attacks import CELL, FEWEST, MOST_EVALUATIONS, MOST_LEFT_OUT
from tests.integration.api.conftest import Helm
from tests.integration.api.jobs import claim, container, variable
from tests.integration.api.objects import FEDERATION, ROOT, data_schema, dataset, reading_job, site_values, training_job
from wardround.api import dataset_text, schema_text, variable_text

Object = dict[str, Any]
NAMESPACE = "hospital-b"
OPERATOR = account(NAMESPACE, "site-operator")
# Of these, `absent` is listed and does not exist, and `unlisted` exists and is not listed.
BREAST, ODD, LARGE, MOVED, ABSENT, UNLISTED = "breast", "odd", "large", "moved", "absent", "unlisted"
LISTED = [BREAST, ODD, LARGE, MOVED, ABSENT]
SCHEMA, OTHER = "breast-v1", "other"
LISTED_SCHEMAS = [SCHEMA, ODD, LARGE, OTHER, ABSENT]
WORD_FOR_WORD, CLAIM = "WARDROUND_DATASET of prepare differs from the spec", "has to be the claim of Dataset"
SCHEMA_WORD_FOR_WORD = "WARDROUND_SCHEMA of prepare differs from the spec of DataSchema"
SCHEMA_LABEL = "The label wardround.io/schema of a training Job has to be"
SCHEMA_NOT_LISTED = "to name that DataSchema. Add"
NOT_LISTED, NOT_THERE = "to name that Dataset. Add", "no params found for policy binding"
# Whatever CEL, JSON, Kubernetes or a shell might take for something of its own.
ODDITIES = [
    *(
        "'",
        '"',
        "\\",
        "\\\\",
        '\\"',
        "\\a",
        "\a",
        "\v",
        "\\\a",
        "\b\f\n\r\t",
        "\x01\x1f\x7f",
        "\u0085\u2028\ufeff",
        " ",
    ),
    *("$", "$$", "$(WARDROUND_TASK)", "${x}", "{{ .Values }}", "é µ 患者 \U0001f9ec", "a\u0301", '","path":"other.csv'),
]


def listing() -> Object:
    values = site_values("site-b")
    values["policy"]["datasets"] = [{"name": name, "federations": [FEDERATION]} for name in LISTED]
    values["policy"]["dataSchemas"] = LISTED_SCHEMAS
    return values


@pytest.fixture(scope="module")
def site(api: Api, helm: Helm) -> Iterator[Api]:
    helm.install("wardround-site", "site", NAMESPACE, listing())
    made = [dataset(NAMESPACE, name) for name in (BREAST, ODD, MOVED, UNLISTED)]
    made[1]["spec"] = odd(made[1]["spec"])
    made += [data_schema(NAMESPACE, name) for name in (SCHEMA, ODD, OTHER, UNLISTED)]
    made[5]["spec"] = odd_schema()
    made[6]["spec"]["fields"].pop(0)
    for each in made:
        api.create(each)
    for name in (BREAST, ODD, MOVED):
        _until_admitted(api, _job(api, name))
    yield api
    for each in made:
        api.delete(each["kind"], each["metadata"]["name"], NAMESPACE)
    helm.install("wardround-site", "site", NAMESPACE, site_values("site-b"))


def odd(spec: Object) -> Object:
    """A Dataset that says the oddest things wherever people choose the words."""
    whole = "".join(ODDITIES)
    spec = copy.deepcopy(spec)
    spec["path"] = whole
    spec["schemaName"] = ODD
    spec["split"] = {"keyFile": whole}
    spec["identifier"] = {"column": whole, "type": "integer"}
    spec["fields"] = [
        {"name": "all", "from": whole, "missingValues": ODDITIES, "scale": "-1e-3", "offset": "+0.5"},
        {"name": "categories", "categories": [{"name": whole, "from": each} for each in ODDITIES]},
        {"name": "none", "missingValues": [], "categories": []},
        *({"name": each} for each in ODDITIES),
    ]
    spec["missingValues"] = ODDITIES
    spec["columnsVersion"] = 1_000_000
    return spec


def odd_schema() -> Object:
    whole = "".join(ODDITIES)
    return {
        "fields": [
            {"name": "mean", "type": "number", "maximum": "1e3", "minimum": "-0.5", "required": False},
            *({"name": each, "type": "string", "unit": each, "description": whole} for each in ODDITIES),
            {"name": "odd", "type": "string", "categories": [*ODDITIES, whole[:128]], "required": True},
        ],
        "target": ODDITIES[0],
    }


def _spec(api: Api, name: str) -> Object:
    dataset_spec: Object = api.get("Dataset", name, NAMESPACE)["spec"]
    return dataset_spec


def _schema(api: Api, name: str) -> Object:
    schema_spec: Object = api.get("DataSchema", name, NAMESPACE)["spec"]
    return schema_spec


def _job(api: Api, name: str) -> Object:
    """Returns the Job that the site operator builds for a Dataset in the API."""
    spec = _spec(api, name)
    return _job_of(name, spec, _schema(api, spec["schemaName"]))


def _job_of(name: str, spec: Object, schema: Object | None = None) -> Object:
    """`schema`: the DataSchema's spec. Without it, the Job keeps the one of the golden files."""
    job = training_job(namespace=NAMESPACE)
    job["metadata"]["labels"].update({"wardround.io/dataset": name, "wardround.io/schema": spec["schemaName"]})
    claim("dataset")(job)["claimName"] = spec["claimName"]
    variable("WARDROUND_DATASET_NAME")(job)["value"] = name
    variable("WARDROUND_DATASET")(job)["value"] = dataset_text.dump(spec).replace("$", "$$")
    if schema is not None:
        variable("WARDROUND_SCHEMA")(job)["value"] = schema_text.dump(schema).replace("$", "$$")
    return job


def _reading(api: Api, name: str = BREAST) -> Object:
    """A Job that reads Dataset `breast`, as one of the Dataset with this name."""
    return reading_job(api.get("Dataset", name, NAMESPACE)["metadata"]["uid"], NAMESPACE)


def _refusal(api: Api, job: Object) -> str:
    try:
        api.create(job, user=OPERATOR, dry_run=True)
    except Refused as refusal:
        return str(refusal)
    return ""


def _until_refused(api: Api, job: Object, words: str) -> None:
    """Waits, because the API server applies a changed policy or Dataset with a short delay."""
    until(f"it is refused for {words!r}", lambda: words in _refusal(api, job))


def _until_admitted(api: Api, job: Object) -> None:
    until("it is admitted", lambda: _refusal(api, job) == "")


@pytest.mark.parametrize("case", ["train", "train-initial", "statistics", "evaluate", "read"])
def test_the_policy_admits_a_job_that_gives_prepare_the_text_of_the_dataset(site: Api, case: str) -> None:
    job = _reading(site) if case == "read" else training_job(case, NAMESPACE)
    assert variable("WARDROUND_DATASET")(job)["value"] == dataset_text.dump(_spec(site, BREAST))
    assert variable("WARDROUND_SCHEMA")(job)["value"] == schema_text.dump(_schema(site, SCHEMA))
    site.create(job, user=OPERATOR, dry_run=True)


def test_the_policy_compares_a_job_that_only_reads_with_its_dataset_and_its_schema_too(site: Api) -> None:
    for name, words in {
        "WARDROUND_DATASET": WORD_FOR_WORD,
        "WARDROUND_SCHEMA": "WARDROUND_SCHEMA of prepare differs",
        "WARDROUND_DATASET_NAME": "WARDROUND_DATASET_NAME of prepare has to be breast",
    }.items():
        job = _reading(site)
        variable(name)(job)["value"] += "x"
        assert words in _refusal(site, job)
    job = _reading(site)
    claim("dataset")(job)["claimName"] = "breast-datb"
    assert f"{CLAIM} breast, breast-data" in _refusal(site, job)
    job = _reading(site)
    job["metadata"]["labels"]["wardround.io/dataset"] = UNLISTED
    assert f"{NOT_LISTED} {UNLISTED} there" in _refusal(site, job)


def test_a_job_reads_only_the_dataset_that_owns_it(site: Api) -> None:
    """The site operator writes the Job's report into its owner's status."""
    refused = "has to have the UID of this Dataset"
    assert f"only reads Dataset {BREAST} {refused}" in _refusal(site, _reading(site, MOVED))


def test_python_and_cel_write_an_odd_dataset_alike(site: Api) -> None:
    for spec in (_spec(site, ODD), _schema(site, ODD)):
        assert {each["name"] for each in spec["fields"]} >= set(ODDITIES)
    assert _refusal(site, _job(site, ODD)) == ""


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
    spec = _spec(site, BREAST)
    change(spec)
    assert WORD_FOR_WORD in _refusal(site, _job_of(BREAST, spec))


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
    schema = _schema(site, SCHEMA)
    change(schema)
    assert f"{SCHEMA_WORD_FOR_WORD} {SCHEMA}" in _refusal(site, _job_of(BREAST, _spec(site, BREAST), schema))


def test_the_policy_refuses_the_label_and_the_text_of_another_schema(site: Api) -> None:
    """The site operator could choose among all DataSchemas otherwise."""
    for label, schema in ((OTHER, OTHER), (OTHER, SCHEMA), (SCHEMA, OTHER)):
        job = _job_of(BREAST, _spec(site, BREAST), _schema(site, schema))
        job["metadata"]["labels"]["wardround.io/schema"] = label
        words = f"{SCHEMA_WORD_FOR_WORD} {SCHEMA}" if label == SCHEMA else f"{SCHEMA_LABEL} {SCHEMA}"
        refusal = _refusal(site, job)
        assert words in refusal or f"{SCHEMA_WORD_FOR_WORD} {OTHER}" in refusal


def test_the_policy_refuses_a_job_without_the_label_of_its_schema(site: Api) -> None:
    job = _job(site, BREAST)
    job["metadata"]["labels"].pop("wardround.io/schema")
    refusal = _refusal(site, job)
    assert f"{SCHEMA_NOT_LISTED} it there" in refusal or SCHEMA_LABEL in refusal
    job["spec"]["template"]["metadata"]["labels"]["wardround.io/schema"] = SCHEMA
    assert _refusal(site, job)


def test_the_policy_refuses_a_schema_that_the_site_does_not_list(site: Api) -> None:
    site.patch("Dataset", MOVED, {"spec": {"schemaName": UNLISTED}}, NAMESPACE)
    try:
        _until_refused(site, _job(site, MOVED), f"{SCHEMA_NOT_LISTED} {UNLISTED} there")
    finally:
        site.patch("Dataset", MOVED, {"spec": {"schemaName": SCHEMA}}, NAMESPACE)
        _until_admitted(site, _job(site, MOVED))


def test_the_policy_refuses_a_listed_schema_that_does_not_exist(site: Api) -> None:
    """No text can stand for it, whoever wrote the Dataset."""
    site.patch("Dataset", MOVED, {"spec": {"schemaName": ABSENT}}, NAMESPACE)
    try:
        _until_refused(site, _job_of(MOVED, _spec(site, MOVED), _schema(site, SCHEMA)), NOT_THERE)
    finally:
        site.patch("Dataset", MOVED, {"spec": {"schemaName": SCHEMA}}, NAMESPACE)
        _until_admitted(site, _job(site, MOVED))


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
    job = _job(site, BREAST)
    item = variable(name)(job)
    item["value"] = change(item["value"])
    assert f"{name} of prepare differs from the spec" in _refusal(site, job)


@pytest.mark.parametrize("name", ["WARDROUND_DATASET", "WARDROUND_SCHEMA"])
@pytest.mark.parametrize("position", [0, 9])
def test_the_policy_refuses_a_variable_of_prepare_given_twice(site: Api, name: str, position: int) -> None:
    """If a variable occurs twice, the last one counts."""
    job = _job(site, BREAST)
    item = variable(name)(job)
    container("prepare")(job)["env"].insert(position, item | {"value": item["value"].replace("mean", "neam")})
    assert f"{name} of prepare differs from the spec" in _refusal(site, job)


def test_the_policy_refuses_a_job_with_a_claim_of_another_dataset(site: Api) -> None:
    job = _job(site, BREAST)
    claim("dataset")(job)["claimName"] = "breast-datb"
    assert f"{CLAIM} breast, breast-data" in _refusal(site, job)


def test_the_policy_refuses_a_job_that_describes_another_dataset(site: Api) -> None:
    spec = _spec(site, BREAST) | {"schemaName": ODD}
    assert f"of Dataset {ODD}" in _refusal(site, _job_of(ODD, spec, _schema(site, ODD)))


def test_the_policy_refuses_a_dataset_that_the_site_does_not_list(site: Api) -> None:
    assert f"{NOT_LISTED} {UNLISTED} there" in _refusal(site, _job(site, UNLISTED))
    unnamed = _job(site, BREAST)
    unnamed["metadata"]["labels"].pop("wardround.io/dataset")
    assert f"{NOT_LISTED} it there" in _refusal(site, unnamed)
    elsewhere = _job(site, BREAST)
    elsewhere["metadata"]["labels"].pop("wardround.io/dataset")
    elsewhere["spec"]["template"]["metadata"]["labels"]["wardround.io/dataset"] = BREAST
    assert _refusal(site, elsewhere)


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
    assert NOT_THERE in _refusal(site, _job_of(ABSENT, _spec(site, BREAST)))


def test_the_policy_compares_with_the_current_dataset(site: Api) -> None:
    before = _job(site, MOVED)
    site.patch("Dataset", MOVED, {"spec": {"path": "moved.csv"}}, NAMESPACE)
    _until_refused(site, before, WORD_FOR_WORD)
    assert _refusal(site, _job(site, MOVED)) == ""


NUMBERS = {"WARDROUND_MIN_SAMPLES": FEWEST, "WARDROUND_MIN_CELL": CELL}


@pytest.mark.parametrize(("value", "admitted"), [("10", False), ("11", True), ("12", True)])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_policy_refuses_fewer_patients_than_the_charts(site: Api, name: str, value: str, admitted: bool) -> None:
    job = _job(site, BREAST)
    variable(name)(job)["value"] = value
    assert (NUMBERS[name] in _refusal(site, job)) is not admitted


@pytest.mark.parametrize("value", ["", "-1", "1e3", " 11", "11\n", "1_1", "$(X)", "9" * 19])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_policy_requires_a_number_of_patients_for_prepare(site: Api, name: str, value: str) -> None:
    job = _job(site, BREAST)
    variable(name)(job)["value"] = value
    assert NUMBERS[name] in _refusal(site, job)


@pytest.mark.parametrize(("value", "admitted"), [("0.1", True), ("0.099999", True), ("0", True), ("0.100001", False)])
def test_prepare_is_told_to_leave_out_no_more_rows_than_the_chart(site: Api, value: str, admitted: bool) -> None:
    job = _job(site, BREAST)
    variable("WARDROUND_MAX_LEFT_OUT")(job)["value"] = value
    assert (MOST_LEFT_OUT in _refusal(site, job)) is not admitted


@pytest.mark.parametrize(("value", "admitted"), [("20", True), ("0", True), ("21", False)])
def test_the_policy_refuses_more_evaluations_than_the_charts(site: Api, value: str, admitted: bool) -> None:
    job = _job(site, BREAST)
    variable("WARDROUND_MAX_EVALUATIONS")(job)["value"] = value
    assert (MOST_EVALUATIONS in _refusal(site, job)) is not admitted


@pytest.mark.parametrize("name", ["", MOVED, "new", f"{BREAST}2", BREAST.upper(), f"{BREAST}\n", f"$({BREAST})"])
def test_the_policy_refuses_a_job_that_counts_evaluations_under_another_name(site: Api, name: str) -> None:
    job = _job(site, BREAST)
    variable("WARDROUND_DATASET_NAME")(job)["value"] = name
    assert "WARDROUND_DATASET_NAME of prepare has to be breast" in _refusal(site, job)
    job = _job(site, BREAST)
    container("prepare")(job)["env"].append({"name": "WARDROUND_DATASET_NAME", "value": name})
    assert "WARDROUND_DATASET_NAME of prepare has to be breast" in _refusal(site, job)


def _numbers(count: int, **more: Any) -> list[Object]:
    return [{"name": f"laboratory_value_{number:04}", "type": "number", **more} for number in range(count)]


def _categories(count: int) -> list[Object]:
    values = [chr(0x21 + number) if number < 0x5E else f"{number:x}" for number in range(256)]
    return [{"name": f"f{number}", "type": "string", "categories": values} for number in range(count)]


# DataSchemas of so many fields beside the target.
SCHEMA_SHAPES: dict[str, Callable[[int], list[Object]]] = {
    "fields": _numbers,
    "bounds": lambda count: _numbers(count, required=True, unit="mmol/L", minimum="0", maximum="1000"),
    "descriptions": lambda count: _numbers(count, description="$" * 1024),
    "quotes": lambda count: [{"name": f"{number}" + '"' * 120, "type": "string"} for number in range(count)],
    "categories": _categories,
}


def _renamed(count: int, **more: Any) -> list[Object]:
    return [{"name": f"laboratory_value_{number:04}", "from": f"LAB_{number:04}", **more} for number in range(count)]


# Datasets with so many local fields.
DATASET_SHAPES: dict[str, Callable[[int], list[Object]]] = {
    "fields": _renamed,
    "units": lambda count: _renamed(count, scale="0.0555", offset="0", missingValues=["-1", "999"]),
    "quotes": lambda count: _renamed(count, missingValues=["\\" * 64]),
    "missing values": lambda count: _renamed(count, missingValues=[f"{number}" for number in range(32)]),
    "categories": lambda count: _renamed(
        count, categories=[{"name": f"{number:x}", "from": f"{number:x}"} for number in range(256)]
    ),
}
MOST_FIELDS = 999


def _most(fault: Callable[[int], str]) -> int:
    """The largest number of fields without a fault."""
    return bisect.bisect_left(range(1, MOST_FIELDS + 1), 1, key=lambda count: fault(count) != "")


def _schema_of(fields: list[Object]) -> Object:
    return {"fields": [*fields, {"name": "malignant", "type": "integer"}], "target": "malignant"}


@pytest.fixture
def large(site: Api) -> Iterator[Callable[[list[Object], Object], None]]:
    """Makes the Dataset `large` of these local fields, with the DataSchema `large` of this spec."""
    made = dataset(NAMESPACE, LARGE)
    made["spec"]["schemaName"] = LARGE

    def make(local: list[Object], schema: Object) -> None:
        made["spec"]["fields"] = local
        site.create(data_schema(NAMESPACE, LARGE) | {"spec": schema})
        site.create(made)

    yield make
    site.delete("Dataset", LARGE, NAMESPACE)
    site.delete("DataSchema", LARGE, NAMESPACE)
    _until_refused(site, _job_of(LARGE, made["spec"]), NOT_THERE)


Make = Callable[[list[Object], Object], None]


@pytest.mark.parametrize("shape", SCHEMA_SHAPES)
def test_the_policy_admits_the_largest_schema_that_fits_into_a_container(site: Api, large: Make, shape: str) -> None:
    """The API server limits the cost of each policy expression to about a tenth of a second."""
    fields = SCHEMA_SHAPES[shape]
    most = _most(lambda count: schema_text.fault(_schema_of(fields(count))))
    large([], _schema_of(fields(most)))
    size = len(schema_text.dump(_schema(site, LARGE)).encode())
    assert most == MOST_FIELDS or size > variable_text.MOST_BYTES - 4096
    _until_admitted(site, _job(site, LARGE))


@pytest.mark.parametrize("shape", DATASET_SHAPES)
def test_the_policy_admits_the_largest_dataset_that_fits_into_a_container(site: Api, large: Make, shape: str) -> None:
    fields = DATASET_SHAPES[shape]
    spec = _spec(site, BREAST)
    most = _most(lambda count: dataset_text.fault({**spec, "fields": fields(count)}))
    large(fields(most), _schema_of(_numbers(1)))
    size = len(dataset_text.dump(_spec(site, LARGE)).encode())
    assert most == MOST_FIELDS or size > variable_text.MOST_BYTES - 8192
    _until_admitted(site, _job(site, LARGE))


def test_the_policy_binds_500_columns_word_for_word(site: Api, large: Make) -> None:
    """Each with a unit, bounds and a description, and with a column, unit and missing values of the hospital."""
    described = "Concentration in the blood at admission, measured within 24 hours."
    fields = _numbers(490, unit="mmol/L", minimum="0", maximum="1000", description=described)
    words = [f"category {number:02}" for number in range(20)]
    fields += [{"name": f"word_{number}", "type": "string", "categories": words} for number in range(9)]
    local = _renamed(490, scale="0.0555", offset="0", missingValues=["-1"])
    spellings = [{"name": word, "from": f"kategorie {word[-2:]}"} for word in words]
    local += [{"name": f"word_{number}", "from": f"WORT_{number}", "categories": spellings} for number in range(9)]
    large(local, _schema_of(fields))
    spec, schema = _spec(site, LARGE), _schema(site, LARGE)
    assert len(schema["fields"]) == 500
    assert (dataset_text.fault(spec), schema_text.fault(schema)) == ("", "")
    _until_admitted(site, _job_of(LARGE, spec, schema))
    schema["fields"][250]["maximum"] = "1001"
    assert f"{SCHEMA_WORD_FOR_WORD} {LARGE}" in _refusal(site, _job_of(LARGE, spec, schema))
    spec["fields"][250]["from"] = "LAB_0251"
    assert WORD_FOR_WORD in _refusal(site, _job_of(LARGE, spec, _schema(site, LARGE)))
