"""One task from its arrival to the update in the store, and what must not get that far."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.integration.api.kstatus import kstatus
from tests.integration.cluster import free_port, token
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, PERSON, Site, enrol, eventually
from tests.integration.site.hub import Object
from tests.integration.site.play import READ, condition, enrolled, job_of, leave_update, run_pod
from wardround.api import site as sites
from wardround.clock import system_draw
from wardround.courier import main as courier
from wardround.kube.client import Client
from wardround.plans.site.plan import renewal_due
from wardround.sealing.keys import generate_signing_key
from wardround.site.link import HubLink, connect
from wardround.wire import digests


def environment(job: Object) -> dict[str, str]:
    """The variables of `prepare`."""
    return {each["name"]: each["value"] for each in job["spec"]["template"]["spec"]["initContainers"][0]["env"]}


async def test_a_job_gets_its_base_and_its_state_and_says_what_prepare_read(site: Site) -> None:
    await enrolled(site)

    def offered() -> list[str]:
        report = site.api.get("Participant", PARTICIPANT, PARTICIPANT)["status"]["site"]
        return [each["name"] for each in report.get("datasets", ())]

    await eventually("the Dataset is offered", lambda: offered() == ["breast"])
    model = os.urandom((1 << 20) * 2 + 12345)
    earlier = str(uuid.uuid4())
    task = site.hub.ask(await site.hub.seal_model(model), state_round=earlier, metrics=("auc", "loss"))
    name = task["metadata"]["name"]
    job = await eventually("the Job is admitted and made", lambda: job_of(site, name))
    assert (site.folder(name) / "in" / "model.safetensors").read_bytes() == model
    document = json.loads(environment(job)["WARDROUND_TASK"])
    assert document["baseDigest"] == digests.digest(model)
    assert (document["stateRound"], document["liveRounds"]["states"]) == (earlier, [earlier])
    [train] = [each for each in job["spec"]["template"]["spec"]["initContainers"] if each["name"] == "train"]
    states = {each["mountPath"]: each["subPath"] for each in train["volumeMounts"] if "/state/" in each["mountPath"]}
    own_round = task["spec"]["roundRef"]["uid"]
    assert states == {"/wardround/state/in": f"states/{earlier}", "/wardround/state/out": f"states/{own_round}"}
    isolation = json.loads(environment(job)["WARDROUND_ISOLATION"])
    assert {"hub", "store", "metadata"} <= {each["name"] for each in isolation}

    run_pod(site.api, job, "prepare")
    await eventually(
        "the Dataset has been read",
        lambda: site.api.get("Dataset", "breast", NAMESPACE)["status"].get("rows") == 341,
    )
    read = site.api.get("Dataset", "breast", NAMESPACE)["status"]
    assert (read["features"], read["patients"], read["readAt"]) == (1, 340, "2026-11-24T11:59:40Z")
    assert read["leftOut"] == {
        "rows": 25,
        "patients": 24,
        "share": "0.068",
        "fields": READ["quality"],
        "classes": [{"value": "1", "rows": 12, "share": "0.091"}],
    }
    assert read["ignored"] == {"columnCount": 3, "columns": READ["ignoredColumns"]["named"], "fields": []}
    assert read["remarks"] == READ["remarks"]
    assert read["evaluations"] == READ["evaluations"]
    assert (environment(job)["WARDROUND_SPLIT_FINGERPRINT"], read["splitFingerprint"]) == ("none", "8ad884a12864")


async def test_a_task_ends_with_an_update_that_only_the_round_can_open(site: Site) -> None:
    await enrolled(site)
    model = os.urandom(12345)
    task = site.hub.ask(await site.hub.seal_model(model), metrics=("auc", "loss"))
    name = task["metadata"]["name"]
    job = await eventually("the Job is made", lambda: job_of(site, name))

    def closed() -> Object:
        state: Object = condition(site.api.get("Site", "site", NAMESPACE), "LinkLocalClosed")
        return state

    update = os.urandom(70 * (1 << 20))  # two parts
    leave_update(site, name, update, digests.digest(model))
    run_pod(site.api, job, "prepare", "train", "check", "isolation")
    await eventually("the Site says what was heard", lambda: closed()["reason"] == "LinkLocalOpen")
    assert closed()["status"] == "False"
    assert kstatus(site.api.get("Site", "site", NAMESPACE)) == ["Current"]

    upload = await eventually(
        "the hub knows how much to grant",
        lambda: (site.api.get("RoundTask", name, PARTICIPANT).get("status") or {}).get("upload"),
    )
    assert upload["bytes"] > len(update)
    site.hub.grant_upload(task, len(update))
    await eventually(
        "the task is complete on both sides",
        lambda: condition(site.api.get("RoundTask", name, PARTICIPANT), "Complete")["status"] == "True",
    )
    assert site.hub.open_update(task, digests.digest(model)) == update
    live = site.api.get("RoundTask", name, PARTICIPANT)
    assert_on_the_hub(live, site.api.get("Participant", PARTICIPANT, PARTICIPANT))
    stages = [each["stage"] for each in live["status"]["timeline"]]
    assert stages == ["Accepted", "InputReady", "Started", "Prepared", "Trained", "Checked", "Sealed", "Sent"]
    folder = site.folder(name)
    await eventually("the workspace is cleared", lambda: not folder.exists())

    site.api.delete("RoundTask", name, PARTICIPANT)
    assert condition(site.task(name), "Complete")["status"] == "True", "a closed task is remembered"


def assert_on_the_hub(task: Object, participant: Object) -> None:
    """Samples, and a signed manifest. No number of this hospital, and no name of a column, is on the hub in clear."""
    update = task["status"]["update"]
    assert update["samples"] == 290
    assert update.keys() == {"manifest", "samples", "withheld"}
    assert update["withheld"] is False
    payload = json.loads(base64.b64decode(json.loads(update["manifest"])["payload"]))
    assert (payload["tells"], payload["minCell"]) == (True, 11)
    assert "0.1234" not in str(payload)
    own_names = [each["name"] for each in READ["ignoredColumns"]["named"]]
    assert own_names == ["notes_of_the_ward"]
    assert not [each for each in own_names if each in json.dumps([participant, task, payload])]


LEAVES_OUT = {
    "reason": "TooManyRowsLeftOut",
    "class": "Site",
    "message": "84 of 304 rows (27.6 %) break the DataSchema",
    "rows": 220,
    "patients": 220,
    "quality": [{"field": "mean_radius", "reason": "NotANumber", "rows": 84}],
    "leftOut": {"rows": 84, "patients": 84},
    "ignoredColumns": {"count": 0},
}


async def test_a_dataset_that_leaves_out_too_many_rows_is_not_ready_and_the_hub_gets_no_count(site: Site) -> None:
    await enrolled(site)
    task = site.hub.ask(await site.hub.seal_model(b"model"))
    name = task["metadata"]["name"]
    job = await eventually("the Job", lambda: job_of(site, name))
    run_pod(site.api, job, "prepare", prepared=LEAVES_OUT, code=65)

    def dataset() -> Object:
        return site.api.get("Dataset", "breast", NAMESPACE)

    await eventually(
        "the Dataset is not Ready", lambda: condition(dataset(), "Ready")["reason"] == "TooManyRowsLeftOut"
    )
    assert condition(dataset(), "Ready")["message"] == LEAVES_OUT["message"]
    assert (dataset()["status"]["rows"], dataset()["status"]["leftOut"]["share"]) == (220, "0.276")

    def warnings() -> list[Object]:
        events = site.api.call("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
        # Datasets of other tests had this name.
        ours = [each for each in events if each["regarding"].get("uid") == dataset()["metadata"]["uid"]]
        return [each for each in ours if each["reason"] == "TooManyRowsLeftOut"]

    [event] = await eventually("the Dataset has an Event", warnings)
    assert event["type"] == "Warning"
    failure = await eventually(
        "the hub knows", lambda: (site.api.get("RoundTask", name, PARTICIPANT).get("status") or {}).get("failure")
    )
    assert failure == {"class": "Site", "reason": "TooManyRowsLeftOut", "exitCode": 65}
    offered = site.api.get("Participant", PARTICIPANT, PARTICIPANT)["status"]["site"]["datasets"]
    assert [set(each) for each in offered] == [{"name", "schemaDigest", "columnsDigest"}]
    for kind, key, namespace in (
        ("RoundTask", name, PARTICIPANT),
        ("Participant", PARTICIPANT, PARTICIPANT),
        ("Site", "site", NAMESPACE),
    ):
        text = json.dumps(site.api.get(kind, key, namespace)["status"])
        assert not [word for word in ("leftOut", "84 of", "NotANumber") if word in text], kind
    # Other tests need a Dataset that nobody has read.
    site.api.delete("Dataset", "breast", NAMESPACE)


async def test_kstatus_reads_the_objects_of_a_site_correctly(site: Site) -> None:
    """The library by which Flux and Argo CD wait: a Dataset that nobody has read is current, a failure is one."""
    await enrolled(site)

    def reads(kind: str, name: str, namespace: str = NAMESPACE) -> str:
        return kstatus(site.api.get(kind, name, namespace))[0]

    await eventually("the Dataset is current", lambda: reads("Dataset", "breast") == "Current")
    assert reads("Site", "site") == "Current"
    refused = site.hub.ask(image="registry.example/other@sha256:" + "a" * 64)["metadata"]["name"]
    await eventually("the task has failed on both sides", lambda: reads("RoundTask", refused, PARTICIPANT) == "Failed")
    assert reads("SiteTask", refused) == "Failed"
    waits = site.hub.ask(await site.hub.seal_model(b"model"))["metadata"]["name"]
    await eventually("there is a SiteTask", lambda: job_of(site, waits))
    assert reads("SiteTask", waits) == "InProgress"
    # It holds the Site's one place, which the next tests need.
    site.hub.cancel(waits)
    await eventually("the Job is gone", lambda: job_of(site, waits) is None)


async def test_the_courier_refuses_a_model_that_another_key_signed(site: Site) -> None:
    await enrolled(site)
    task = site.hub.ask(await site.hub.seal_model(b"model"), sign_by=generate_signing_key())
    name = task["metadata"]["name"]
    live = await eventually(
        "the courier refuses", lambda: (site.api.get("RoundTask", name, PARTICIPANT).get("status") or {}).get("failure")
    )
    assert live == {"class": "Network", "reason": "SignatureInvalid"}
    assert job_of(site, name) is None


async def test_both_sides_report_a_refused_assignment(site: Site) -> None:
    await enrolled(site)
    task = site.hub.ask(site_fingerprint="sha256:" + "0" * 64)
    name = task["metadata"]["name"]
    await eventually(
        "both sides say so",
        lambda: condition(site.api.get("RoundTask", name, PARTICIPANT), "Accepted")["reason"] == "NotAddressee",
    )
    assert condition(site.task(name), "Failed")["reason"] == "NotAddressee"


async def test_the_site_deletes_the_job_of_a_cancelled_task(site: Site) -> None:
    await enrolled(site)
    task = site.hub.ask()
    name = task["metadata"]["name"]
    await eventually("the Job", lambda: job_of(site, name))
    site.hub.cancel(name)
    await eventually("the Job is gone", lambda: job_of(site, name) is None)
    assert condition(site.task(name), "Failed")["reason"] == "Cancelled"


@pytest.mark.parametrize("approved", [True])
async def test_with_manual_approval_a_task_waits_for_a_person(site: Site, approved: bool) -> None:
    await enrolled(site)
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Manual"}}}, NAMESPACE)
    name = site.hub.ask()["metadata"]["name"]
    await eventually(
        "the hub sees that it waits",
        lambda: condition(site.api.get("RoundTask", name, PARTICIPANT), "Accepted")["reason"] == "WaitingForApproval",
    )
    site.api.patch("SiteTask", name, {"spec": {"approved": approved, "decidedBy": PERSON}}, NAMESPACE)
    await eventually("the Job", lambda: job_of(site, name))
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Policy"}}}, NAMESPACE)


async def test_a_site_with_approval_deny_denies_a_waiting_task(site: Site) -> None:
    await enrolled(site)
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Manual"}}}, NAMESPACE)
    try:
        name = site.hub.ask()["metadata"]["name"]

        def reasons() -> tuple[str, str]:
            there = site.api.get("RoundTask", name, PARTICIPANT)
            return condition(there, "Accepted")["reason"], condition(there, "Failed")["reason"]

        await eventually("it waits", lambda: reasons()[0] == "WaitingForApproval")
        await asyncio.sleep(1)  # until what it wrote itself is no reason to look at it any more
        site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Deny"}}}, NAMESPACE)
        await eventually("it is denied", lambda: reasons()[1] == "Denied")
    finally:
        site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Policy"}}}, NAMESPACE)


@pytest.mark.own_courier
async def test_the_courier_itself_waits_for_a_manual_approval(site: Site) -> None:
    """The operator accepts by itself, as one that somebody has taken over would: here the Site says Policy."""
    manual = dataclasses.replace(site.settings, pins=dataclasses.replace(site.settings.pins, approval="Manual"))
    secret = token(site.api, NAMESPACE, "courier")
    own = Client(site.server, site.ca, lambda: secret, NAMESPACE, draw=system_draw)
    running = asyncio.create_task(courier.run(manual, own, free_port()))
    try:
        await enrolled(site)
        name = site.hub.ask(await site.hub.seal_model(b"model"))["metadata"]["name"]
        await eventually(
            "the courier asks for the people here",
            lambda: (
                condition(site.api.get("RoundTask", name, PARTICIPANT), "Reconciling")["reason"] == "WaitingForApproval"
            ),
        )
        assert condition(site.task(name), "Accepted")["status"] == "True"
        model = site.folder(name) / "in" / "model.safetensors"
        assert not model.exists()
        site.api.patch("SiteTask", name, {"spec": {"approved": True, "decidedBy": PERSON}}, NAMESPACE)
        await eventually("the model", model.exists)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_the_site_operator_can_renew_its_token(site: Site) -> None:
    secret = token(site.api, NAMESPACE, "site-operator")
    async with Client(site.server, site.ca, lambda: secret, NAMESPACE, draw=system_draw) as own:
        link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
        hub = sites.parse(site.api.get("Site", "site", NAMESPACE)).spec.hub
        assert await link.refresh(hub)
        before = site.api.get("Secret", "hub-credentials", NAMESPACE)["data"]["token"]
        assert not renewal_due(link.token_life(), datetime.now(UTC))
        assert renewal_due(link.token_life(), datetime.now(UTC) + timedelta(minutes=45))
        await link.renew_token(hub)
        assert site.api.get("Secret", "hub-credentials", NAMESPACE)["data"]["token"] != before
        assert not await link.refresh(hub), "it knows the token that it has renewed itself"
        enrol(site.api, site.server, site.ca)
        assert await link.refresh(hub), "people have put another one there"
        assert link.client is not None
        await link.client.get("Participant", PARTICIPANT)
        await link.close()


async def test_the_hub_drops_unknown_fields_of_a_sites_report(site: Site) -> None:
    """Hospitals are upgraded first. What a site says else would be refused whole, its keys with it."""
    secret = token(site.api, NAMESPACE, "site-operator")
    async with Client(site.server, site.ca, lambda: secret, NAMESPACE, draw=system_draw) as own:
        link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
        await link.refresh(sites.parse(site.api.get("Site", "site", NAMESPACE)).spec.hub)
        assert link.client is not None
        participant = await link.client.get("Participant", PARTICIPANT)
        report = {"accelerators": [{"resourceName": "example.com/gpu", "ofALaterVersion": True}]}
        written = await link.client.apply_status(participant, {}, {"site": report})
        assert written is not None
        assert written["status"]["site"]["accelerators"] == [{"resourceName": "example.com/gpu"}]
        await link.close()
