"""Plays a round at the site: people enrol it, a pod runs and ends, `check` leaves an update."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import SCHEMA, Object
from tests.players import courier
from tests.players.pods import container_status, over, pod_of, terminated
from wardround.courier.workspace import TaskFolder
from wardround.wire.assignment import AssignedModel

# A site admits pods only from it.
JOB_CONTROLLER = account("kube-system", "job-controller")
# When containers began and ended.
TIMES = ("2026-11-24T11:59:30Z", "2026-11-24T11:59:40Z")
DATASET: Object = {
    "apiVersion": "wardround.io/v1alpha1",
    "kind": "Dataset",
    "metadata": {"name": "breast", "namespace": NAMESPACE},
    "spec": {
        "claimName": "breast-data",
        "path": "cases.csv",
        "schemaName": "breast-v1",
        "identifier": {"column": "patient_id", "type": "string"},
        "split": {"validation": "0.15", "test": "0.2"},
    },
}
DATA_SCHEMA: Object = {
    "apiVersion": "wardround.io/v1alpha1",
    "kind": "DataSchema",
    "metadata": {"name": "breast-v1", "namespace": NAMESPACE},
    "spec": SCHEMA,
}
HEARD = {"heard": "Open", "answers": ["neighbour over link-local (ICMP)"]}
READ: Object = {
    "rows": 341,
    "patients": 340,
    "samples": 290,
    "schemaDigest": "",
    "quality": [{"field": "mean_radius", "reason": "Missing", "rows": 25}],
    "leftOut": {"rows": 25, "patients": 24, "classes": [{"value": "1", "leftOut": 12, "kept": 120}]},
    "ignoredColumns": {"count": 3, "named": [{"name": "notes_of_the_ward", "reason": "NotInSchema"}]},
    "splitFingerprint": "8ad884a12864",
    "remarks": [{"reason": "TargetsContradict", "patients": 2}],
    "evaluations": [
        {"rows": "Validation", "used": 0, "left": 20},
        {"rows": "Test", "used": 20, "left": 0, "until": "2026-12-24T11:59:40Z"},
    ],
}


def condition(item: Object, kind: str) -> Any:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {"status": "Unknown", "reason": ""})


async def enrolled(site: Site) -> None:
    site.api.apply(DATA_SCHEMA)
    site.api.apply(DATASET)
    await eventually("the site publishes its keys", site.hub.keys)
    site.hub.approve()
    await eventually(
        "the Site is ready", lambda: condition(site.api.get("Site", "site", NAMESPACE), "Ready")["status"] == "True"
    )


def site_tasks(site: Site) -> set[str]:
    items = site.api.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}/sitetasks")["items"]
    return {each["metadata"]["name"] for each in items}


def forgets_after(monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    """The site forgets a task that has ended after so many later tasks."""
    monkeypatch.setattr("wardround.plans.assignment.REMEMBERED", tasks)
    monkeypatch.setattr("wardround.plans.sitetask.memory.KEPT", tasks)


async def taken_and_ended(site: Site, series: AssignedModel | None = None) -> Object:
    """A task that the site has accepted and the hub has cancelled."""
    task = site.hub.ask(series=series)
    name = task["metadata"]["name"]

    def reached(kind: str) -> bool:
        return bool(condition(site.api.get("RoundTask", name, PARTICIPANT), kind)["status"] == "True")

    await eventually("the task is accepted", lambda: reached("Accepted"))
    site.hub.cancel(name)
    await eventually("both sides know that it has ended", lambda: reached("Failed"))
    return task


def job_of(site: Site, name: str) -> Object | None:
    jobs = site.api.call("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")["items"]
    return next((job for job in jobs if job["metadata"]["name"] == name), None)


def run_pod(
    api: Api, job: Object, *ended: str, message: str = "", prepared: Object | None = None, code: int = 0
) -> Object:
    """Plays Job controller and kubelet: the pod of a Job's template, in which the containers `ended` are over.

    `prepared`: the termination message of `prepare`. `code`: the exit code of the containers.
    """
    pod = pod_of(job)
    name = pod["metadata"]["name"]
    try:
        api.get("Pod", name, NAMESPACE)
    except Refused:
        api.create(pod, user=JOB_CONTROLLER)

    def status(container: str) -> Object:
        messages = {"prepare": json.dumps(prepared or READ), "isolation": json.dumps({"linkLocal": HEARD})}
        over = terminated(code, messages.get(container, message), *TIMES)
        return container_status(container, over if container in ended else {"waiting": {"reason": "PodInitializing"}})

    names = [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]]
    change = {
        "phase": "Failed" if code else "Running",
        "initContainerStatuses": [status(n) for n in names],
        "containerStatuses": [status("check")],
    }
    return api.patch_status("Pod", name, change, NAMESPACE)


def run_only_container(api: Api, job: Object, outcome: Object, code: int = 0, pod_name: str = "") -> None:
    """Plays Job controller and kubelet: the one container of the Job's pod is over, and the Job changes."""
    pod = pod_of(job, pod_name)
    api.create(pod, user=JOB_CONTROLLER)
    [container] = pod["spec"]["containers"]
    status = over(container["name"], terminated(code, json.dumps(outcome), *TIMES))
    api.patch_status("Pod", pod["metadata"]["name"], status, NAMESPACE)
    annotations = {"tests.wardround.io/ended": "yes"}
    api.patch("Job", job["metadata"]["name"], {"metadata": {"annotations": annotations}}, NAMESPACE)


def leave_update(site: Site, name: str, plain: bytes, base_digest: str, **claims: Any) -> None:
    """`claims`: other ones than those of a Train update."""
    sums = courier.validation_sums({"auc": "0.1234"})
    known = {"samples": 290, "tells": True, "sums": sums, "base_digest": base_digest}
    courier.leave_update(TaskFolder(site.folder(name)), plain, **{**known, **claims})


def connected(site: Site) -> tuple[str, str]:
    state = condition(site.api.get("Site", "site", NAMESPACE), "HubConnected")
    return state["status"], state["reason"]
