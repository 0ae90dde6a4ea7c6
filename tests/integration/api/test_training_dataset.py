"""A Job reads a Dataset only as the hospital described it, whoever creates the Job.

The site operator may write Jobs and no Dataset. All is made with its account and rights, from the Job that it builds.
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
from tests.integration.api.objects import FEDERATION, ROOT, dataset, site_values, training_job
from wardround.api import dataset_text, variable_text

Object = dict[str, Any]
NAMESPACE = "hospital-b"
OPERATOR = account(NAMESPACE, "site-operator")
# Of these, `absent` is listed and does not exist, and `unlisted` exists and is not listed.
BREAST, ODD, LARGE, MOVED, ABSENT, UNLISTED = "breast", "odd", "large", "moved", "absent", "unlisted"
LISTED = [BREAST, ODD, LARGE, MOVED, ABSENT]
WORD_FOR_WORD, CLAIM = "WARDROUND_DATASET of prepare differs from the spec", "has to be the claim of Dataset"
NOT_LISTED, NOT_THERE = "names that Dataset. Add", "no params found for policy binding"
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
    return values


@pytest.fixture(scope="module")
def site(api: Api, helm: Helm) -> Iterator[Api]:
    helm.install("wardround-site", "site", NAMESPACE, listing())
    made = [dataset(NAMESPACE, name) for name in (BREAST, ODD, MOVED, UNLISTED)]
    made[1]["spec"] = odd(made[1]["spec"])
    for each in made:
        api.create(each)
    for name in (BREAST, ODD, MOVED):
        _until_admitted(api, _job(api, name))
    yield api
    for each in made:
        api.delete("Dataset", each["metadata"]["name"], NAMESPACE)
    helm.install("wardround-site", "site", NAMESPACE, site_values("site-b"))


def odd(spec: Object) -> Object:
    """A Dataset that says the oddest things wherever people choose the words."""
    whole = "".join(ODDITIES)
    spec = copy.deepcopy(spec)
    spec["path"] = whole
    spec["split"] = {"keyFile": whole}
    constrained: Object = {"enum": [*ODDITIES, whole[:128]]}
    spec["schema"] = {
        "fields": [
            {"name": "patient", "type": "string", "unit": "", "description": "", "constraints": {}},
            {"name": "mean", "type": "number", "constraints": {"maximum": "1e3", "required": False}},
            *({"name": each, "type": "string", "unit": each, "description": whole} for each in ODDITIES),
            {"name": "odd", "type": "string", "constraints": constrained},
        ],
        "target": ODDITIES[0],
        "identifier": "patient",
        "missingValues": ODDITIES,
    }
    return spec


def _spec(api: Api, name: str) -> Object:
    dataset_spec: Object = api.get("Dataset", name, NAMESPACE)["spec"]
    return dataset_spec


def _job(api: Api, name: str) -> Object:
    """Returns the Job that the site operator builds for a Dataset in the API."""
    return _job_of(name, _spec(api, name))


def _job_of(name: str, spec: Object) -> Object:
    job = training_job(namespace=NAMESPACE)
    job["metadata"]["labels"]["wardround.io/dataset"] = name
    claim("dataset")(job)["claimName"] = spec["claimName"]
    variable("WARDROUND_DATASET_NAME")(job)["value"] = name
    variable("WARDROUND_DATASET")(job)["value"] = dataset_text.dump(spec).replace("$", "$$")
    return job


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


@pytest.mark.parametrize("case", ["train", "train-initial", "statistics", "evaluate"])
def test_the_policy_admits_a_job_that_gives_prepare_the_text_of_the_dataset(site: Api, case: str) -> None:
    job = training_job(case, NAMESPACE)
    assert variable("WARDROUND_DATASET")(job)["value"] == dataset_text.dump(_spec(site, BREAST))
    site.create(job, user=OPERATOR, dry_run=True)


def test_python_and_cel_write_an_odd_dataset_alike(site: Api) -> None:
    spec = _spec(site, ODD)
    assert {each["name"] for each in spec["schema"]["fields"]} >= set(ODDITIES)
    assert _refusal(site, _job(site, ODD)) == ""


CHANGES: dict[str, Callable[[Object], Any]] = {
    "another file": lambda spec: spec.update(path="cases.csw"),
    "another format": lambda spec: spec.update(format="Parquet"),
    "no format": lambda spec: spec.pop("format"),
    "a bound": lambda spec: spec["schema"]["fields"][1]["constraints"].update(maximum="51"),
    "no bound": lambda spec: spec["schema"]["fields"][1]["constraints"].pop("minimum"),
    "a bound where there is none": lambda spec: spec["schema"]["fields"][0]["constraints"].update(minimum="1"),
    "a value of an enum": lambda spec: spec["schema"]["fields"][2]["constraints"].update(enum=["0", "2"]),
    "a value less": lambda spec: spec["schema"]["fields"][2]["constraints"].update(enum=["0"]),
    "what is not required": lambda spec: spec["schema"]["fields"][0]["constraints"].update(required=False),
    "another column": lambda spec: spec["schema"]["fields"][1].update(name="mean_radios"),
    "another type": lambda spec: spec["schema"]["fields"][1].update(type="integer"),
    "another unit": lambda spec: spec["schema"]["fields"][1].update(unit="cm"),
    "a description": lambda spec: spec["schema"]["fields"][1].update(description="of the cell"),
    "a field more": lambda spec: spec["schema"]["fields"].append({"name": "age", "type": "integer"}),
    "a field less": lambda spec: spec["schema"]["fields"].pop(1),
    "another order": lambda spec: spec["schema"]["fields"].reverse(),
    "another target": lambda spec: spec["schema"].update(target="mean_radius"),
    "another identifier": lambda spec: spec["schema"].update(identifier="malignant"),
    "a missing value": lambda spec: spec["schema"].update(missingValues=["", "NA", "17.3"]),
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


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace('"CSV"', '"CSV","path":"other.csv"'),
        lambda text: "$(WARDROUND_TASK)",
        lambda text: "",
    ],
    ids=["a blank", "a key twice", "another variable", "nothing"],
)
def test_the_policy_compares_text_and_not_meaning(site: Api, change: Callable[[str], str]) -> None:
    job = _job(site, BREAST)
    item = variable("WARDROUND_DATASET")(job)
    item["value"] = change(item["value"])
    assert WORD_FOR_WORD in _refusal(site, job)


@pytest.mark.parametrize("position", [0, 9])
def test_the_policy_refuses_a_variable_of_prepare_given_twice(site: Api, position: int) -> None:
    """If a variable occurs twice, the last one counts."""
    job = _job(site, BREAST)
    item = variable("WARDROUND_DATASET")(job)
    container("prepare")(job)["env"].insert(position, item | {"value": item["value"].replace("cases", "other")})
    assert WORD_FOR_WORD in _refusal(site, job)


def test_the_policy_refuses_a_job_with_a_claim_of_another_dataset(site: Api) -> None:
    job = _job(site, BREAST)
    claim("dataset")(job)["claimName"] = "breast-datb"
    assert f"{CLAIM} breast, breast-data" in _refusal(site, job)


def test_the_policy_refuses_a_job_that_describes_another_dataset(site: Api) -> None:
    assert f"of Dataset {ODD}" in _refusal(site, _job_of(ODD, _spec(site, BREAST)))


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
        helm.install("wardround-site", "site", "hospital-a", site_values("site-a"))


def test_helm_binds_the_comparing_policy_before_it_relaxes_the_refusing_one(helm: Helm) -> None:
    """Helm upgrades in the order of its template. In the other order, any Job would be admitted for a moment."""
    chart = str(ROOT / "charts/site")
    text = helm.ok("template", "wardround-site", chart, "--namespace", NAMESPACE, "--values", helm.values(listing()))
    objects = [each for each in yaml.safe_load_all(text) if each and each["kind"].endswith("PolicyBinding")]
    *compared, last = [each["metadata"]["name"] for each in objects]
    assert last.startswith("training-dataset-unlisted.")
    assert {f"{name}.training-dataset.{NAMESPACE}.wardround.io" for name in LISTED} <= set(compared)


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


# Beside target and identifier, by the kind's schema.
MOST_FIELDS = 2046


def _fields(count: int, **more: Any) -> list[Object]:
    return [{"name": f"f{number}", "type": "number", **more} for number in range(count)]


def _enums(count: int) -> list[Object]:
    values = [chr(0x21 + number) if number < 0x5E else f"{number:x}" for number in range(256)]
    return [{"name": f"f{number}", "type": "string", "constraints": {"enum": values}} for number in range(count)]


SHAPES: dict[str, Callable[[int], list[Object]]] = {
    "fields": lambda count: _fields(count),
    "bounds": lambda count: _fields(count, constraints={"required": True, "minimum": "0", "maximum": "1"}),
    "descriptions": lambda count: _fields(count, description="$" * 1024),
    "quotes": lambda count: _fields(count, unit='"' * 64, description="\\" * 1024),
    "enums": _enums,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_policy_admits_the_largest_dataset_that_fits_into_a_container(site: Api, shape: str) -> None:
    """The API server limits the cost of each policy expression to about a tenth of a second."""
    large = dataset(NAMESPACE, LARGE) | {"spec": _spec(site, BREAST)}
    most = bisect.bisect_left(range(1, MOST_FIELDS + 1), 1, key=lambda count: _fault(large, SHAPES[shape](count)) != "")
    large["spec"]["schema"]["fields"] = _of(SHAPES[shape](most))
    site.create(large)
    try:
        assert (
            most == MOST_FIELDS or len(dataset_text.dump(_spec(site, LARGE)).encode()) > variable_text.MOST_BYTES - 4096
        )
        _until_admitted(site, _job(site, LARGE))
    finally:
        site.delete("Dataset", LARGE, NAMESPACE)
        _until_refused(site, _job_of(LARGE, large["spec"]), NOT_THERE)


def _of(fields: list[Object]) -> list[Object]:
    ends = [{"name": "patient_id", "type": "string"}, {"name": "malignant", "type": "integer"}]
    return [*ends, *fields]


def _fault(large: Object, fields: list[Object]) -> str:
    return dataset_text.fault({**large["spec"], "schema": {**large["spec"]["schema"], "fields": _of(fields)}})
