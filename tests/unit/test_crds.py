"""The CRD files: documented, bounded, alike where they mean the same, and the very files that the chart installs."""

from __future__ import annotations

import copy
import re
import typing
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.crd_files import CRDS, FILES, ROOT, Schema, root, version, walk
from wardround.api.conditions import NEVER
from wardround.api.federatedround import DEFAULT_COMMAND
from wardround.api.times import to_microseconds, to_seconds
from wardround.metrics import registry
from wardround.wire.strategy_terms import STEPS

SHORT = {
    "participants": ["ptc"],
    "federatedrounds": ["fr"],
    "federatedmodels": ["fm"],
    "modelversions": ["mv"],
    "modeltransfers": ["mt"],
    "modelpushes": ["mpush"],
    "roundtasks": ["rt"],
    "sites": [],
    "sitetasks": ["st"],
    "approvals": ["appr"],
    "dataschemas": ["dschema"],
    "datasets": ["dset"],
    "predictions": ["pred"],
}
# What people write and Wardround only reads.
WITHOUT_STATUS = {"dataschemas"}
WITH_STATUS = CRDS.keys() - WITHOUT_STATUS
WITH_FINAL_CONDITIONS = {"federatedrounds", "modelpushes", "modeltransfers", "predictions", "roundtasks", "sitetasks"}


def offenders(test: typing.Callable[[Schema], bool]) -> list[str]:
    return [name + path for name, crd in CRDS.items() for path, field in walk(root(crd)) if not test(field)]


def test_there_are_thirteen_kinds_with_short_names() -> None:
    assert {name: crd["spec"]["names"].get("shortNames", []) for name, crd in CRDS.items()} == SHORT
    assert {name: crd["metadata"]["name"] for name, crd in CRDS.items()} == {n: f"{n}.wardround.io" for n in CRDS}


@pytest.mark.parametrize("name", CRDS)
def test_a_kind_is_namespaced_and_has_a_category_and_columns(name: str) -> None:
    crd = CRDS[name]
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"]["categories"] == ["wardround"]
    columns = version(crd)["additionalPrinterColumns"]
    assert columns[-1] == {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    assert len(columns) > (3 if name in WITH_STATUS else 1)


@pytest.mark.parametrize("name", CRDS)
def test_a_kind_has_a_status_subresource_if_wardround_writes_its_status(name: str) -> None:
    has_status = "status" in root(CRDS[name])["properties"]
    assert has_status == (name in WITH_STATUS)
    assert version(CRDS[name]).get("subresources") == ({"status": {}} if has_status else None)


def test_a_list_of_datasets_shows_what_a_round_uses_of_them() -> None:
    columns = {each["name"]: each for each in version(CRDS["datasets"])["additionalPrinterColumns"]}
    shown = {name: each["jsonPath"] for name, each in columns.items() if "priority" not in each}
    assert shown.items() >= {
        ("Features", ".status.features"),
        ("Rows", ".status.rows"),
        ("Left-Out", ".status.leftOut.rows"),
    }


def test_a_list_of_models_says_why_no_series_is_next() -> None:
    """A wrong trigger makes a model Stalled only between its series. The condition Scheduled has it at once."""
    columns = {each["name"]: each for each in version(CRDS["federatedmodels"])["additionalPrinterColumns"]}
    assert columns["Scheduled"]["jsonPath"] == '.status.conditions[?(@.type=="Scheduled")].reason'
    assert "priority" not in columns["Scheduled"]


def test_a_list_of_models_says_whether_hospitals_get_the_current_version() -> None:
    """A failed delivery is no fault of the model: it is Ready, and not Stalled."""
    columns = {each["name"]: each for each in version(CRDS["federatedmodels"])["additionalPrinterColumns"]}
    assert columns["Delivered"]["jsonPath"] == '.status.conditions[?(@.type=="Delivered")].reason'
    assert "priority" not in columns["Delivered"]


def test_a_list_of_models_says_in_one_word_what_a_series_does_or_waits_for() -> None:
    """For example that it waits until it tries a failed round again. The message has the round and the time."""
    columns = {each["name"]: each for each in version(CRDS["federatedmodels"])["additionalPrinterColumns"]}
    for name, place in (("Reason", "reason"), ("Message", "message")):
        assert columns[name]["jsonPath"] == f'.status.conditions[?(@.type=="Reconciling")].{place}'
    assert "priority" not in columns["Reason"]


def test_a_list_of_versions_says_why_one_has_no_numbers() -> None:
    """Beside the verdict, which accepts a first version that nobody has measured."""
    columns = {each["name"]: each for each in version(CRDS["modelversions"])["additionalPrinterColumns"]}
    assert columns["Reason"] == {
        "name": "Reason",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].reason',
    }


