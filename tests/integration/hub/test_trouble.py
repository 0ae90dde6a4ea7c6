"""Rounds in trouble at a real API server and store: each says what it is, and what is beside it goes on."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.apiserver import Refused, account
from tests.integration.api.apiserver import until as until_now
from tests.integration.api.objects import FEDERATION, HUB, OURS, condition, federated_round, round_task, without
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import (
    aggregation_pod,
    complete_round,
    conditions,
    play_kubelet,
    sent_round,
    stored,
    until_condition,
)
from wardround.api import names
from wardround.api.names import REFUSED
from wardround.manifests import aggregation
from wardround.plans.round import tries
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")


def from_base(name: str, base: str) -> Object:
    return without(federated_round(name, base={"roundName": base}), "initial")


@contextmanager
def quota(world: World, namespace: str, resource: str, probe: Object) -> Iterator[None]:
    """None of this resource may be made in this namespace. `probe`: one that could be made otherwise."""
    path, hard = f"/api/v1/namespaces/{namespace}/resourcequotas", {f"count/{resource}": "0"}
    meta = {"name": "none", "namespace": namespace}
    created = world.admin.call(
        "POST", path, {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    )
    # The controller manager's first count, without which the API server counts nothing.
    created["status"] = {"hard": hard, "used": hard}
    world.admin.call("PUT", f"{path}/none/status", created)
    # The API server counts by it a moment later, and no longer a moment after it is gone.
    until_now("the quota holds", lambda: not _takes(world, probe))
    try:
        yield
    finally:
        world.admin.call("DELETE", f"{path}/none")
        until_now("the quota holds no longer", lambda: _takes(world, probe))


def no_tasks(world: World, namespace: str) -> AbstractContextManager[None]:
    return quota(world, namespace, "roundtasks.wardround.io", round_task(namespace, "probe"))


def _takes(world: World, probe: Object) -> bool:
    try:
        world.admin.create(probe, user=account(HUB, "hub-operator"), dry_run=True)
    except Refused as refusal:
        if "exceeded quota" not in str(refusal):
            raise
        return False
    return True


@contextmanager
def store_in_trouble(world: World) -> Iterator[None]:
    """Its bucket is not to be found."""
    bucket: Path = world.server.folder / "wardround"
    away = bucket.with_name("away")
    bucket.rename(away)
    try:
        yield
    finally:
        away.rename(bucket)


async def test_a_round_names_a_hospital_whose_roundtask_was_refused_and_asks_it_later(world: World) -> None:
    with no_tasks(world, "site-b"):
        world.admin.create(federated_round("one-refused", quorum={"min": 2}))
        await world.hospitals["site-a"].task("one-refused")
        round_ = await until_condition(world, "one-refused", "Reconciling", "Collecting")
        (entry,) = round_["status"]["attention"]
        assert (entry["participant"], entry["reason"]) == ("site-b", "TaskRefused")
        assert "exceeded quota" in entry["message"]
        await world.restart()
    await world.hospitals["site-b"].task("one-refused")

    async def unmarked() -> bool:
        round_ = await world.client.get("FederatedRound", "one-refused", FEDERATION)
        return "attention" not in round_["status"] or round_["status"]["attention"] == []

    await until(unmarked, "nobody needs attention")


async def test_a_round_without_roundtasks_stalls_until_the_api_server_accepts_them(world: World) -> None:
    with no_tasks(world, "site-b"), no_tasks(world, "site-a"):
        world.admin.create(federated_round("all-refused"))
        round_ = await until_condition(world, "all-refused", "Stalled", "TaskRefused")
        assert {each["reason"] for each in round_["status"]["attention"]} == {"TaskRefused"}
    await world.hospitals["site-a"].task("all-refused")
    await until_condition(world, "all-refused", "Reconciling", "Collecting")


async def test_a_round_without_roundtasks_fails_at_its_deadline(world: World) -> None:
    deadlines = {"admissionSeconds": 1, "queueSeconds": 1}
    with no_tasks(world, "site-b"), no_tasks(world, "site-a"):
        world.admin.create(federated_round("never-taken", deadlines=deadlines))
        round_ = await until_condition(world, "never-taken", "Failed", "QuorumNotMet")
    assert {each["reason"] for each in round_["status"]["attention"]} == {"TaskRefused"}


async def test_the_hub_makes_a_refused_second_attempt_later(world: World) -> None:
    hospital, failure = world.hospitals["site-b"], {"failure": {"class": "Platform", "reason": "Evicted"}}
    world.admin.create(federated_round("second-refused", quorum={"min": 1}))
    await world.hospitals["site-a"].task("second-refused")
    task = await hospital.task("second-refused")
    with no_tasks(world, "site-b"):
        await hospital.report(task, failure, ("Failed", True, "Evicted"))

        async def remembered() -> bool:
            first = await hospital.task("second-refused")
            return "exceeded quota" in first.metadata.annotations.get(REFUSED, "")

        await until(remembered, "the first attempt remembers")

        async def named() -> bool:
            round_ = await world.client.get("FederatedRound", "second-refused", FEDERATION)
            reasons = {each["participant"]: each["reason"] for each in round_["status"].get("attention", [])}
            return reasons == {"site-b": "TaskRefused"}

        await until(named, "site-b is named")
        await world.restart()

    async def attempts() -> bool:
        tasks = await world.client.list("RoundTask", "site-b", labels=f"{names.ROUND}=second-refused")
        return sorted(each["spec"]["attempt"] for each in tasks) == [1, 2]

    await until(attempts, "the second attempt is made")


async def test_rounds_that_wait_for_each_other_fail(world: World) -> None:
    world.admin.create(from_base("hen", "egg"))
    await until_condition(world, "hen", "Stalled", "BaseNotFound")
    world.admin.create(from_base("egg", "hen"))
    round_ = await until_condition(world, "egg", "Failed", "BaseCycle")
    message = next(each["message"] for each in round_["status"]["conditions"] if each["type"] == "Failed")
    assert message.startswith("egg waits for hen waits for egg.")
    await until_condition(world, "hen", "Failed", "BaseFailed")


async def test_a_round_that_starts_from_itself_fails(world: World) -> None:
    world.admin.create(from_base("ouroboros", "ouroboros"))
    await until_condition(world, "ouroboros", "Failed", "BaseCycle")


async def test_a_model_without_this_hubs_signature_is_no_base(world: World, tmp_path: Path) -> None:
    uid = (await complete_round(world, "spoilt", tmp_path))["metadata"]["uid"]
    spoilt = {"data": {"manifest": base64.b64encode(b"{}").decode()}}
    world.admin.patch("Secret", names.model_secret(uid), spoilt, HUB)
    world.admin.create(from_base("on-spoilt", "spoilt"))
    await until_condition(world, "on-spoilt", "Failed", "BaseLost")


async def test_a_round_fails_without_the_store_and_cleans_up_later(world: World) -> None:
    created = world.admin.create(federated_round("no-store"))
    with store_in_trouble(world):
        for hospital in world.hospitals.values():
            await hospital.report(await hospital.task("no-store"), {}, ("Accepted", False, "ImageNotAllowed"))
        await until_condition(world, "no-store", "Failed", "QuorumNotMet")

        async def reported() -> bool:
            round_ = await world.client.get("FederatedRound", "no-store", FEDERATION)
            return conditions(round_).get("CleanedUp") == ("False", "ActionFailed")

        await until(reported, "the round says that it is not tidied up")
        assert [each.get("data") for each in world.secrets(created["metadata"]["uid"])] == [None]

    async def tidy() -> bool:
        return not world.secrets(created["metadata"]["uid"])

    await until(tidy, "the memory of what was left to do is gone", 90)
    await until_condition(world, "no-store", "CleanedUp", "CleanedUp")


async def test_the_hub_repeats_an_aggregation_whose_node_died(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the API server shows it then: the pod is being deleted, and no kubelet says that it is gone."""
    monkeypatch.setattr(tries, "NODE_DEAD_AFTER", timedelta(0))
    uid = await sent_round(world, "node-dies", tmp_path)
    pod = await aggregation_pod(world, uid, node="node-that-died")
    grace = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 1}
    world.admin.call("DELETE", f"/api/v1/namespaces/{HUB}/pods/{pod}", grace)
    try:
        await play_kubelet(world, uid, 2)
        await until_condition(world, "node-dies", "Complete", "Complete")
    finally:
        world.admin.call("DELETE", f"/api/v1/namespaces/{HUB}/pods/{pod}", {**grace, "gracePeriodSeconds": 0})


