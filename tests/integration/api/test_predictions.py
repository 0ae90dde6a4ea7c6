"""Only people ask for predictions, and the site admits one shape of pod for them. Each attack changes one thing.

Jobs are made with the site operator's own account and rights; pods, which it cannot make, as the Job controller.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.api.admission import refusal, until_admitted
from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.attack import (
    COMMAND,
    ENVIRONMENT,
    LIMITS,
    LINK_LOCAL,
    MARKS,
    MOUNTS,
    OTHER,
    OUR_IMAGE,
    OWNER,
    TASK,
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
from tests.integration.api.objects import (
    ROOT,
    TRAINER,
    data_schema,
    dataset,
    pod_of,
    prediction,
    prediction_job,
    site_values,
    training_job,
)
from tests.integration.cluster import Helm

Object = dict[str, Any]
NAMESPACE = "hospital-a"
OPERATOR, COURIER = account(NAMESPACE, "site-operator"), account(NAMESPACE, "courier")
HUB_OPERATOR = account("wardround-hub", "hub-operator")
JOBS = account("kube-system", "job-controller")
PEOPLE = "Only people of this hospital make Predictions"
OF_PREDICTION = "The environment of predict differs from Prediction new-cases"
PREDICTED_CLAIMS = "The volume answers has to be a claim of predictions.answersClaimNames"
HUB = "no other hub's model may answer"
OF_OWNER = "The owner of this Job has to be Prediction new-cases"
NOBODYS = "00000000-0000-4000-8000-000000000001"
LABEL = "needs the label wardround.io/prediction"


def on_claim(name: str) -> Object:
    described = dataset(NAMESPACE, "refused")
    described["spec"]["claimName"] = name
    return described


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            prediction(name="refused", rows={"claimName": "other", "path": "rows.csv"}),
            "A Prediction may read rows only from a claim of predictions.rowsClaimNames",
        ),
        # Two policies refuse the claim of an answer, and any of them may answer.
        (on_claim("workspace"), "The claim workspace is for the workspace, the state or the models"),
    ],
)
def test_a_refusal_of_what_people_apply_begins_with_a_word(
    kubectl: Callable[..., subprocess.CompletedProcess[str]], item: Object, words: str
) -> None:
    """kubectl shows another reason than Forbidden after an empty field: `is invalid: : ValidatingAdmissionPolicy`."""
    refused = kubectl("apply", "-f", "-", stdin=json.dumps(item))
    assert refused.returncode == 1
    assert words in refused.stderr
    assert ": :" not in refused.stderr


@pytest.fixture(scope="module", autouse=True)
def asked(api: Api) -> Iterator[Object]:
    """A Prediction that a person has made, and the objects that it needs."""
    api.create(dataset(NAMESPACE))
    api.create(data_schema(NAMESPACE))
    made = api.create(prediction())
    job = prediction_job(made["metadata"]["uid"])
    until_admitted(api, job, OPERATOR)
    yield made
    api.delete("Prediction", "new-cases", NAMESPACE)
    api.delete("Dataset", "breast", NAMESPACE)
    api.delete("DataSchema", "breast-v1", NAMESPACE)


def until_the_chart_is_back(api: Api, asked: Object) -> None:
    """The API server may apply a changed policy of Jobs or pods later than the policy of Predictions."""
    job = prediction_job(asked["metadata"]["uid"])
    until_admitted(api, job, OPERATOR)
    until_admitted(api, pod_of(job), JOBS)


def asks(**spec: Any) -> Object:
    return prediction(name="another", **spec)


def place(claim_name: str, path: str = "cases.csv") -> Object:
    return {"claimName": claim_name, "path": path}


def test_a_person_asks_for_a_prediction_of_the_current_version(api: Api) -> None:
    made = api.create(asks(), dry_run=True)
    assert made["spec"]["model"] == {"name": "heart", "version": "current"}


@pytest.mark.parametrize("user", [OPERATOR, COURIER, HUB_OPERATOR])
def test_none_of_our_accounts_has_the_right_to_ask(api: Api, user: str) -> None:
    assert "cannot create resource" in refusal(api, asks(), user)


@pytest.mark.parametrize("user", [OPERATOR, COURIER, account("default", "automation")])
def test_no_service_account_may_ask_whatever_its_rights_are(api: Api, user: str) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "too-much", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    api.call("POST", f"{rbac}/namespaces/{NAMESPACE}/rolebindings", binding)
    try:
        until("the right counts", lambda: "cannot create resource" not in refusal(api, asks(), user))
        assert PEOPLE in refusal(api, asks(), user)
    finally:
        api.call("DELETE", f"{rbac}/namespaces/{NAMESPACE}/rolebindings/too-much")


@pytest.mark.parametrize(
    ("spec", "words"),
    {
        "rows of an unlisted claim": ({"rows": place("breast-data")}, "predictions.rowsClaimNames"),
        "an answer onto an unlisted claim": ({"answer": place("elsewhere")}, "predictions.answersClaimNames"),
        "an answer onto the workspace": ({"answer": place("workspace")}, "predictions.answersClaimNames"),
        "an answer onto the state": ({"answer": place("state")}, "predictions.answersClaimNames"),
        "an answer onto the models": ({"answer": place("models")}, "predictions.answersClaimNames"),
        "an answer onto the rows": ({"answer": place("new-cases")}, "have to differ"),
        "a path to the root": ({"rows": place("new-cases", "/etc/passwd")}, "spec.rows.path"),
        "a path upwards": ({"answer": place("answers", "a/../../b")}, "relative to the root of the claim"),
        "an odd version": ({"model": {"name": "heart", "version": "../v1"}}, "spec.model.version"),
        "a model elsewhere": ({"model": {"name": "../heart"}}, "spec.model.name"),
    }.values(),
    ids=str,
)
def test_a_prediction_names_listed_claims_and_files_in_them_alone(api: Api, spec: Object, words: str) -> None:
    assert words in refusal(api, asks(**spec))


def test_no_answer_goes_onto_the_claim_of_a_dataset(api: Api, helm: Helm, asked: Object) -> None:
    """A Dataset had the claim before the chart's list got it. And no Dataset gets a claim of the list."""
    taken = dataset(NAMESPACE, "taken")
    taken["spec"]["claimName"] = "answers"
    assert "so no Dataset may use it" in refusal(api, taken)
    taken["spec"]["claimName"] = "later"
    api.create(taken)
    values = site_values("site-a")
    values["predictions"]["answersClaimNames"] = ["answers", "later"]
    release = ("wardround-site", "site", NAMESPACE)
    helm.install(*release, values, "--force-conflicts")
    try:
        onto = asks(answer=place("later"))
        until("the claim is the Dataset's", lambda: "the claim of Dataset taken" in refusal(api, onto))
        job = prediction_job(asked["metadata"]["uid"])
        claim("answers")(job)["claimName"] = "later"
        assert refusal(api, job, OPERATOR)
        # Of a Prediction that nobody made, which prediction-job cannot compare.
        forged = prediction_job(NOBODYS)
        claim("answers")(forged)["claimName"] = "later"
        until(
            "not its claim",
            lambda: "The claim later has the patient data of Dataset taken" in refusal(api, forged, OPERATOR),
        )
    finally:
        api.delete("Dataset", "taken", NAMESPACE)
        helm.install(*release, site_values("site-a"), "--force-conflicts")
    until("the list is short again", lambda: "Add later" in refusal(api, onto))
    until_the_chart_is_back(api, asked)