def test_a_list_of_rounds_shows_the_loss_and_the_auc() -> None:
    columns = {each["name"]: each for each in version(CRDS["federatedrounds"])["additionalPrinterColumns"]}
    for name, metric in (("Loss", "loss"), ("AUC", "auc")):
        assert columns[name]["jsonPath"] == f'.status.result.metrics[?(@.name=="{metric}")].value'
        assert "priority" not in columns[name]
        assert metric in registry.EVALUATE


@pytest.mark.parametrize("name", CRDS)
def test_uninstalling_the_chart_keeps_the_crds(name: str) -> None:
    assert CRDS[name]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_charts_crds_are_links_to_these_files() -> None:
    templates = {path.stem: path for path in (ROOT / "charts/crds/templates").iterdir()}
    assert {name: path.resolve() for name, path in templates.items()} == FILES
    # Nothing in them is taken for a template.
    assert not [name for name, path in FILES.items() if "{{" in path.read_text()]


def test_every_field_is_described_as_a_sentence() -> None:
    assert offenders(lambda field: str(field.get("description", "")).endswith(".")) == []
    assert all(root(crd)["description"].endswith(".") for crd in CRDS.values())


def limits_in_words(field: Schema) -> str:
    """What a description says of a field's limits and default."""
    lowest, highest = field.get("minimum"), field.get("maximum")
    most = field.get("maxItems", field.get("maxProperties"))
    sentences = []
    if lowest is not None and highest != lowest:
        sentences.append(f"At least {lowest:,}." if highest is None else f"From {lowest:,} to {highest:,}.")
    if most is not None:
        sentences.append(f"At most {most:,} entries.")
    default = default_in_words(field)
    return " ".join([*sentences, f"Default: {default}."] if default else sentences)


def default_in_words(field: Schema) -> str:
    """The default of a field; "" if it has none, or if the fields below it have theirs."""
    match field.get("default"):
        case bool(flag):
            return str(flag).lower()
        case int(number):
            return f"{number:,}"
        case str(text):
            return text or "empty"
        case list(items) if not any(isinstance(each, dict) for each in items):
            words = (" ".join(each) if isinstance(each, list) else each or '""' for each in items)
            return ", ".join(words) or "empty"
        case dict(entries) if "additionalProperties" in field:
            return ", ".join(f"{name} {value}" for name, value in entries.items()) or "empty"
        case _:
            return ""


def test_the_description_of_a_field_that_people_write_says_its_limits_and_its_default() -> None:
    """A person who reads `kubectl explain` sees only the description."""
    by_people = CRDS.keys() - {"modelversions", "roundtasks", "sitetasks"}
    fields = [(name + path, field) for name in by_people for path, field in walk(root(CRDS[name])) if ".spec" in path]
    described = [path for path, field in fields if limits_in_words(field) in " ".join(field["description"].split())]
    assert described == [path for path, _ in fields]
    assert sum(bool(limits_in_words(field)) for _, field in fields) > 100


def test_every_string_is_bounded() -> None:
    """`format` bounds nothing: the API server takes any text after the second `t` of a date-time."""
    assert offenders(lambda field: field.get("type") != "string" or bool({"maxLength", "enum"} & field.keys())) == []


def test_every_list_and_map_is_bounded() -> None:
    assert offenders(lambda field: field.get("type") != "array" or "maxItems" in field) == []
    assert offenders(lambda field: "additionalProperties" not in field or "maxProperties" in field) == []
    keys = re.compile(r"self\.all\(name, size\(name\) <= [0-9]+\)")
    assert offenders(lambda field: "additionalProperties" not in field or keys.search(str(field)) is not None) == []


