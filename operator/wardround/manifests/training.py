"""Builds the Job of one training pod (docs/contracts.md, section 6); knows nothing of clusters, keys or policy.

The shape is what the site chart's ValidatingAdmissionPolicy admits and nothing else: a change here shows as a diff in
`tests/unit/golden/` and has to be made in the policy as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.api import dataset_text, names, parameters_text, schema_text, sitetask
from wardround.api.site import AllowedParameter, LinkLocal
from wardround.manifests import pod
from wardround.manifests.closed import (
    OUR_COMMAND,
    SMALL,
    Owner,
    Workload,
    closed_pod,
    isolation_variables,
    job_metadata,
    launched_in,
    one_pod,
    pod_labels,
    sidecar,
)
from wardround.manifests.pod import Manifest
from wardround.wire import codec, mounts
from wardround.wire.isolation import IsolationTarget
from wardround.wire.layouts import Rows
from wardround.wire.mounts import LAUNCHER_FOLDER, Container, Mount, Places
from wardround.wire.training import (
    DATASET_TEXT,
    MAX_LEFT_OUT,
    MIN_CELL,
    MIN_SAMPLES,
    SCHEMA_TEXT,
    RequestedTask,
    TaskKind,
)

# Whose log and shell kubectl takes where nobody says which: the one container that people ask for.
SHOWN = {"kubectl.kubernetes.io/default-container": "train"}
# Larger than what `check` accepts, so that a file too large is named by `check` and not by an eviction.
OUT_LIMIT = "16Gi"
# How many threads OpenMP (torch), OpenBLAS (numpy) and MKL compute with. Each library reads its variable as it starts.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class ReferenceModel:
    """A model with which an evaluation compares its own: the image and the command that made it, and its state."""

    image: str
    command: Sequence[str]
    state_round: str


@dataclass(frozen=True)
class TrainingJob:
    """All that a SiteTask's Job depends on. `request` is WARDROUND_TASK, `command` the trainer's without its verb.

    `rows`: of Evaluate, the side of the split that is evaluated. `references`: with which models it compares its own.
    `dataset`, `schema`: the specs of the Dataset and of its DataSchema as they stand in the API: the admission policies
    compare with them what `prepare` is told.
    `split_fingerprint`: of the key of the Dataset's split, "" if it is not known.
    `tells`: whether a result may tell this hospital's own numbers.
    `parameters`: what the Site allows, with which `prepare` compares the round's. `state_round`: UID of the round whose
    state is read, "" for none. `local_sockets`: the round's code may open sockets of IP, and what then keeps it from
    reaching anything is the cluster's network alone. `isolation_seconds`: how long the gate waits for an answer.
    `link_local`: what it does where neighbours answer over IPv6 link-local.
    """

    namespace: str
    name: str
    uid: str
    round_uid: str
    round_name: str
    participant: str
    attempt: int
    task: TaskKind
    rows: Rows
    initial: bool
    state_round: str
    operator_image: str
    trainer_image: str
    command: Sequence[str]
    references: Sequence[ReferenceModel]
    request: RequestedTask
    isolation: Sequence[IsolationTarget]
    isolation_seconds: float
    link_local: LinkLocal
    dataset_name: str
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]
    split_fingerprint: str
    min_samples: int
    min_cell: int
    max_left_out: str
    max_evaluations: int
    tells: bool
    parameters: Sequence[AllowedParameter]
    train_seconds: int
    accelerators: int
    local_sockets: bool
    workload: Workload


def build(job: TrainingJob) -> Manifest:
    """The Job. It is created once and never applied again, so that Kueue may own `suspend`."""
    owner = Owner(sitetask.KIND, job.name, job.uid)
    compared = {names.DATASET: job.dataset_name, names.SCHEMA: job.dataset["schemaName"]}
    labels = pod_labels(job.uid) | names.task_labels(job.round_name, job.round_uid, job.participant, job.attempt)
    metadata = job_metadata(job.name, job.namespace, owner, labels, job.workload, compared)
    template = {"metadata": {"labels": labels, "annotations": dict(SHOWN)}, "spec": _pod(job)}
    return one_pod(metadata, template)


def _pod(job: TrainingJob) -> Manifest:
    workload = job.workload
    steps = [_prepare(job), _isolation(job)]
    if job.initial:
        steps.append(_theirs(job, "init", "init", accelerators=0))
    steps.append(_train(job))
    for name, each in zip(mounts.REFERENCES, job.references, strict=False):
        steps.append(
            _theirs(job, name, "predict", accelerators=job.accelerators, image=each.image, command=each.command)
        )
    return closed_pod(workload, _volumes(job), job.train_seconds) | {
        "initContainers": steps,
        "containers": [_check(job)],
    }


def _prepare(job: TrainingJob) -> Manifest:
    return _ours(
        job,
        "prepare",
        "prepare",
        env=[
            pod.variable("WARDROUND_TASK", codec.write_document(job.request).decode()),
            pod.variable("WARDROUND_DATASET_NAME", job.dataset_name),
            pod.variable(DATASET_TEXT, dataset_text.dump(job.dataset)),
            pod.variable(SCHEMA_TEXT, schema_text.dump(job.schema)),
            pod.variable("WARDROUND_SPLIT_FINGERPRINT", job.split_fingerprint or "none"),
            pod.variable("WARDROUND_KIND", job.task),
            pod.variable("WARDROUND_ROWS", job.rows),
            pod.variable(MIN_SAMPLES, str(job.min_samples)),
            pod.variable(MIN_CELL, str(job.min_cell)),
            pod.variable(MAX_LEFT_OUT, job.max_left_out),
            pod.variable("WARDROUND_MAX_EVALUATIONS", str(job.max_evaluations)),
            pod.variable("WARDROUND_TELL_OWN_METRICS", "true" if job.tells else "false"),
            pod.variable("WARDROUND_ALLOWED_PARAMETERS", parameters_text.dump(job.parameters)),
            *_isolation_env(job),
        ],
    )


def _isolation(job: TrainingJob) -> Manifest:
    return sidecar(_ours(job, "isolation", "isolation"), _isolation_env(job))


def _train(job: TrainingJob) -> Manifest:
    if job.task == "Statistics":
        return _ours(job, "train", "statistics", launched=True)
    return _theirs(job, "train", "predict" if job.task == "Evaluate" else "train", accelerators=job.accelerators)


def _check(job: TrainingJob) -> Manifest:
    return _ours(job, "check", "score" if job.task == "Evaluate" else "check", launched=True)


def _ours(
    job: TrainingJob,
    name: Container,
    verb: str,
    *,
    env: list[Manifest] | None = None,
    launched: bool = False,
) -> Manifest:
    """`launched`: it reads what others wrote, and needs no network to find that none is there."""
    command = [*(_launch(job) if launched else []), *OUR_COMMAND, verb]
    resources = pod.unswapped(SMALL, job.workload.limits)
    container = _container(job, name, job.operator_image, command, resources)
    if env:
        container["env"] = env
    return container


def _theirs(
    job: TrainingJob, name: Container, verb: str, accelerators: int, *, image: str = "", command: Sequence[str] = ()
) -> Manifest:
    """`image`, `command`: the round's, unless they are given."""
    flags = ["--local-sockets"] if job.local_sockets else []
    limits = dict(job.workload.limits)
    if accelerators:
        limits[job.workload.accelerator_resource] = str(accelerators)
    resources = {"requests": dict(limits), "limits": limits}
    words = [*_launch(job, *flags), *(command or job.command), verb]
    container = _container(job, name, image or job.trainer_image, words, resources)
    container["env"] = [pod.variable(each, str(job.request.threads)) for each in THREADS]
    return container