def test_no_prediction_reads_the_answer_of_another_one(api: Api, helm: Helm, asked: Object) -> None:
    """An administrator lists the claim of old answers for rows. And no answer goes beside the rows of another one."""
    values = site_values("site-a")
    values["predictions"] = {"rowsClaimNames": ["answers", "more-cases"], "answersClaimNames": ["new-cases", "more"]}
    release = ("wardround-site", "site", NAMESPACE)
    helm.install(*release, values, "--force-conflicts")
    try:
        apart = asks(rows=place("more-cases"), answer=place("more"))
        until("the lists are the new ones", lambda: refusal(api, apart) == "")
        reads = asks(rows=place("answers"), answer=place("more"))
        assert "The claim answers has the answer of Prediction new-cases" in refusal(api, reads)
        assert ": :" not in refusal(api, reads)
        writes = asks(rows=place("more-cases"), answer=place("new-cases"))
        assert "The claim new-cases has the rows of Prediction new-cases" in refusal(api, writes)
    finally:
        helm.install(*release, site_values("site-a"), "--force-conflicts")
    until("the lists are the old ones", lambda: "Add more" in refusal(api, apart))
    until_the_chart_is_back(api, asked)


def test_the_spec_of_a_prediction_is_immutable_and_its_status_is_the_operators(api: Api, asked: Object) -> None:
    with pytest.raises(Refused, match="immutable"):
        api.patch("Prediction", "new-cases", {"spec": {"model": {"version": "v2"}}}, NAMESPACE)
    change = {"conditions": [{**asked["status"]["conditions"][0], "reason": "Predicting"}]}
    with pytest.raises(Refused, match="written by the site operator alone"):
        api.patch_status("Prediction", "new-cases", change, NAMESPACE)


