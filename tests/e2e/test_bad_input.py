"""Bad input gives a reason and a message on the object that people applied, at the right side, and crashes nothing."""

import copy
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import demo_rounds
from lab.install import apply, wait_for_dataset
from lab.topology import named
from tests.conditions import condition
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import eventually
from tests.e2e.federation import CHANGING, LACKING, REVERSED, STEPS, UNTRAINED, Federation, Finished, data_schema
from wardround.api.federatedround import DEFAULT_COMMAND
from wardround.kubectl import main

ELSEWHERE = "e2e-stranger"
TRAINER = list(DEFAULT_COMMAND)
BREAKS = """
import json, os, sys
import numpy as np
from safetensors.numpy import load_file, save_file
out = "/wardround/out/model.safetensors"
model = load_file("/wardround/base/model.safetensors")
free = next(name for name in model if not name.startswith("wardround.input."))
"""
# Faulty training code, with the reason that it must give.
BROKEN = {
    "nothing": ("OutputMissing", ""),
    "too-slow": ("TrainDeadline", "import time; time.sleep(300)"),
    "not-safetensors": ("OutputNotSafetensors", 'open(out, "wb").write(b"x" * 4096)'),
    "another-name": ("TensorsDiffer", 'model["another"] = model.pop(free); save_file(model, out)'),
    "another-shape": ("TensorsDiffer", "model[free] = np.zeros(3, np.float32); save_file(model, out)"),
    "another-dtype": ("TensorsDiffer", "model[free] = model[free].astype(np.float64); save_file(model, out)"),
    "not-finite": ("NotFinite", "model[free] = np.full_like(model[free], np.nan); save_file(model, out)"),
    "a-pipe": ("OutputLink", "os.mkfifo(out)"),
    "a-huge-file": ("OutputTooLarge", "save_file(model, out); os.truncate(out, 10 << 30)"),
    "a-crash": ("TrainerFailed", "sys.exit(3)"),
}


def round_(federation: Federation, name: str, task: str = "Statistics", **spec: Any) -> dict[str, Any]:
    """A round of one hospital, with short deadlines."""
    deadlines = {"totalSeconds": 400, "admissionSeconds": 400, "queueSeconds": 400, "startSeconds": 300}
    deadlines |= {"trainSeconds": 300, "uploadSeconds": 300}
    usual: dict[str, Any] = {"participants": {"names": ["site-b"]}, "deadlines": deadlines}
    return federation.manifest(name, task, **(usual | spec))


@pytest.fixture(scope="module")
def base(federation: Federation) -> str:
    """The name of a valid round from which others start. It runs while other tests work."""
    made = federation.manifest("sound", "Train", initial={}, parameters=UNTRAINED)
    federation.apply(made)
    return str(made["metadata"]["name"])


@pytest.fixture(scope="module")
def broken(federation: Federation, base: str) -> Iterator[dict[str, str]]:
    """One round for each fault of training code. They run at the same time, spread over the hospitals, while other
    tests of this module work, and end with the module."""
    names: dict[str, str] = {}
    try:
        for number, (name, (_, code)) in enumerate(BROKEN.items()):
            spec = {"base": {"roundName": base}, "command": COMMAND, "parameters": carried(BREAKS + code)}
            site = federation.sites[number % len(federation.sites)]
            made = round_(federation, name, "Train", participants={"names": [site]}, **spec)
            if name == "too-slow":
                made["spec"]["deadlines"]["trainSeconds"] = 30  # of which a start may take all before it is no training
            federation.apply(made)
            names[name] = made["metadata"]["name"]
        yield names
    finally:
        for each in federation.kubectl("hub").get("fr", "-n", federation.namespace)["items"]:
            if each["metadata"]["name"] in names.values() and not Finished(each, []).over:
                federation.kubectl("hub")("delete", "fr", each["metadata"]["name"], "-n", federation.namespace)