def _container(job: TrainingJob, name: Container, image: str, command: list[str], resources: Manifest) -> Manifest:
    references = len(job.references)
    table = mounts.container_mounts(name, job.task, initial=job.initial, references=references)
    lines = [_mount(job, each) for each in table]
    return pod.container(name, image, lines, resources) | {"imagePullPolicy": "IfNotPresent", "command": command}


def _volumes(job: TrainingJob) -> list[Manifest]:
    volumes = [
        # Read-only as a volume too: else the kubelet would change the group of the hospital's files to fsGroup.
        pod.claim("dataset", job.dataset["claimName"], read_only=True),
        pod.empty("memory", job.workload.limits.get("memory", "2Gi"), in_memory=True),
        pod.empty("out", OUT_LIMIT),
        pod.empty("scratch", OUT_LIMIT),
        pod.claim("workspace", job.workload.workspace_claim),
        pod.claim("state", job.workload.state_claim),
    ]
    if job.initial:
        volumes.insert(2, pod.empty("initial", OUT_LIMIT))
    return [*volumes, *(pod.empty(name, OUT_LIMIT) for name in mounts.REFERENCES[: len(job.references)])]


def _places(job: TrainingJob) -> Places:
    return Places(job.uid, job.round_uid, job.state_round, tuple(each.state_round for each in job.references))


def _mount(job: TrainingJob, mount: Mount) -> Manifest:
    places = _places(job)
    path, sub_path = places.fill(mount.path), places.fill(mount.sub_path)
    return pod.mount(mount.volume, path, sub_path=sub_path, read_only=mount.mode == "ro")


def _launch(job: TrainingJob, *flags: str) -> list[str]:
    """The launcher before a command. `prepare` brings it to the others, and asks the network itself."""
    return launched_in(_places(job).fill(LAUNCHER_FOLDER), *flags)


def _isolation_env(job: TrainingJob) -> list[Manifest]:
    # Without the launcher's filter, an open link is a way out.
    return isolation_variables(job.isolation, job.isolation_seconds, "Refuse" if job.local_sockets else job.link_local)