def test_the_policy_admits_the_job_of_a_prediction(api: Api, asked: Object) -> None:
    job = prediction_job(asked["metadata"]["uid"])
    assert refusal(api, job, OPERATOR) == ""
    assert refusal(api, pod_of(job), JOBS) == ""


def runs(*command: str) -> Change:
    return sets(container("predict"), {"command": ["python", "-m", "wardround", *command]})


def says(name: str, value: str) -> Change:
    return sets(variable(name, "predict"), {"value": value})


def brings(item: Object, mounted: Object | None = None) -> Change:
    def change(job: Object) -> None:
        pod(job)["volumes"].append(item)
        if mounted:
            container("predict")(job)["volumeMounts"].append(mounted)

    return change


def brings_a_container(job: Object) -> None:
    extra = copy.deepcopy(container("train")(training_job())) | {"volumeMounts": []}
    pod(job)["initContainers"] = [extra]


def says_twice(job: Object) -> None:
    container("predict")(job)["env"].append({"name": "WARDROUND_MODEL", "value": "heart"})


def is_owned_by(**changes: str) -> Change:
    def change(job: Object) -> None:
        [owner] = job["metadata"]["ownerReferences"]
        owner.update(changes)

    return change


STATE = {"name": "state", "persistentVolumeClaim": {"claimName": "state"}}
WORKSPACE = {"name": "workspace", "persistentVolumeClaim": {"claimName": "workspace"}}
# Attacks on the pod. The policy refuses each of them from every account.
POD = (
    Attack("runs the code of researchers", OUR_IMAGE, sets(container("predict"), {"image": TRAINER})),
    Attack("runs another image", OUR_IMAGE, sets(container("predict"), {"image": OTHER})),
    Attack("skips the gate", COMMAND, runs("answer")),
    Attack("runs a shell", COMMAND, sets(container("predict"), {"command": ["sh", "-c", "true"]})),
    Attack("brings the trainer", "ValidatingAdmissionPolicy", brings_a_container),
    Attack("has a variable of its own", ENVIRONMENT, sets(variable("WARDROUND_MODEL", "predict"), {"name": "PATH"})),
    Attack("trusts another hub", HUB, says("WARDROUND_HUB_FINGERPRINT", "sha256:" + "0" * 64)),
    Attack("hears open links and goes on", LINK_LOCAL, says("WARDROUND_LINK_LOCAL", "Ignore")),
    Attack("writes the claim of models", PREDICTED_CLAIMS, sets(claim("models"), {"readOnly": GONE})),
    Attack("mounts the models to write", MOUNTS, sets(mount("predict", "models"), {"readOnly": GONE})),
    Attack("writes the claim of rows", PREDICTED_CLAIMS, sets(claim("rows"), {"readOnly": GONE})),
    Attack("mounts the rows to write", MOUNTS, sets(mount("predict", "raw"), {"readOnly": GONE})),
    Attack("reads an unlisted claim", PREDICTED_CLAIMS, sets(claim("rows"), {"claimName": "breast-data"})),
    Attack("reads the state", PREDICTED_CLAIMS, sets(claim("rows"), {"claimName": "state"})),
    Attack("takes other models", PREDICTED_CLAIMS, sets(claim("models"), {"claimName": "new-cases"})),
    *(
        Attack(f"answers onto {name}", "The volume answers", sets(claim("answers"), {"claimName": name}))
        for name in ("workspace", "state", "models", "new-cases", "breast-data")
    ),
    Attack("has the state", VOLUMES, brings(STATE)),
    Attack("has the workspace", VOLUMES, brings(WORKSPACE, {"name": "workspace", "mountPath": "/wardround/update"})),
    Attack("has no limits", LIMITS, limited("predict", None)),
    Attack("is of nothing", TASK, sets(labels, {"wardround.io/task-uid": GONE})),
)
# Attacks on the Job alone.
JOB = (
    Attack("another model", OF_PREDICTION, says("WARDROUND_MODEL", "breast")),
    Attack("another version", OF_PREDICTION, says("WARDROUND_MODEL_VERSION", "v1")),
    Attack("other rows", OF_PREDICTION, says("WARDROUND_ROWS_PATH", "2025/cases.csv")),
    Attack("another answer", OF_PREDICTION, says("WARDROUND_ANSWER_PATH", "2025/answers.csv")),
    Attack("another UID", OF_PREDICTION, says("WARDROUND_PREDICTION_UID", NOBODYS)),
    Attack("a model twice", OF_PREDICTION, says_twice),
    Attack("other columns", "WARDROUND_DATASET of predict differs", says("WARDROUND_DATASET", "{}")),
    Attack("other units", "WARDROUND_SCHEMA of predict differs", says("WARDROUND_SCHEMA", "{}")),
    # Two policies refuse these, and any of them may answer.
    Attack("is of another Prediction", "ValidatingAdmissionPolicy", is_owned_by(uid=NOBODYS)),
    Attack("is of a Prediction by name", OF_OWNER, is_owned_by(name="another")),
    Attack("is of a Dataset", "ValidatingAdmissionPolicy", is_owned_by(kind="Dataset")),
    Attack("is of nobody", "ValidatingAdmissionPolicy", sets(metadata, {"ownerReferences": GONE})),
    Attack("marks its pods", MARKS, sets(template, {"annotations": {"wardround.io/read": "x"}})),
)