@pytest.mark.parametrize(
    ("kind", "part", "free"),
    [
        ("roundtasks", ".status", {".conditions[].message"}),
        ("participants", ".status.site", set()),
    ],
)
def test_a_hospital_cannot_write_free_text_at_the_hub(kind: str, part: str, free: set[str]) -> None:
    """A control character takes six bytes where it is stored. The policy `roundtask-status` is about messages."""
    fields = {path.removeprefix(part): field for path, field in walk(root(CRDS[kind])) if path.startswith(f"{part}.")}
    strings = {path: field for path, field in fields.items() if field.get("type") == "string"}
    assert len(strings) > 4
    assert {path for path, field in strings.items() if not {"pattern", "enum"} & field.keys()} == free
    for field in strings.values():
        assert "pattern" not in field or re.search(field["pattern"], "\x1b" * field.get("minLength", 1)) is None


def test_the_crds_accept_times_as_the_code_writes_them_only() -> None:
    fields = [field for crd in CRDS.values() for path, field in walk(root(crd)) if path.lower().endswith("time")]
    assert len(fields) == 15
    now = datetime(2026, 11, 24, 16, 15, 1, 123, UTC)
    for field in fields:
        for time in (to_seconds(now), to_microseconds(now), NEVER):
            assert re.search(field["pattern"], time)
            assert len(time) <= field["maxLength"]
        assert not re.search(field["pattern"], to_seconds(now) + "t" * 7)


def test_every_number_is_whole_and_bounded_below() -> None:
    assert offenders(lambda field: field.get("type") != "number") == []
    assert offenders(lambda field: field.get("type") != "integer" or {"minimum", "format"} <= field.keys()) == []


def test_unknown_fields_are_not_preserved() -> None:
    assert offenders(lambda field: not any(key.startswith("x-kubernetes-preserve") for key in field)) == []
    assert offenders(lambda field: field.get("additionalProperties") is not True) == []


def test_every_list_has_a_list_type() -> None:
    lists = {"x-kubernetes-list-type"}
    merged = offenders(lambda field: field.get("type") != "array" or lists <= field.keys())
    # Histories, written whole by one writer.
    assert {path.rpartition(".")[2] for path in merged} <= {"timeline"}


def test_every_validation_rule_has_a_message() -> None:
    rules = [
        rule
        for crd in CRDS.values()
        for _, field in [("", root(crd)), *walk(root(crd))]
        for rule in field.get("x-kubernetes-validations", [])
    ]
    assert len(rules) > 40
    assert all(rule["message"].endswith((".", "shorten that stage")) for rule in rules)


def test_an_evaluation_can_declare_only_the_scorers_metrics() -> None:
    [rule] = [each for each in declaring("Evaluate") if "self.command" not in each["rule"]]
    assert f"m in {list(registry.EVALUATE)}" in rule["rule"]
    assert all(name in rule["message"] for name in registry.EVALUATE)


def test_a_round_of_the_built_in_trainer_can_declare_only_what_wardround_computes_or_the_trainer_reports() -> None:
    [rule] = declaring("Train")
    assert f"self.command != {list(DEFAULT_COMMAND)}" in rule["rule"]
    assert f"m == '{STEPS}' || m in {list(registry.EVALUATE)}" in rule["rule"]
    assert all(name in rule["message"] for name in (*registry.EVALUATE, STEPS, " ".join(DEFAULT_COMMAND)))


def declaring(task: str) -> list[Any]:
    """The rules about the metrics of rounds of a task."""
    rules = rules_of("federatedrounds", "spec")
    return [each for each in rules if "self.metrics.all" in each["rule"] and f"self.task != '{task}'" in each["rule"]]


@pytest.mark.parametrize(("kind", "path"), [("federatedrounds", ()), ("federatedmodels", ("properties", "round"))])
def test_no_round_declares_a_number_that_comes_with_another_metric(kind: str, path: tuple[str, ...]) -> None:
    """A Train round takes numbers that training code reports. Predictions depend on some of these names."""
    spec = root(CRDS[kind])["properties"]["spec"]
    for step in path:
        spec = spec[step]
    [rule, *others] = spec["properties"]["metrics"]["items"]["x-kubernetes-validations"]
    computed = [*(registry.METRICS.keys() - registry.EVALUATE), registry.LOSS_DIFFERENCE, registry.REFERENCE_LOSS]
    assert all(f"'{name}'" in rule["rule"] for name in computed)
    # All rounds of a model are measured by Evaluate rounds, whatever its training code reports.
    wanted = [f"self == '{STEPS}' || self in {list(registry.EVALUATE)}"] if kind == "federatedmodels" else []
    assert [each["rule"] for each in others] == wanted
    assert all(name in each["message"] for each in others for name in (*registry.EVALUATE, STEPS))


