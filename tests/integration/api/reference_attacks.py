"""Attacks on the admission policies of the training pod: containers that predict with reference models."""

from __future__ import annotations

import json

from tests.integration.api import objects
from tests.integration.api.attack import (
    COMMAND,
    ENVIRONMENT,
    LAUNCH,
    LIMITS,
    LIST,
    LISTED,
    OPENMP,
    OTHER,
    PREDICTS,
    SECOND_WAY,
    SECURITY,
    SHAPE,
    SIDECAR,
    SIZES,
    SOURCES,
    TEST_ROWS,
    THEIR_IMAGE,
    THREADS,
    VOLUMES,
    Attack,
    Object,
    limited,
    skips,
)
from tests.integration.api.jobs import (
    Change,
    adds,
    becomes,
    container,
    inside,
    pod,
    sets,
    variable,
    volume,
)

ONE, TWO = "evaluate-one-reference", "evaluate-two-references"


def renames(name: str, other: str) -> Change:
    """Renames a reference everywhere: its container, its volume and its folders."""

    def change(job: Object) -> None:
        text = json.dumps(pod(job)).replace(name, other)
        job["spec"]["template"]["spec"] = json.loads(text)

    return change


def predicts_in_another_order(job: Object) -> None:
    names = [each["name"] for each in pod(job)["initContainers"]]
    first, last = names.index("reference1"), names.index("reference2")
    containers = pod(job)["initContainers"]
    containers[first], containers[last] = containers[last], containers[first]


def predicts_before_training(job: Object) -> None:
    containers = pod(job)["initContainers"]
    containers.insert(2, containers.pop(3))


def trains_beside(job: Object) -> None:
    """A Train pod with a container that predicts."""
    container("train")(job)["command"][-1] = "train"
    variable("WARDROUND_KIND")(job)["value"] = "Train"
    variable("WARDROUND_ROWS")(job)["value"] = "Validation"


def brings_a_third(job: Object) -> None:
    third = json.loads(json.dumps(container("reference2")(job)).replace("reference2", "reference3"))
    pod(job)["initContainers"].append(third)
    pod(job)["volumes"].append({**volume("reference2")(job), "name": "reference3"})


REFERENCES = [
    Attack("the second reference is there without the first", SHAPE, renames("reference1", "reference2"), ONE),
    Attack("a reference has another name", SHAPE, renames("reference1", "reference9"), ONE),
    Attack("references are in another order", SHAPE, predicts_in_another_order, TWO),
    Attack("a reference predicts before the model", SHAPE, predicts_before_training, ONE),
    Attack("there are three references", SHAPE, brings_a_third, TWO),
    Attack("a training has a reference", SHAPE, trains_beside, ONE),
    *(
        Attack(f"the volume of {name} is there without its container", VOLUMES, skips(name), case)
        for name, case in (("reference1", ONE), ("reference2", TWO))
    ),
    *(
        attack
        for name, case in (("reference1", ONE), ("reference1", TWO), ("reference2", TWO))
        for attack in (
            Attack(f"{name} has an image off the list", THEIR_IMAGE, sets(container(name), {"image": OTHER}), case),
            Attack(f"{name} has a tag", THEIR_IMAGE, sets(container(name), {"image": "trainer:latest"}), case),
            Attack(f"{name} runs our image", THEIR_IMAGE, sets(container(name), {"image": objects.OURS}), case),
            *(
                Attack(f"{name} runs {' '.join(command)}", LISTED, sets(container(name), {"command": command}), case)
                for command in (
                    PREDICTS,
                    [*LAUNCH, *LIST, "train"],
                    [*LAUNCH, *LIST, "init"],
                    [*LAUNCH, *LIST],
                    [*LIST, "predict"],
                    [LAUNCH[0], "--local-sockets", "--", *LIST, "predict"],
                    ["/tmp/launch", "--", *LIST, "predict"],
                )
            ),
            Attack(f"{name} gets arguments", COMMAND, sets(container(name), {"args": ["--help"]}), case),
            Attack(f"{name} goes on", SIDECAR, sets(container(name), {"restartPolicy": "Always"}), case),
            Attack(f"{name} has no limits", LIMITS, limited(name, None), case),
            Attack(f"{name} knows the rows", ENVIRONMENT, adds(container(name), "env", TEST_ROWS), case),
            Attack(f"{name} has threads", THREADS, adds(container(name), "env", {**OPENMP, "value": "1"}), case),
            Attack(
                f"{name} gets a Secret",
                ENVIRONMENT,
                sets(container(name), {"envFrom": [{"secretRef": {"name": "courier-keys"}}]}),
                case,
            ),
            Attack(f"{name} has a workingDir", SECOND_WAY, sets(container(name), {"workingDir": "/tmp"}), case),
            Attack(
                f"{name} is root", SECURITY, sets(inside(container(name), "securityContext"), {"runAsUser": 0}), case
            ),
            Attack(
                f"{name} has a larger volume",
                SIZES,
                sets(inside(volume(name), "emptyDir"), {"sizeLimit": "17Gi"}),
                case,
            ),
            Attack(
                f"{name} has memory as a volume",
                SIZES,
                sets(inside(volume(name), "emptyDir"), {"medium": "Memory"}),
                case,
            ),
            Attack(
                f"{name} has a claim as a volume",
                SOURCES,
                becomes(volume(name), {"name": name, "persistentVolumeClaim": {"claimName": "state"}}),
                case,
            ),
        )
    ),
]