@contextmanager
def offered(federation: Federation, name: str, *fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A temporary Dataset of site-b with these local fields."""
    dataset = demo_rounds.dataset()
    dataset["metadata"]["name"] = name
    dataset["spec"]["fields"] = list(fields)
    apply(named("site-b"), [dataset], federation.site_namespace)
    try:
        wait_for_dataset("site-b", name)
        yield dataset
    finally:
        federation.kubectl("site-b")("delete", "dataset", name, "-n", federation.site_namespace)


@pytest.fixture(scope="module")
def lacking(federation: Federation) -> Iterator[str]:
    """A Dataset that names a column that its file lacks."""
    with offered(federation, LACKING, {"name": "mean_area", "from": "tumour_grade"}):
        yield LACKING


@pytest.mark.usefixtures("broken")
def test_a_missing_column_makes_a_dataset_not_ready_without_any_round(
    federation: Federation, lacking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pod of our own code reads the file when the Dataset is applied, and again when a person asks for it."""

    def status() -> Any:
        listed = federation.kubectl("site-b").get("dataset", lacking, "-n", federation.site_namespace)
        return listed.get("status") or {}

    eventually("the Dataset is read", lambda: (status().get("reading") or {}).get("reason") == "ColumnMissing")
    [ready] = [each for each in status()["conditions"] if each["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ColumnMissing")
    assert "tumour_grade" in ready["message"]
    asks = [
        "dataset",
        "read",
        lacking,
        "-n",
        federation.site_namespace,
        "--kubeconfig",
        str(named("site-b").kubeconfig),
    ]
    assert main(asks) == 1
    assert "tumour_grade" in capsys.readouterr().out
    jobs = federation.kubectl("site-b").get("jobs", "-n", federation.site_namespace)["items"]
    assert not [each for each in jobs if each["metadata"]["name"].startswith("read-")]


@pytest.mark.usefixtures("broken")
def test_a_missing_column_is_named_only_at_the_hospital(federation: Federation, lacking: str) -> None:
    made = round_(federation, "column", datasetName=lacking)
    federation.apply(made)
    finished = federation.finished(made["metadata"]["name"])
    assert finished.attention("site-b")["reason"] == "ColumnMissing"
    assert "tumour_grade" not in str(finished.round["status"])
    own = federation.site_task("site-b", finished.tasks[0]["metadata"]["name"])
    assert "tumour_grade" in own["status"]["failure"]["message"]

    def dataset_says() -> bool:
        dataset = federation.kubectl("site-b").get("dataset", lacking, "-n", federation.site_namespace)
        ready = condition(dataset, "Ready")
        return ready is not None and ready.reason == "ColumnMissing" and "tumour_grade" in ready.message

    eventually("the Dataset names the column", dataset_says)


@pytest.fixture
def changing(federation: Federation) -> Iterator[dict[str, Any]]:
    """A valid Dataset that a test changes and applies again."""
    with offered(federation, CHANGING) as dataset:
        yield dataset


def test_a_hospital_with_another_schema_is_left_out_until_it_has_the_rounds(
    federation: Federation, changing: dict[str, Any]
) -> None:
    first = round_(federation, "columns-1", datasetName=CHANGING)
    federation.apply(first)
    before = federation.completed(first["metadata"]["name"]).result["columnsDigest"]

    reordered, schema = copy.deepcopy(changing), demo_rounds.data_schema()
    reordered["spec"]["schemaName"] = schema["metadata"]["name"] = REVERSED
    schema["spec"]["fields"].reverse()
    apply(named("site-b"), [schema, reordered], federation.site_namespace)
    eventually("the hub has its digest", lambda: _published(federation) != before)
    initial = {"statisticsRoundName": first["metadata"]["name"]}
    second = round_(federation, "columns-2", "Train", datasetName=CHANGING, initial=initial, parameters=UNTRAINED)
    federation.apply(second)
    _eventually_says(federation, second, "DatasetDiffers")

    apply(named("site-b"), [changing], federation.site_namespace)
    assert federation.completed(second["metadata"]["name"]).result["columnsDigest"] == before


def _published(federation: Federation) -> str:
    offered = federation.kubectl("hub").get("participant", "site-b", "-n", "site-b")["status"]["site"]["datasets"]
    return next(str(each["columnsDigest"]) for each in offered if each["name"] == CHANGING)


def test_a_hospital_refuses_an_image_that_it_does_not_allow(federation: Federation) -> None:
    other = federation.images.trainer.reference.split("@")[0] + "@sha256:" + "1" * 64
    made = round_(federation, "image", "Train", initial={}, image=other)
    _refused_on_both_sides(federation, made, "ImageNotAllowed")


@pytest.mark.parametrize(
    ("name", "words"),
    [("code", ["python", "-c", "print(open('/wardround/data/train.parquet', 'rb').read())"]), ("prefix", TRAINER[:-1])],
)
def test_a_hospital_refuses_a_command_that_it_does_not_list(
    federation: Federation, name: str, words: list[str]
) -> None:
    """The image is allowed."""
    made = round_(federation, f"command-{name}", "Train", initial={}, command=words)
    message = _refused_on_both_sides(federation, made, "CommandNotAllowed")
    assert json.dumps(words) in message


@pytest.mark.parametrize(
    ("name", "given", "message_part"),
    [
        # The gradient of one row reveals the row.
        (
            "one-step",
            {"model": "logistic", "steps": "1", "batchSize": "1"},
            f'"batchSize": "1", which is below the minimum "16"; "steps": "1", which is below the minimum "{STEPS}"',
        ),
        ("misspelt", {"learnigRate": "0.1"}, '"learnigRate": "0.1", which is not listed'),
    ],
)
def test_a_hospital_refuses_parameters_that_it_does_not_allow(
    federation: Federation, name: str, given: dict[str, str], message_part: str
) -> None:
    made = round_(federation, f"parameters-{name}", "Train", initial={}, parameters=given)
    text = _refused_on_both_sides(federation, made, "ParametersNotAllowed")
    assert message_part in text
    # The round's author gets the parameter's name and value, and the hospital's bound.
    message = federation.finished(made["metadata"]["name"]).attention("site-b")["message"]
    refused = json.loads(message_part.partition(":")[0])
    assert f'The parameter is {refused}. The round gives it the value "{given[refused]}". ' in message
    assert ("The hospital allows: minimum 16." in message) is (refused == "batchSize")


def test_a_hospital_refuses_a_dataset_to_an_unlisted_federation(federation: Federation, lacking: str) -> None:
    """The federation may use another Dataset there. The hub names the hospital and the Dataset."""
    theirs = dataclasses.replace(federation, namespace=demo_rounds.NAMESPACE)
    federation.kubectl("hub").apply(*demo_rounds.documents("federation.yaml"), data_schema(theirs.namespace))
    made = round_(theirs, "reserved", datasetName=lacking)
    message = _refused_on_both_sides(theirs, made, "DatasetNotAllowed")
    assert json.dumps({"name": lacking, "federations": [federation.namespace, theirs.namespace]}) in message
    explanation = theirs.finished(made["metadata"]["name"]).attention("site-b")["message"]
    assert f"does not let federation {theirs.namespace} use Dataset {lacking}" in explanation


def _refused_on_both_sides(federation: Federation, made: dict[str, Any], reason: str) -> str:
    """Applies a round that site-b must refuse without making a Job. Returns the message for site-b's own people."""
    federation.apply(made)
    finished = federation.finished(made["metadata"]["name"])
    assert finished.attention("site-b")["reason"] == reason
    [task] = finished.tasks
    name = task["metadata"]["name"]
    own = federation.site_task("site-b", name)
    for side in (task, own):
        assert (failed := condition(side, "Failed")) is not None
        assert (failed.status, failed.reason) == ("True", reason)
        assert (accepted := condition(side, "Accepted")) is not None
        assert (accepted.status, accepted.reason) == ("False", reason)
    job = ("get", "job", name, "-n", federation.site_namespace, "--ignore-not-found", "-o", "name")
    assert not federation.kubectl("site-b")(*job)
    return str(own["status"]["failure"]["message"])


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("unknown", {"participants": {"names": ["site-z"]}}, "ParticipantUnknown"),
        ("no-dataset", {"datasetName": "nowhere"}, "DatasetUnknown"),
    ],
)
def test_a_waiting_round_names_the_hospital_that_it_waits_for(
    federation: Federation, name: str, spec: dict[str, Any], reason: str
) -> None:
    _says(federation, round_(federation, name, **spec), reason)