def unlabelled(job: Object) -> None:
    del job["metadata"]["labels"]["wardround.io/prediction"]


# Attacks on a Job that prediction-job compares with nothing.
UNCOMPARED = (
    Attack("has no label", LABEL, unlabelled),
    Attack("is of another owner", OWNER, is_owned_by(uid="00000000-0000-4000-8000-000000000002")),
    Attack("is of no owner", OWNER, sets(metadata, {"ownerReferences": GONE})),
)


@pytest.mark.parametrize("attack", JOB, ids=lambda each: each.name)
def test_the_policy_refuses_a_job_that_differs_from_its_prediction(api: Api, asked: Object, attack: Attack) -> None:
    job = prediction_job(asked["metadata"]["uid"])
    attack.change(job)
    message = refusal(api, job, OPERATOR)
    assert attack.explains(message)


@pytest.mark.parametrize("attack", [*POD, *UNCOMPARED], ids=lambda each: each.name)
def test_the_policy_bounds_a_job_whose_prediction_nobody_made(api: Api, attack: Attack) -> None:
    """The API server cannot see that no Prediction has this UID. The lists of the chart bound such a Job."""
    job = prediction_job(NOBODYS)
    assert refusal(api, job, OPERATOR) == ""
    attack.change(job)
    message = refusal(api, job, OPERATOR)
    assert attack.explains(message)