async def test_the_hub_repeats_a_failed_job_whose_pod_stays(world: World, tmp_path: Path) -> None:
    uid = await sent_round(world, "pod-stays", tmp_path)
    pod = await aggregation_pod(world, uid, node="node-that-died")
    failed = {
        **condition("FailureTarget", reason="DeadlineExceeded"),
        "lastProbeTime": "2026-11-24T12:00:00Z",
    }
    world.admin.patch_status("Job", pod, {"startTime": "2026-11-24T12:00:00Z", "conditions": [failed]}, HUB)
    await play_kubelet(world, uid, 2)
    await until_condition(world, "pod-stays", "Complete", "Complete")


async def test_a_round_deleted_without_the_store_stops_its_sites_at_once(world: World, tmp_path: Path) -> None:
    uid = (await complete_round(world, "gone", tmp_path))["metadata"]["uid"]
    labels = f"{names.ROUND_UID}={uid}"

    async def left() -> list[str]:
        items: list[Any] = await world.client.list("RoundTask", everywhere=True, labels=labels)
        items += await world.client.list("Job", labels=labels)
        return [*(each["kind"] for each in items), *("Secret" for _ in world.secrets(uid))]

    with store_in_trouble(world):
        world.admin.delete("FederatedRound", "gone", FEDERATION)

        async def stopped() -> bool:
            return await left() == ["Secret", "Secret"]

        await until(stopped, "RoundTasks and Jobs are gone, a Secret each is the memory of the round and of its result")

        async def emptied() -> bool:
            return not world.keys(uid)

        await until(emptied, "no key is left")

    async def swept() -> bool:
        return await stored(world, f"models/{uid}/") == await stored(world, f"updates/{uid}/") == []

    await until(swept, "the sweep", 90)


