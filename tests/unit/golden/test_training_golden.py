"""The training Job as the API server sees it. After an intended change: `UPDATE_GOLDEN=1 pytest tests/unit/golden`."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.golden.test_wire_golden import REQUESTED
from wardround.api import variable_text
from wardround.api.prediction import Code, Place, PredictionSpec, UsedModel
from wardround.api.site import AllowedParameter
from wardround.manifests import prediction, reading, training
from wardround.manifests.closed import Workload
from wardround.manifests.prediction_job import PredictionJob
from wardround.manifests.training import ReferenceModel, TrainingJob, build
from wardround.wire import codec, mounts
from wardround.wire.isolation import IsolationTarget
from wardround.wire.training import RequestedReference, RequestedTask

HERE = Path(__file__).parent
OURS = "registry.example/wardround/operator@sha256:" + "a" * 64
TRAINER = "registry.example/wardround/trainer@sha256:" + "b" * 64
# The Dataset and the DataSchema of tests/integration, as the API server fills in defaults.
DATASET: dict[str, Any] = {
    "claimName": "breast-data",
    "schemaName": "breast-v1",
    "path": "cases.csv",
    "format": "CSV",
    "identifier": {"column": "patient_id", "type": "string"},
    "fields": [
        {"name": "mean_radius", "from": "RADIUS", "scale": "10", "offset": "0", "missingValues": ["-1"]},
        {"name": "side", "categories": [{"name": "left", "from": "links"}]},
    ],
    "missingValues": ["", "NA"],
    "split": {"validation": "0.15", "test": "0.2"},
}
SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "mean_radius", "type": "number", "unit": "mm", "minimum": "0", "maximum": "50"},
        {"name": "side", "type": "string", "categories": ["left", "right"], "required": True},
        {"name": "malignant", "type": "integer", "categories": ["0", "1"], "description": "As proven."},
    ],
    "target": "malignant",
}

# What the sites of tests/integration allow.
PARAMETERS = (
    AllowedParameter(name="epochs", minimum="1", maximum="100"),
    AllowedParameter(name="batchSize", minimum="16"),
    AllowedParameter(name="model", enum=("mlp", "logistic")),
    AllowedParameter(name="hidden"),
)

TRAIN = TrainingJob(
    namespace="site-a",
    name="train-1-1a2b3c4d-a1",
    uid="6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11",
    round_uid="0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
    round_name="train-1",
    participant="site-a",
    attempt=1,
    task="Train",
    rows="Validation",
    initial=False,
    state_round="5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21",
    operator_image=OURS,
    trainer_image=TRAINER,
    command=("python", "-m", "wardround_trainer"),
    references=(),
    request=dataclasses.replace(REQUESTED, references=()),
    isolation=(
        IsolationTarget("hub", "203.0.113.10", 6443, "TCP"),
        IsolationTarget("resolver", "10.96.0.10", 53, "UDP"),
    ),
    isolation_seconds=0.25,
    link_local="Warn",
    dataset_name="breast",
    dataset=DATASET,
    schema=SCHEMA,
    split_fingerprint="8ad884a12864",
    min_samples=11,
    min_cell=11,
    max_left_out="0.1",
    max_evaluations=20,
    tells=False,
    parameters=PARAMETERS,
    train_seconds=1800,
    accelerators=0,
    local_sockets=False,
    workload=Workload("workspace", "state", {"cpu": "1", "memory": "2Gi"}, supplemental_groups_policy="Strict"),
)
# Models with which an evaluation compares its own.
REFERENCES = (
    ReferenceModel(
        image=TRAINER,
        command=("python", "-m", "wardround_trainer"),
        state_round="7e1f0a3b-2c4d-4e5f-8a9b-0c1d2e3f4a5b",
    ),
    ReferenceModel(image=TRAINER, command=("python", "-m", "wardround_trainer"), state_round=""),
)


def comparing(references: int) -> TrainingJob:
    asked = tuple(
        RequestedReference(
            base_digest="sha256:" + str(number) * 64,
            image_digest="sha256:" + "b" * 64,
            command=tuple(each.command),
            parameters={"epochs": "3"},
            state_round=each.state_round,
        )
        for number, each in enumerate(REFERENCES[:references])
    )
    request = dataclasses.replace(REQUESTED, references=asked)
    return dataclasses.replace(TRAIN, task="Evaluate", rows="Test", references=REFERENCES[:references], request=request)


CASES = {
    "train": TRAIN,
    "train-initial": dataclasses.replace(TRAIN, initial=True, state_round=""),
    "train-accelerator": dataclasses.replace(
        TRAIN,
        accelerators=1,
        workload=Workload(
            "workspace",
            "state",
            {"cpu": "8", "memory": "32Gi"},
            queue_name="gpu",
            runtime_class="nvidia",
            supplemental_groups_policy="Strict",
            node_selector={"accelerator": "h100"},
            tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
        ),
    ),
    "train-local-sockets": dataclasses.replace(TRAIN, initial=True, state_round="", local_sockets=True),
    "statistics": dataclasses.replace(TRAIN, task="Statistics", trainer_image="", command=(), state_round=""),
    "evaluate": dataclasses.replace(TRAIN, task="Evaluate", rows="Test"),
    "evaluate-one-reference": comparing(1),
    "evaluate-two-references": comparing(2),
}


READ = reading.ReadingJob(
    namespace=TRAIN.namespace,
    dataset_name=TRAIN.dataset_name,
    dataset_uid=TRAIN.uid,
    generation=3,
    schema_digest="sha256:" + "e" * 64,
    request="2026-11-24T12:00:00Z",
    operator_image=OURS,
    isolation=TRAIN.isolation,
    isolation_seconds=TRAIN.isolation_seconds,
    link_local=TRAIN.link_local,
    dataset=DATASET,
    schema=SCHEMA,
    split_fingerprint=TRAIN.split_fingerprint,
    min_samples=TRAIN.min_samples,
    min_cell=TRAIN.min_cell,
    max_left_out=TRAIN.max_left_out,
    workload=TRAIN.workload,
)


def test_the_job_that_only_reads_is_the_one_that_was_reviewed() -> None:
    golden = HERE / "training-read.yaml"
    job = reading.build(READ)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(job, sort_keys=False, width=120))
    assert job == yaml.safe_load(golden.read_text())


PREDICTION = PredictionJob(
    namespace=TRAIN.namespace,
    name="new-cases",
    uid=TRAIN.uid,
    spec=PredictionSpec(
        model=UsedModel(name="heart"),
        dataset_name=TRAIN.dataset_name,
        rows=Place(claim_name="new-cases", path="2026/cases.csv"),
        answer=Place(claim_name="answers", path="2026/answers.csv"),
    ),
    dataset=DATASET,
    schema=SCHEMA,
    models_claim="models",
    hub_fingerprint="sha256:" + "c" * 64,
    participant="site-a",
    parameters=TRAIN.parameters,
    operator_image=OURS,
    isolation=TRAIN.isolation,
    isolation_seconds=TRAIN.isolation_seconds,
    link_local=TRAIN.link_local,
    workload=TRAIN.workload,
)


def test_the_job_of_a_prediction_is_the_one_that_was_reviewed() -> None:
    golden = HERE / "prediction.yaml"
    job = prediction.build(PREDICTION)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(job, sort_keys=False, width=120))
    assert job == yaml.safe_load(golden.read_text())


CODED = dataclasses.replace(
    PREDICTION,
    spec=dataclasses.replace(PREDICTION.spec, code=Code(image=TRAIN.trainer_image, command=tuple(TRAIN.command))),
)


def test_the_job_of_a_prediction_with_the_code_of_its_model_is_the_one_that_was_reviewed() -> None:
    golden = HERE / "prediction-code.yaml"
    job = prediction.build(CODED)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(job, sort_keys=False, width=120))
    assert job == yaml.safe_load(golden.read_text())


def test_the_code_of_a_model_mounts_no_claim_and_has_none_of_the_predictions_variables() -> None:
    spec = prediction.build(CODED)["spec"]["template"]["spec"]
    claims = {each["name"] for each in spec["volumes"] if "persistentVolumeClaim" in each}
    assert claims == {"rows", "models", "answers"}
    [code] = [each for each in spec["initContainers"] if each["image"] != OURS]
    assert code["name"] == "model"
    assert not claims & {each["name"] for each in code["volumeMounts"]}
    assert {each["name"] for each in code["volumeMounts"] if not each.get("readOnly")} == {"out", "scratch"}
    assert {each["name"] for each in code["env"]} == set(training.THREADS)
    # The answer is written by a container that sees no rows, and the rows are read by one that sees no answer.
    [merge] = spec["containers"]
    assert "rows" not in {each["name"] for each in merge["volumeMounts"]}
    [view] = [each for each in spec["initContainers"] if each["name"] == "view"]
    assert "answers" not in {each["name"] for each in view["volumeMounts"]}


def test_a_job_of_a_prediction_waits_in_the_hospitals_queue() -> None:
    queued = prediction.build(dataclasses.replace(PREDICTION, workload=CASES["train-accelerator"].workload))
    assert queued["spec"]["suspend"] is True


def test_a_prediction_writes_onto_the_claim_of_answers_alone() -> None:
    spec = prediction.build(PREDICTION)["spec"]["template"]["spec"]
    writable = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in spec["volumes"]
        if not each["persistentVolumeClaim"].get("readOnly")
    }
    assert writable == {"answers": "answers"}
    [container] = spec["containers"]
    assert [each["name"] for each in container["volumeMounts"] if not each.get("readOnly")] == ["answers"]
    assert container["image"] == OURS


def test_a_job_that_only_reads_waits_in_the_hospitals_queue() -> None:
    queued = reading.build(dataclasses.replace(READ, workload=CASES["train-accelerator"].workload))
    assert queued["spec"]["suspend"] is True
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"


@pytest.mark.parametrize("case", CASES)
def test_the_job_is_the_one_that_was_reviewed(case: str) -> None:
    golden = HERE / f"training-{case}.yaml"
    job = build(CASES[case])
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(job, sort_keys=False, width=120))
    assert job == yaml.safe_load(golden.read_text())


@pytest.mark.parametrize("case", CASES)
def test_only_prepare_mounts_the_raw_dataset_and_only_our_containers_see_the_labels(case: str) -> None:
    spec = build(CASES[case])["spec"]["template"]["spec"]
    sees = {
        container["name"]: {mount["mountPath"] for mount in container["volumeMounts"]}
        for container in spec["initContainers"] + spec["containers"]
    }
    assert [name for name, paths in sees.items() if "/wardround/raw" in paths] == ["prepare"]
    assert [name for name, paths in sees.items() if "/wardround/private" in paths] == ["prepare", "check"]
    assert [name for name, paths in sees.items() if "/wardround/update" in paths] == ["check"]


@pytest.mark.parametrize("case", CASES)
def test_researchers_code_has_no_variables_but_the_rounds_number_of_threads(case: str) -> None:
    spec = build(CASES[case])["spec"]["template"]["spec"]
    variables = {each["name"]: each.get("env", []) for each in spec["initContainers"] + spec["containers"]}
    assert variables.pop("prepare")
    assert variables.pop("isolation")
    threads = [{"name": name, "value": "2"} for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]
    theirs = {"init", "train", *mounts.REFERENCES} if case != "statistics" else set()
    assert variables == {name: threads if name in theirs else [] for name in variables}


@pytest.mark.parametrize(
    ("case", "sees"),
    {
        "train": {
            "/wardround/checkpoint": ("checkpoints/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77", False),
            "/wardround/state/in": ("states/5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21", True),
            "/wardround/state/out": ("states/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77", False),
        },
        "train-initial": {
            "/wardround/checkpoint": ("checkpoints/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77", False),
            "/wardround/state/in": ("states/none", True),
            "/wardround/state/out": ("states/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77", False),
        },
        "evaluate": {"/wardround/state/in": ("states/5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21", True)},
        "statistics": {},
    }.items(),
)
def test_training_alone_leaves_checkpoint_and_state_and_beside_it_prepare_alone_sees_any(
    case: str, sees: dict[str, tuple[str, bool]]
) -> None:
    spec = build(CASES[case])["spec"]["template"]["spec"]
    mounts = {
        container["name"]: {
            mount["mountPath"]: (mount["subPath"], mount.get("readOnly", False))
            for mount in container["volumeMounts"]
            if mount["name"] == "state"
        }
        for container in spec["initContainers"] + spec["containers"]
    }
    assert mounts.pop("train") == sees
    assert mounts.pop("prepare") == {
        "/wardround/checkpoints": ("checkpoints", False),
        "/wardround/states": ("states", False),
        "/wardround/secrets": ("secrets", False),
    }
    assert not any(mounts.values())


def test_kubernetes_reads_no_references_in_what_a_round_or_a_dataset_says() -> None:
    """As the kubelet expands a variable: $$ is a dollar, $(NAME) another variable's value."""
    tricky = "$(WARDROUND_ISOLATION) $$ $$$ $("
    request = dataclasses.replace(REQUESTED, parameters={"code": tricky})
    job = dataclasses.replace(TRAIN, request=request, dataset={**DATASET, "path": tricky})
    [prepare, *_] = build(job)["spec"]["template"]["spec"]["initContainers"]
    variables = {each["name"]: each["value"] for each in prepare["env"]}

    def expanded(name: str) -> str:
        return re.sub(r"\$\$|\$\(\w+\)", lambda match: "$" if match[0] == "$$" else "put in", variables[name])

    assert codec.read_document(RequestedTask, expanded("WARDROUND_TASK")) == request
    assert variable_text.load(expanded("WARDROUND_DATASET"))["path"] == tricky