def rules_of(kind: str, field: str) -> list[Any]:
    rules: list[Any] = root(CRDS[kind])["properties"][field]["x-kubernetes-validations"]
    return rules


def test_conditions_have_the_same_schema_in_every_kind() -> None:
    items = [root(CRDS[name])["properties"]["status"]["properties"]["conditions"]["items"] for name in WITH_STATUS]
    assert all(each == items[0] for each in items)


@pytest.mark.parametrize("name", sorted(WITH_STATUS))
def test_a_new_object_is_pending(name: str) -> None:
    [condition] = root(CRDS[name])["properties"]["status"]["default"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Reconciling", "True", "Pending")


@pytest.mark.parametrize("name", sorted(WITH_STATUS))
def test_final_conditions_cannot_change(name: str) -> None:
    conditions = root(CRDS[name])["properties"]["status"]["properties"]["conditions"]
    rules = [rule["rule"] for rule in conditions.get("x-kubernetes-validations", [])]
    assert any("oldSelf" in rule for rule in rules) == (name in WITH_FINAL_CONDITIONS)


def test_the_hub_accepts_as_many_datasets_as_a_site_can_list() -> None:
    offered = root(CRDS["participants"])["properties"]["status"]["properties"]["site"]["properties"]["datasets"]
    field = root(CRDS["federatedrounds"])["properties"]["spec"]["properties"]["datasetName"]
    listed = root(CRDS["sites"])["properties"]["spec"]["properties"]["policy"]["properties"]["datasets"]
    name = listed["items"]["properties"]["name"]
    assert listed["maxItems"] <= offered["maxItems"]
    assert name["maxLength"] <= offered["items"]["properties"]["name"]["maxLength"]
    assert (name["maxLength"], name["pattern"]) == (field["maxLength"], field["pattern"])


def test_round_task_and_site_task_have_the_same_fields() -> None:
    there, here = (root(CRDS[name])["properties"]["spec"]["properties"] for name in ("roundtasks", "sitetasks"))
    assert {name: here[name] for name in there} == there
    assert here.keys() - there.keys() == {"roundTaskUID", "approved", "denied", "decidedBy"}


def test_a_model_describes_the_fields_of_its_rounds_as_a_round_does() -> None:
    """But for their immutability: a change of a model counts from its next round."""
    shared = property_of(CRDS["federatedmodels"], "round")["properties"]
    own = root(CRDS["federatedrounds"])["properties"]["spec"]["properties"]
    assert shared["metrics"]["default"] == ["loss", "auc", "people", "positives"]
    for name, schema in shared.items():
        expected = without_immutability(own[name])
        if name == "metrics":
            for each in (schema, expected):
                default = f"Default: {', '.join(each.pop('default'))}."
                each["description"] = each["description"].removesuffix(default)
            # A model's rounds measure it too, so fewer names are possible.
            del schema["items"]["x-kubernetes-validations"][1:]
        assert schema == expected, name


def test_a_model_names_its_dataschema_within_the_bounds_of_a_round() -> None:
    named, own = (property_of(CRDS[kind], "schemaName") for kind in ("federatedmodels", "federatedrounds"))
    for schema in (named, own):
        [rule] = schema.pop("x-kubernetes-validations")
        assert rule["rule"] == "self == oldSelf"
    assert named.pop("description") == f"{own.pop('description')} Nobody can change this field."
    assert named == own


def property_of(crd: Any, name: str) -> Schema:
    schema: Schema = root(crd)["properties"]["spec"]["properties"][name]
    return copy.deepcopy(schema)


def without_immutability(schema: Schema) -> Schema:
    result = copy.deepcopy(schema)
    for part in (result, *(each for _, each in walk(result))):
        rules = [each for each in part.pop("x-kubernetes-validations", []) if "oldSelf" not in each["rule"]]
        if rules:
            part["x-kubernetes-validations"] = rules
    return result
