"""Builds the containers of a Prediction whose model has code of its own: it sees features alone, and mounts no claim.

`view` reads rows and model, the code predicts behind the launcher, and `merge` writes the answer. The mounts are the
table of wardround.wire.prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

from wardround.api import parameters_text, variable_text
from wardround.api.prediction import Code
from wardround.manifests import pod
from wardround.manifests.closed import OUR_COMMAND, SMALL, Workload, launched_in, sidecar
from wardround.manifests.pod import Manifest
from wardround.manifests.prediction_job import PredictionJob
from wardround.manifests.training import OUT_LIMIT, THREADS
from wardround.wire import mounts
from wardround.wire import prediction as wire
from wardround.wire.prediction import Container

# The verb of the container that runs the model's code.
VERB = "predict"


def volumes(workload: Workload) -> list[Manifest]:
    """The volumes beside the claims. They go with the pod."""
    return [
        pod.empty("memory", workload.limits.get("memory", "2Gi"), in_memory=True),
        *(pod.empty(name, OUT_LIMIT) for name in ("base", "out", "scratch")),
    ]


def containers(
    job: PredictionJob, code: Code, asked: Sequence[Manifest], isolation: Sequence[Manifest]
) -> dict[str, list[Manifest]]:
    """Init containers, and the last container. `asked`: variables that say the Prediction. `isolation`: of the gate."""
    launch = launched_in(mounts.LAUNCHER_FOLDER.format(task_uid=job.uid))
    named = [
        pod.variable(wire.IMAGE, code.image),
        pod.variable(wire.COMMAND, command_text(code.command)),
        pod.variable(wire.PARAMETERS, parameters_text.dump(job.parameters)),
        pod.variable(wire.PARTICIPANT, job.participant),
    ]
    view = _ours(job, "view", [*OUR_COMMAND, "prediction", "view"], [*asked, *named, *isolation])
    watch = sidecar(_ours(job, "isolation", [*OUR_COMMAND, "isolation"], []), isolation)
    merged = [each for each in asked if each["name"] in (wire.UID, wire.ANSWER_PATH)]
    merge = _ours(job, "merge", [*launch, *OUR_COMMAND, "merge"], merged)
    return {"initContainers": [view, watch, _model(job, code, launch)], "containers": [merge]}


def command_text(command: Sequence[str]) -> str:
    """The command in a variable of `view`. The admission policy writes the same text."""
    return variable_text.members({"words": variable_text.quoted_items}, {"words": command})


def _model(job: PredictionJob, code: Code, launch: Sequence[str]) -> Manifest:
    limits = dict(job.workload.limits)
    words = [*launch, *code.command, VERB]
    container = _container("model", job.uid, code.image, words, {"requests": dict(limits), "limits": limits})
    return container | {"env": [pod.variable(each, "1") for each in THREADS]}


def _ours(job: PredictionJob, name: Container, command: list[str], variables: list[Manifest]) -> Manifest:
    resources = pod.unswapped(SMALL, job.workload.limits)
    return _container(name, job.uid, job.operator_image, command, resources) | {"env": variables}


def _container(name: Container, uid: str, image: str, command: list[str], resources: Manifest) -> Manifest:
    lines = [
        pod.mount(each.volume, each.path.format(task_uid=uid), sub_path=each.sub_path, read_only=each.mode == "ro")
        for each in wire.TABLE[name]
    ]
    return pod.container(name, image, lines, resources) | {"imagePullPolicy": "IfNotPresent", "command": command}