@pytest.mark.parametrize(("local_sockets", "policy"), [(False, "Warn"), (False, "Refuse"), (True, "Warn")])
def test_an_open_link_is_refused_where_the_site_says_so_or_code_may_use_it(local_sockets: bool, policy: Any) -> None:
    job = build(dataclasses.replace(TRAIN, local_sockets=local_sockets, link_local=policy))
    steps = job["spec"]["template"]["spec"]["initContainers"]
    values = [each["value"] for step in steps for each in step.get("env", ()) if each["name"] == "WARDROUND_LINK_LOCAL"]
    assert values == 2 * ["Refuse" if local_sockets else policy]


def test_an_evicted_pod_is_replaced_and_nothing_else_is_tried_again() -> None:
    spec = build(TRAIN)["spec"]
    assert spec["backoffLimit"] == 0
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["Ignore"]


def test_a_job_with_a_queue_starts_suspended() -> None:
    assert build(CASES["train-accelerator"])["spec"]["suspend"] is True
    assert "suspend" not in build(TRAIN)["spec"]


def test_a_round_name_too_long_for_a_label_is_cut() -> None:
    job = build(dataclasses.replace(TRAIN, round_name="x" * 62 + "-y"))
    assert job["metadata"]["labels"]["wardround.io/round"] == "x" * 62