@pytest.mark.parametrize("attack", POD, ids=lambda each: each.name)
def test_the_policy_refuses_another_pod_of_a_prediction(api: Api, asked: Object, attack: Attack) -> None:
    job = prediction_job(asked["metadata"]["uid"])
    attack.change(job)
    assert "ValidatingAdmissionPolicy" in refusal(api, pod_of(job), JOBS)


@pytest.mark.parametrize("claim_name", ["workspace", "state", "models"])
def test_no_dataset_has_a_claim_that_our_own_pods_write(api: Api, claim_name: str) -> None:
    """The courier mounts two of them, and the third one has the keys of splits."""
    made = dataset(NAMESPACE, "on-ours")
    made["spec"]["claimName"] = claim_name
    with pytest.raises(Refused, match=f"The claim {claim_name} is for the workspace, the state or the models"):
        api.create(made)


@pytest.mark.parametrize(
    ("claim_name", "words"),
    [
        # Two policies refuse it, and any of them may answer.
        ("answers", "is for answers of Predictions|has the answer of Prediction new-cases"),
        *((name, "is for the workspace, the state or the models") for name in ("workspace", "state", "models")),
    ],
)
def test_no_dataset_moves_onto_a_claim_that_none_may_have(api: Api, claim_name: str, words: str) -> None:
    """A Dataset may get another claim later, as when it is applied."""
    api.patch("Dataset", "breast", {"spec": {"claimName": "more-data"}}, NAMESPACE)
    try:
        with pytest.raises(Refused, match=words):
            api.patch("Dataset", "breast", {"spec": {"claimName": claim_name}}, NAMESPACE)
    finally:
        api.patch("Dataset", "breast", {"spec": dataset(NAMESPACE)["spec"]}, NAMESPACE)


def test_no_training_pod_has_the_claims_of_predictions(api: Api) -> None:
    for claim_name in ("answers", "models"):
        job = training_job()
        pod(job)["volumes"].append({"name": "answers", "persistentVolumeClaim": {"claimName": claim_name}})
        container("prepare")(job)["volumeMounts"].append({"name": "answers", "mountPath": "/wardround/answers"})
        assert VOLUMES in refusal(api, job, OPERATOR)
    taken = training_job()
    claim("dataset")(taken)["claimName"] = "models"
    assert "ValidatingAdmissionPolicy" in refusal(api, taken, OPERATOR)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": {"claimName": "workspace"}}, "Only the courier may write models"),
        ({"state": {"existingClaim": "workspace"}}, "must not mount the state"),
        ({"state": {"existingClaim": "one"}, "workspace": {"existingClaim": "one"}}, "must not mount the state"),
        (
            {"predictions": {"rowsClaimNames": ["state"], "answersClaimNames": []}},
            "predictions.rowsClaimNames lists state",
        ),
        ({"predictions": {"rowsClaimNames": [], "answersClaimNames": ["models"]}}, "answersClaimNames lists models"),
        ({"predictions": {"rowsClaimNames": ["a"], "answersClaimNames": ["a"]}}, "both for rows and for answers"),
    ],
)
def test_the_chart_refuses_lists_with_its_own_claims(helm: Helm, change: Object, words: str) -> None:
    values = helm.values(site_values("site-a") | change)
    refused = helm.run("template", "x", str(ROOT / "charts/site"), "--namespace", NAMESPACE, "--values", values)
    assert refused.returncode != 0
    assert words in refused.stderr
