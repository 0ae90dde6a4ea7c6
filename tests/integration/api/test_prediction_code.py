"""The code of a model sees features alone: the site admits one shape of pod for a Prediction that names code.

Each attack changes one thing. Jobs are made with the site operator's own account and rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.admission import refusal
from tests.integration.api.apiserver import Api, until
from tests.integration.api.attack import (
    COMMAND,
    ENVIRONMENT,
    LIMITS,
    MOUNTS,
    OTHER,
    OUR_IMAGE,
    SIDECAR,
    VOLUMES,
    Attack,
    limited,
)
from tests.integration.api.jobs import (
    GONE,
    Change,
    adds,
    claim,
    container,
    launcher,
    mount,
    pod,
    sets,
    variable,
    volume,
)
from tests.integration.api.objects import (
    OURS,
    TRAINER,
    data_schema,
    dataset,
    pod_of,
    prediction,
    prediction_job,
    training_job,
)
from tests.integration.api.test_predictions import JOBS, NAMESPACE, NOBODYS, OPERATOR

Object = dict[str, Any]
CODE = {"image": TRAINER, "command": ["python", "-m", "wardround_trainer"]}
NAME = "by-code"
LISTED = "has to follow, word for word, and then one verb"
OF_PREDICTION = "The environment of view or merge differs from Prediction by-code"
OF_CODE = "has to run exactly the code of Prediction by-code"
SAME_CODE = "have to be the image of model, and its command"
ANY = "ValidatingAdmissionPolicy"


def coded_job(uid: str) -> Object:
    job = prediction_job(uid, golden="prediction-code")
    job["metadata"]["labels"]["wardround.io/prediction"] = NAME
    job["metadata"]["ownerReferences"][0]["name"] = NAME
    return job


@pytest.fixture(scope="module", autouse=True)
def asked(api: Api) -> Iterator[Object]:
    """A Prediction with code that a person has made, and the objects that it needs."""
    api.create(dataset(NAMESPACE))
    api.create(data_schema(NAMESPACE))
    made = api.create(prediction(name=NAME, code=CODE))
    until("its Job is admitted", lambda: refusal(api, coded_job(made["metadata"]["uid"]), OPERATOR) == "")
    yield made
    api.delete("Prediction", NAME, NAMESPACE)
    api.delete("Dataset", "breast", NAMESPACE)
    api.delete("DataSchema", "breast-v1", NAMESPACE)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ({**CODE, "image": OTHER}, "policy.images of the site chart does not list"),
        ({**CODE, "command": ["sh", "-c", "cat /wardround/raw/*"]}, "policy.commands of the site chart does not list"),
        ({**CODE, "image": "registry.example/own:latest"}, "spec.code.image"),
        ({**CODE, "command": []}, "spec.code.command"),
    ],
)
def test_a_prediction_names_listed_code_alone(api: Api, code: Object, words: str) -> None:
    assert words in refusal(api, prediction(name="another", code=code))


def test_the_policy_admits_the_job_and_its_pod(api: Api, asked: Object) -> None:
    job = coded_job(asked["metadata"]["uid"])
    assert refusal(api, job, OPERATOR) == ""
    assert refusal(api, pod_of(job), JOBS) == ""


def mounts_too(name: str, volume_name: str, path: str, **fields: Any) -> Change:
    return adds(container(name), "volumeMounts", {"name": volume_name, "mountPath": path, **fields})


def says(name: str, value: str, container_name: str = "view") -> Change:
    return sets(variable(name, container_name), {"value": value})


def tells(name: str, value: str, container_name: str) -> Change:
    return adds(container(container_name), "env", {"name": name, "value": value})


def runs(name: str, *command: str) -> Change:
    return sets(container(name), {"command": list(command)})


def unlaunched(job: Object) -> None:
    code = container("model")(job)
    code["command"] = code["command"][2:]


def keeps_its_sockets(job: Object) -> None:
    container("model")(job)["command"].insert(1, "--local-sockets")


def trains(job: Object) -> None:
    container("model")(job)["command"][-1] = "train"


def unwatched(job: Object) -> None:
    pod(job)["initContainers"] = [each for each in pod(job)["initContainers"] if each["name"] != "isolation"]


def before_the_gate(job: Object) -> None:
    steps = pod(job)["initContainers"]
    steps.insert(0, steps.pop())


def brings_the_workspace(job: Object) -> None:
    pod(job)["volumes"].append({"name": "workspace", "persistentVolumeClaim": {"claimName": "workspace"}})
    mounts_too("model", "workspace", "/wardround/update")(job)


def brings_the_keys(job: Object) -> None:
    pod(job)["volumes"].append({"name": "keys", "secret": {"secretName": "courier-keys"}})


POD = (
    Attack("the code mounts the rows", MOUNTS, mounts_too("model", "rows", "/wardround/raw", readOnly=True)),
    Attack("the code mounts the answers", MOUNTS, mounts_too("model", "answers", "/wardround/answers")),
    Attack("the code reads the answers", MOUNTS, mounts_too("model", "answers", "/wardround/answers", readOnly=True)),
    Attack("the code writes the models", MOUNTS, mounts_too("model", "models", "/wardround/models")),
    Attack("the code reads all models", MOUNTS, mounts_too("model", "models", "/wardround/models", readOnly=True)),
    Attack("the code reads identifiers", MOUNTS, mounts_too("model", "memory", "/x", subPath="private", readOnly=True)),
    Attack("the code has the whole memory", MOUNTS, sets(mount("model", "data"), {"subPath": GONE})),
    Attack("the code writes its view", MOUNTS, sets(mount("model", "data"), {"readOnly": GONE})),
    Attack("the code writes its model", MOUNTS, sets(mount("model", "base"), {"readOnly": GONE})),
    Attack("the code writes the launcher", MOUNTS, sets(launcher("model"), {"readOnly": GONE})),
    Attack("the answer's container sees rows", MOUNTS, mounts_too("merge", "rows", "/wardround/raw", readOnly=True)),
    Attack("the rows' container sees answers", MOUNTS, mounts_too("view", "answers", "/wardround/answers")),
    Attack("the view writes the models", MOUNTS, sets(mount("view", "models"), {"readOnly": GONE})),
    Attack("the view writes the rows", MOUNTS, sets(mount("view", "raw"), {"readOnly": GONE})),
    Attack("merge writes what the code wrote", MOUNTS, sets(mount("merge", "out"), {"readOnly": GONE})),
    Attack("the claim of models can be written", "readOnly", sets(claim("models"), {"readOnly": GONE})),
    Attack("the claim of rows can be written", "readOnly", sets(claim("rows"), {"readOnly": GONE})),
    Attack(
        "the view lies on a disk", "needs medium Memory", sets(volume("memory"), {"emptyDir": {"sizeLimit": "2Gi"}})
    ),
    Attack("has the workspace", VOLUMES, brings_the_workspace),
    Attack("has keys", VOLUMES, brings_the_keys),
    Attack("has no launcher", LISTED, unlaunched),
    Attack("keeps sockets", LISTED, keeps_its_sockets),
    Attack("trains", LISTED, trains),
    Attack("runs a shell", LISTED, runs("model", "sh", "-c", "true")),
    Attack("runs an unlisted image", "may run only an image", sets(container("model"), {"image": OTHER})),
    Attack("runs our image as the code", "may run only an image", sets(container("model"), {"image": OURS})),
    Attack("runs researchers' code as view", OUR_IMAGE, sets(container("view"), {"image": TRAINER})),
    Attack("runs researchers' code as merge", OUR_IMAGE, sets(container("merge"), {"image": TRAINER})),
    Attack("skips the gate", COMMAND, runs("view", "python", "-m", "wardround", "view")),
    Attack("answers from the view", COMMAND, runs("view", "python", "-m", "wardround", "prediction")),
    Attack("merges with sockets", COMMAND, runs("merge", "python", "-m", "wardround", "merge")),
    Attack("has no sidecar", ANY, unwatched),
    Attack("runs the code before the gate", ANY, before_the_gate),
    Attack("keeps the code running", SIDECAR, sets(container("model"), {"restartPolicy": "Always"})),
    Attack("names another image", SAME_CODE, says("WARDROUND_IMAGE", OTHER)),
    Attack("names another command", SAME_CODE, says("WARDROUND_COMMAND", '{"words":["python","/other.py"]}')),
    Attack("allows other parameters", "policy.parameters", says("WARDROUND_ALLOWED_PARAMETERS", '{"steps":{}}')),
    Attack("is another hospital", "hub.participantNamespace", says("WARDROUND_PARTICIPANT", "site-b")),
    Attack("trusts another hub", "no other hub's model", says("WARDROUND_HUB_FINGERPRINT", "sha256:" + "0" * 64)),
    Attack("tells the code the path", ENVIRONMENT, tells("WARDROUND_ROWS_PATH", "2026/cases.csv", "model")),
    Attack("gives the code a variable", ENVIRONMENT, tells("PYTHONPATH", "/wardround/out", "model")),
    Attack("gives merge a variable", ENVIRONMENT, tells("PYTHONPATH", "/wardround/out", "merge")),
    Attack("has other threads", "have to be 1", says("OMP_NUM_THREADS", "2", "model")),
    Attack("has no limits", LIMITS, limited("model", None)),
    Attack("has a larger disk", "need these sizeLimits", sets(volume("out"), {"emptyDir": {"sizeLimit": "17Gi"}})),
)


def unnamed(job: Object) -> None:
    """The pod of a Prediction without code, in the place of one with code."""
    plain = prediction_job(job["spec"]["template"]["metadata"]["labels"]["wardround.io/task-uid"])
    job["spec"] = plain["spec"]


def other_listed_code(job: Object) -> None:
    """The image of the site chart is listed too. Only the Prediction says which code a person wants."""
    words = container("model")(job)["command"]
    words[2:-1] = ["python", "-m", "other"]
    says("WARDROUND_COMMAND", '{"words":["python","-m","other"]}')(job)


JOB = (
    Attack("another model", OF_PREDICTION, says("WARDROUND_MODEL", "breast")),
    Attack("other rows", OF_PREDICTION, says("WARDROUND_ROWS_PATH", "2025/cases.csv")),
    Attack("another answer", OF_PREDICTION, says("WARDROUND_ANSWER_PATH", "2025/answers.csv", "merge")),
    Attack("another UID", OF_PREDICTION, says("WARDROUND_PREDICTION_UID", NOBODYS, "merge")),
    Attack("other columns", "WARDROUND_DATASET of view differs", says("WARDROUND_DATASET", "{}")),
    Attack("other units", "WARDROUND_SCHEMA of view differs", says("WARDROUND_SCHEMA", "{}")),
    Attack("no code", OF_CODE, unnamed),
    Attack("other code", ANY, other_listed_code),
)


@pytest.mark.parametrize("attack", JOB, ids=lambda each: each.name)
def test_the_policy_refuses_a_job_that_differs_from_its_prediction(api: Api, asked: Object, attack: Attack) -> None:
    job = coded_job(asked["metadata"]["uid"])
    attack.change(job)
    message = refusal(api, job, OPERATOR)
    assert attack.explains(message)


@pytest.mark.parametrize("attack", POD, ids=lambda each: each.name)
def test_the_policy_bounds_a_job_whose_prediction_nobody_made(api: Api, attack: Attack) -> None:
    job = coded_job(NOBODYS)
    assert refusal(api, job, OPERATOR) == ""
    attack.change(job)
    message = refusal(api, job, OPERATOR)
    assert attack.explains(message)


@pytest.mark.parametrize("attack", POD, ids=lambda each: each.name)
def test_the_policy_refuses_another_pod(api: Api, asked: Object, attack: Attack) -> None:
    job = coded_job(asked["metadata"]["uid"])
    attack.change(job)
    assert ANY in refusal(api, pod_of(job), JOBS)


def test_no_code_runs_for_a_prediction_that_names_none(api: Api) -> None:
    made = api.create(prediction(name="plain"))
    try:
        job = coded_job(made["metadata"]["uid"])
        job["metadata"]["labels"]["wardround.io/prediction"] = "plain"
        job["metadata"]["ownerReferences"][0]["name"] = "plain"
        until("the policy knows it", lambda: "and no code if spec.code is absent" in refusal(api, job, OPERATOR))
    finally:
        api.delete("Prediction", "plain", NAMESPACE)


def test_no_training_pod_runs_the_container_of_a_model(api: Api) -> None:
    job = training_job()
    container("train")(job)["name"] = "model"
    assert ANY in refusal(api, job, OPERATOR)
