"""Changes of the admitted Job that only reads a Dataset, which the site chart's policies must refuse."""

from __future__ import annotations

from typing import Any

from tests.integration.api.attack import (
    CELL,
    CHECKPOINTS,
    CLAIMS,
    COMMAND,
    ENVIRONMENT,
    FEWER,
    FEWER_BEHIND,
    FEWEST,
    IGNORES,
    KIND,
    LIMITS,
    LINK_LOCAL,
    MARKS,
    MOST_LEFT_OUT,
    MOUNTS,
    OTHER,
    OUR_IMAGE,
    OWNER,
    STATES,
    TASK,
    UPDATE,
    VOLUMES,
    Attack,
    limited,
)
from tests.integration.api.jobs import (
    GONE,
    Change,
    claim,
    container,
    labels,
    metadata,
    mount,
    pod,
    sets,
    template,
    variable,
)
from tests.integration.api.objects import TRAINER, training_job

Object = dict[str, Any]
MEMORY = {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
WORKSPACE = {"name": "workspace", "persistentVolumeClaim": {"claimName": "workspace"}}
HARMLESS = {"name": "WARDROUND_MIN_CELL", "value": "11"}


def brings_the_trainer(job: Object) -> None:
    pod(job)["initContainers"] = [container("train")(training_job()) | {"image": TRAINER, "volumeMounts": []}]


def brings_a_container(job: Object) -> None:
    pod(job)["containers"].append(container("prepare")(job) | {"name": "check"})


def trains_with(variable_name: str) -> Change:
    """The pod of a round, whose `prepare` is told that it only reads."""

    def change(job: Object) -> None:
        variable(variable_name)(job)["value"] = "Read"

    return change


def brings(item: Object) -> Change:
    def change(job: Object) -> None:
        pod(job)["volumes"].append(item)

    return change


def mounts(item: Object) -> Change:
    def change(job: Object) -> None:
        container("prepare")(job)["volumeMounts"].append(item)

    return change


def leaves_an_update(job: Object) -> None:
    brings(WORKSPACE)(job)
    mounts(UPDATE)(job)


def is_owned_by(**changes: str) -> Change:
    def change(job: Object) -> None:
        [owner] = job["metadata"]["ownerReferences"]
        owner.update(changes)

    return change


def _case(name: str, words: str, change: Change, case: str = "read") -> Attack:
    return Attack(f"a reading: {name}", words, change, case)


# Attacks on the pod of the Job. The policy refuses each of them from every account.
POD = [
    # Several policies refuse these, and any of them may answer.
    _case("brings the trainer", "ValidatingAdmissionPolicy", brings_the_trainer),
    _case("brings a second container", "ValidatingAdmissionPolicy", brings_a_container),
    _case("runs the code of researchers", OUR_IMAGE, sets(container("prepare"), {"image": TRAINER})),
    _case("runs another image", OUR_IMAGE, sets(container("prepare"), {"image": OTHER})),
    _case(
        "runs another command", COMMAND, sets(container("prepare"), {"command": ["python", "-c", "import wardround"]})
    ),
    _case(
        "runs another verb",
        COMMAND,
        sets(container("prepare"), {"command": ["python", "-m", "wardround", "statistics"]}),
    ),
    *(
        _case(f"says that it does {kind}", KIND, sets(variable("WARDROUND_KIND"), {"value": kind}))
        for kind in ("Train", "Statistics", "Evaluate")
    ),
    *(
        _case(f"reads in the pod of {case}", KIND, trains_with("WARDROUND_KIND"), case)
        for case in ("train", "evaluate", "statistics")
    ),
    _case("counts fewer patients", FEWEST, sets(variable("WARDROUND_MIN_SAMPLES"), FEWER)),
    _case("tells of fewer patients", CELL, sets(variable("WARDROUND_MIN_CELL"), FEWER_BEHIND)),
    _case("leaves out more", MOST_LEFT_OUT, sets(variable("WARDROUND_MAX_LEFT_OUT"), {"value": "0.5"})),
    _case("hears open links and goes on", LINK_LOCAL, sets(variable("WARDROUND_LINK_LOCAL"), IGNORES)),
    _case("has a variable of the hub", ENVIRONMENT, sets(variable("WARDROUND_LINK_LOCAL"), {"name": "PYTHONPATH"})),
    _case("writes a view", VOLUMES, brings(MEMORY)),
    _case("has the workspace", VOLUMES, brings(WORKSPACE)),
    _case("has the models", VOLUMES, brings({**WORKSPACE, "persistentVolumeClaim": {"claimName": "models"}})),
    _case("writes models in the place of the state", CLAIMS, sets(claim("state"), {"claimName": "models"})),
    _case("sees checkpoints", MOUNTS, mounts(CHECKPOINTS)),
    _case("sees states", MOUNTS, mounts(STATES)),
    _case("leaves an update", VOLUMES, leaves_an_update),
    _case("sees the whole claim state", MOUNTS, sets(mount("prepare", "secrets"), {"subPath": GONE})),
    _case("writes the raw data", MOUNTS, sets(mount("prepare", "raw"), {"readOnly": GONE})),
    _case("may write the volume of the data", CLAIMS, sets(claim("dataset"), {"readOnly": GONE})),
    _case("takes the claim state for the data", CLAIMS, sets(claim("dataset"), {"claimName": "state"})),
    _case("takes the data for the claim state", CLAIMS, sets(claim("state"), {"claimName": "breast-data"})),
    _case("has no limits", LIMITS, limited("prepare", None)),
    _case("is of no Dataset", TASK, sets(labels, {"wardround.io/task-uid": GONE})),
]
# Attacks on the Job alone.
JOB = [
    _case("is of another Dataset", OWNER, is_owned_by(uid="00000000-0000-0000-0000-000000000000")),
    _case("is of a task", OWNER, is_owned_by(kind="SiteTask")),
    _case("is of nobody", OWNER, sets(metadata, {"ownerReferences": GONE})),
    _case("a round is of a Dataset", OWNER, is_owned_by(kind="Dataset"), "train"),
    _case("marks its pods", MARKS, sets(template, {"annotations": {"wardround.io/read": "x"}})),
]
READ_ATTACKS = {each.name: each for each in POD}
READ_JOB_ATTACKS = {each.name: each for each in JOB}