@pytest.fixture(scope="module")
def elsewhere(federation: Federation) -> str:
    """Namespace of a federation that no hospital allows."""
    stranger = demo_rounds.documents("federation.yaml")
    stranger[0]["metadata"]["name"] = ELSEWHERE
    federation.kubectl("hub").apply(*stranger, data_schema(ELSEWHERE))
    return ELSEWHERE


def test_a_federation_gets_nothing_from_a_hospital_that_does_not_allow_it(
    federation: Federation, elsewhere: str
) -> None:
    made = round_(federation, "stranger")
    made["metadata"]["namespace"] = elsewhere
    _says(federation, made, "FederationNotAllowed")


@pytest.mark.parametrize(
    ("change", "message_part"),
    [
        ({"quorum": {"min": 2}}, "quorum.min is above the number"),
        ({"image": "localhost/wardround/trainer:latest"}, "by digest"),
        ({"quorom": {"min": 1}}, "unknown field"),
    ],
)
def test_an_impossible_round_is_refused_when_it_is_applied(
    federation: Federation, change: dict[str, Any], message_part: str
) -> None:
    made = copy.deepcopy(round_(federation, "never", "Train", initial={}))
    made["spec"] |= change
    hub = federation.kubectl("hub")
    refused = hub.run("apply", "-f", "-", stdin=str_of(made), check=False)
    assert refused.returncode != 0
    assert message_part in refused.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_the_hospital_refuses_forbidden_output_of_training_code(
    federation: Federation, broken: dict[str, str], name: str
) -> None:
    finished, (reason, _) = federation.finished(broken[name]), BROKEN[name]
    [task] = finished.tasks  # once: the same code would do the same again
    site = task["metadata"]["namespace"]
    assert finished.failed.message
    assert finished.attention(site)["reason"] == reason
    assert task["status"]["failure"]["class"] == "Code"
    own = federation.site_task(site, task["metadata"]["name"])
    assert own["status"]["failure"]["reason"] == reason
    assert own["status"]["failure"]["message"]


