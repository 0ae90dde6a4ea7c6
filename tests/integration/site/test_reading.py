"""A Dataset is read without any round: one Job at a time, which goes when its report is in the Dataset's status."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.api.apiserver import Api, Refused
from tests.integration.api.objects import site_values
from tests.integration.cluster import Helm, free_port
from tests.integration.site.between import between
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, enrol, eventually
from tests.integration.site.play import (
    DATA_SCHEMA,
    DATASET,
    READ,
    condition,
    connected,
    enrolled,
    job_of,
    run_only_container,
)
from wardround.api import names

Object = dict[str, Any]
MISSING = {"reason": "ColumnMissing", "class": "Site", "message": "the data has no column mean_radius"}


def dataset(site: Site) -> Object:
    item: Object = site.api.get("Dataset", "breast", NAMESPACE)
    return item


def reading(site: Site) -> Object | None:
    return job_of(site, names.reading_name(dataset(site)["metadata"]["uid"]))


def ends(api: Api, job: Object, outcome: Object, code: int = 0) -> None:
    """The Job has ended. Each of its tries has a pod of its own."""
    meta = job["metadata"]
    run_only_container(api, job, outcome, code, f"{meta['name']}-{meta['uid'][:5]}")


async def another(site: Site, job: Object) -> Object:
    """The next Job. The pods of the Jobs before are still there: no garbage collector runs here."""

    def live_job() -> Object | None:
        newer = reading(site)
        return newer if newer and newer["metadata"]["uid"] != job["metadata"]["uid"] else None

    made: Object = await eventually("the next Job", live_job)
    return made


async def test_a_hospital_sees_faults_of_its_file_before_its_hub_knows_it(site: Site) -> None:
    """The hub has not approved the hospital, and asks for no round."""
    site.api.apply(DATA_SCHEMA)
    site.api.apply(DATASET)
    job = await eventually("the Job that reads", lambda: reading(site))
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each.get("value") for each in container["env"]}["WARDROUND_KIND"] == "Read"
    ends(site.api, job, MISSING, 65)
    # Other tests on this API server leave a status that says something else.
    await eventually(
        "the Dataset says what is missing", lambda: condition(dataset(site), "Ready")["message"] == MISSING["message"]
    )
    assert condition(dataset(site), "Ready")["status"] == "False"
    await eventually("the Job is gone", lambda: reading(site) is None)

    def warnings() -> list[Object]:
        events = site.api.call("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
        # Datasets of other tests had this name.
        ours = [each for each in events if each["regarding"].get("uid") == dataset(site)["metadata"]["uid"]]
        return [each for each in ours if each["reason"] == "ColumnMissing"]

    [event] = await eventually("the Dataset has an Event", warnings)
    assert event["type"] == "Warning"

    # `kubectl wardround dataset read` sets this annotation.
    asks = {"metadata": {"annotations": {names.READ: "2026-11-24T12:00:00Z"}}}
    site.api.patch("Dataset", "breast", asks, NAMESPACE)
    job = await another(site, job)
    # A change while the Job runs: its report is of a Dataset that is no more.
    site.api.patch("Dataset", "breast", {"spec": {"path": "other.csv"}}, NAMESPACE)
    ends(site.api, job, READ)
    job = await another(site, job)
    assert "rows" not in dataset(site)["status"]
    ends(site.api, job, READ)
    await eventually("the Dataset is Ready", lambda: condition(dataset(site), "Ready")["reason"] == "Read")
    status = dataset(site)["status"]
    assert (status["rows"], status["splitFingerprint"]) == (341, READ["splitFingerprint"])
    assert (status["reading"]["request"], status["reading"]["reason"]) == ("2026-11-24T12:00:00Z", "Read")
    await eventually("the last Job is gone", lambda: reading(site) is None)
    # Tests that share the API server begin with a Dataset that nobody has read.
    site.api.delete("Dataset", "breast", NAMESPACE)


TOO_MANY = {**READ, "reason": "TooManyRowsLeftOut", "class": "Site", "message": "89 of 304 rows (29.3 %) break it"}


def variables(job: Object) -> dict[str, str]:
    """The environment of `prepare`."""
    [container] = job["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


async def ready(site: Site, reason: str) -> None:
    await eventually(f"Ready says {reason}", lambda: condition(dataset(site), "Ready")["reason"] == reason)


async def test_a_higher_limit_of_the_policy_makes_a_dataset_ready_without_a_command(site: Site, helm: Helm) -> None:
    """The person at the hospital applies the values, and does nothing else."""
    site.api.apply(DATA_SCHEMA)
    site.api.apply(DATASET)
    job = await eventually("the Job that reads", lambda: reading(site))
    ends(site.api, job, TOO_MANY, 65)
    await ready(site, "TooManyRowsLeftOut")
    assert dataset(site)["status"]["limits"] == {"minSamples": 11, "minCell": 11, "maxLeftOut": "0.1"}
    await eventually("the Job is gone", lambda: reading(site) is None)
    values = site_values(PARTICIPANT)
    # Tests have changed other fields of the Site.
    release = ("wardround-site", "site", NAMESPACE)
    raised = {**values, "policy": {**values["policy"], "maxLeftOut": "0.3"}}
    helm.install(*release, raised, "--force-conflicts")
    try:
        # In its first moments, the API server may compare with the former policy: then the operator tries again.
        job = await another(site, job)
        assert variables(job)["WARDROUND_MAX_LEFT_OUT"] == "0.3"
        ends(site.api, job, READ)
        await ready(site, "Read")
        assert dataset(site)["status"]["limits"]["maxLeftOut"] == "0.3"
    finally:
        helm.install(*release, values, "--force-conflicts")
    # The lower limit counts as well.
    job = await another(site, job)
    assert variables(job)["WARDROUND_MAX_LEFT_OUT"] == "0.1"
    site.api.delete("Dataset", "breast", NAMESPACE)


async def test_a_dataset_is_read_while_the_api_server_of_the_hub_is_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub has approved the hospital before. That the gate works, the hospital's own API server proves."""
    own, port = urlsplit(site.server), free_port()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(own.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(own.port))
    try:
        async with between(site.server, site.ca, port):
            enrol(site.api, f"http://127.0.0.1:{port}", site.ca)
            await enrolled(site)
            job = await eventually("the Job that reads", lambda: reading(site))
            ends(site.api, job, READ)
            await ready(site, "Read")
        await eventually("the hub is away", lambda: connected(site) == ("False", "HubUnreachable"))
        asks = {"metadata": {"annotations": {names.READ: "while the hub is away"}}}
        site.api.patch("Dataset", "breast", asks, NAMESPACE)
        job = await another(site, job)
        ends(site.api, job, MISSING, 65)
        await ready(site, "ColumnMissing")
        assert dataset(site)["status"]["reading"]["request"] == "while the hub is away"
        # The hospital corrects the Dataset.
        site.api.patch("Dataset", "breast", {"spec": {"path": "other.csv"}}, NAMESPACE)
        job = await another(site, job)
        ends(site.api, job, READ)
        await ready(site, "Read")
        assert connected(site) == ("False", "HubUnreachable")
        await eventually("the last Job is gone", lambda: reading(site) is None)
    finally:
        enrol(site.api, site.server, site.ca)
    await eventually("the hub is there again", lambda: connected(site) == ("True", "Connected"))
    site.api.delete("Dataset", "breast", NAMESPACE)