async def test_a_round_reports_an_action_that_the_api_server_refuses(world: World, tmp_path: Path) -> None:
    uid = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
    probe = aggregation.AggregationJob(
        namespace=HUB,
        round_namespace=FEDERATION,
        round_name="probe",
        round_uid=uid,
        number=1,
        image=OURS,
        scratch_bytes=1 << 20,
    )
    with quota(world, HUB, "jobs.batch", aggregation.build(probe)):
        uid = await sent_round(world, "no-jobs", tmp_path)
        round_ = await until_condition(world, "no-jobs", "Reconciling", "ActionFailed")
    message = next(each["message"] for each in round_["status"]["conditions"] if each["type"] == "Reconciling")
    assert message.startswith(
        "The hub operator could not start aggregation 1: the API server refused it or did not answer (Forbidden)."
    )
    assert round_["status"]["participants"]["sent"] == 2
    await play_kubelet(world, uid)
    await until_condition(world, "no-jobs", "Complete", "Complete")


async def test_a_round_goes_on_without_a_deleted_participant(world: World) -> None:
    world.admin.create(federated_round("bereft", quorum={"min": 1}))
    await world.hospitals["site-b"].task("bereft")
    participant = world.admin.get("Participant", "site-b", "site-b")
    world.admin.delete("Participant", "site-b", "site-b")

    async def out() -> bool:
        round_ = await world.client.get("FederatedRound", "bereft", FEDERATION)
        reasons = {each["participant"]: each["reason"] for each in round_["status"].get("attention", [])}
        return reasons == {"site-b": "ParticipantUnknown"}

    await until(out, "site-b is out")
    task = await world.hospitals["site-b"].task("bereft")
    assert task.spec.cancel
    meta = {key: participant["metadata"][key] for key in ("name", "namespace")}
    world.admin.create({**participant, "metadata": meta, "status": None})
    await world.hospitals["site-b"].publish()