def test_a_failed_foreign_or_missing_base_has_its_reason(
    federation: Federation, broken: dict[str, str], base: str, elsewhere: str
) -> None:
    federation.finished(broken["a-crash"])
    _says(federation, _from(federation, "of-failed", broken["a-crash"]), "BaseFailed")
    _says(federation, _from(federation, "of-nothing", "never-made"), "BaseNotFound")
    federation.completed(base)
    made = _from(federation, "of-elsewhere", base)
    made["metadata"]["namespace"] = elsewhere
    _says(federation, made, "BaseNotFound")


def str_of(made: dict[str, Any]) -> str:
    return demo_rounds.text([made])


def _from(federation: Federation, name: str, base: str) -> dict[str, Any]:
    return round_(federation, name, "Train", base={"roundName": base})


def _says(federation: Federation, made: dict[str, Any], reason: str) -> None:
    """Applies a round, checks that its status has the reason and a message, and deletes it."""
    hub, where = federation.kubectl("hub"), ("-n", made["metadata"]["namespace"])
    federation.apply(made)
    try:
        _eventually_says(federation, made, reason)
    finally:
        hub("delete", "federatedround", made["metadata"]["name"], *where)


def _eventually_says(federation: Federation, made: dict[str, Any], reason: str) -> None:
    meta = made["metadata"]

    def explained() -> bool:
        item = federation.kubectl("hub").get("federatedround", meta["name"], "-n", meta["namespace"])
        conditions = [condition(item, kind) for kind in ("Stalled", "Failed")]
        return any(each and each.status == "True" and each.reason == reason and each.message for each in conditions)

    eventually(f"{meta['name']} says {reason}", explained)