async def test_a_dataset_with_a_dataschema_of_another_federation_says_so(site: Site) -> None:
    """policy.dataSchemas does not list it, so the API server admits no pod that reads the Dataset."""
    other = {**DATA_SCHEMA, "metadata": {"name": "heart-v1", "namespace": NAMESPACE}}
    site.api.apply(other)
    site.api.apply({**DATASET, "spec": {**DATASET["spec"], "schemaName": "heart-v1"}})

    def reading() -> Object:
        status: Object = dataset(site).get("status", {}).get("reading") or {}
        return status

    await eventually("the Dataset says that no pod reads it", lambda: reading().get("reason") == "JobNotAdmitted")
    assert "policy.dataSchemas" in reading()["message"]
    site.api.delete("Dataset", "breast", NAMESPACE)
    site.api.delete("DataSchema", "heart-v1", NAMESPACE)


async def test_the_hub_reads_the_number_of_training_patients_only_if_the_policy_says_so(site: Site) -> None:
    """It is rounded down to a multiple of 11."""

    def patients() -> int | None:
        report = site.api.get("Participant", PARTICIPANT, PARTICIPANT)["status"].get("site") or {}
        known = {each["name"]: each.get("trainingPatients") for each in report.get("datasets", ())}
        return known.get("breast")

    with contextlib.suppress(Refused):
        site.api.delete("Dataset", "breast", NAMESPACE)
    await enrolled(site)
    job = await eventually("the Job that reads", lambda: reading(site))
    ends(site.api, job, {**READ, "trainingPatients": 290})
    await eventually("it is counted", lambda: dataset(site).get("status", {}).get("trainingPatients") == 290)
    assert "published" not in dataset(site)["status"]
    assert patients() is None
    try:
        site.api.patch("Site", "site", {"spec": {"policy": {"tellNewPatients": True}}}, NAMESPACE)
        await eventually("the hub reads it", lambda: patients() == 286)
        assert dataset(site)["status"]["published"]["trainingPatients"] == 286
    finally:
        site.api.patch("Site", "site", {"spec": {"policy": {"tellNewPatients": False}}}, NAMESPACE)
    await eventually("the hub reads it no more", lambda: patients() is None)
    # Other tests need a Dataset that nobody has read.
    site.api.delete("Dataset", "breast", NAMESPACE)


async def test_the_hub_reads_whether_cards_may_name_the_hospital(site: Site) -> None:
    """Both API servers keep the field, also when it is false."""

    def agrees() -> bool | None:
        report = site.api.get("Participant", PARTICIPANT, PARTICIPANT)["status"].get("site") or {}
        value: bool | None = report.get("nameOnCards")
        return value

    await enrolled(site)
    await eventually("the hub reads that they may not", lambda: agrees() is False)
    try:
        site.api.patch("Site", "site", {"spec": {"policy": {"nameOnCards": True}}}, NAMESPACE)
        await eventually("the hub reads that they may", lambda: agrees() is True)
    finally:
        site.api.patch("Site", "site", {"spec": {"policy": {"nameOnCards": False}}}, NAMESPACE)
