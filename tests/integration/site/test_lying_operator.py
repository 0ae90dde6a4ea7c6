"""An attacker who controls the site operator makes tasks and Jobs, and can open none of the updates that follow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.api.apiserver import account, everything
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import Object
from tests.integration.site.play import enrolled, job_of, leave_update, run_pod
from tests.players.hub import Hub
from tests.players.thief import keys_that_open
from tests.worlds.site import HUB, accepted
from wardround.courier.workspace import TaskFolder
from wardround.sealing import untrusted
from wardround.sealing.assignments import open_assignment
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_update
from wardround.wire import canonical, digests

OPERATOR = account(NAMESPACE, "site-operator")
# The hub of the attacker, who has its keys.
THIEF = Hub()
WEIGHTS = digests.digest(b"first weights")


def mirrored(site: Site, round_task: Object, **changes: Any) -> Object:
    """A SiteTask that the attacker makes and calls accepted. `changes`: of the spec of the hub's RoundTask."""
    meta = round_task["metadata"]
    spec = {**round_task["spec"], "roundTaskUID": meta["uid"], **changes}
    metadata = {"name": meta["name"], "namespace": NAMESPACE}
    item = {"apiVersion": round_task["apiVersion"], "kind": "SiteTask", "metadata": metadata, "spec": spec}
    site.api.create(item, user=OPERATOR)
    return site.api.patch_status("SiteTask", meta["name"], accepted(), NAMESPACE, user=OPERATOR)


def courier_report(site: Site, name: str) -> Object:
    report: Object = site.task(name)["status"].get("courier") or {}
    return report


def by_thief(envelope: str) -> str:
    """The same assignment with the attacker's key for updates, signed by the attacker."""
    asked = open_assignment(envelope, HUB.identity.key.public_key())
    forged = THIEF.sign(dataclasses.replace(asked, round_public_key=THIEF.round_key.public.raw))
    # Without the comparison with the pin, a courier would read it.
    assert open_assignment(forged, THIEF.identity.key.public_key()).round_public_key == THIEF.round_key.public.raw
    return forged


def under_the_hubs_signature(envelope: str) -> str:
    """The attacker's text, under the signature of the hub's text."""
    return json.dumps({**json.loads(envelope), "payload": json.loads(by_thief(envelope))["payload"]})


def under_both_signatures(envelope: str) -> str:
    forged = json.loads(by_thief(envelope))
    return json.dumps({**forged, "signatures": [*json.loads(envelope)["signatures"], *forged["signatures"]]})


def of_thief(envelope: str) -> Object:
    return {"assignment": by_thief(envelope), "hubKey": THIEF.key}


FORGED: dict[str, tuple[str, Callable[[str], Object]]] = {
    "another hub": ("HubNotPinned", of_thief),
    "another hub's signature": ("AssignmentUnreadable", lambda envelope: {"assignment": by_thief(envelope)}),
    "another text": ("AssignmentUnreadable", lambda envelope: {"assignment": under_the_hubs_signature(envelope)}),
    "two signatures": ("AssignmentUnreadable", lambda envelope: {"assignment": under_both_signatures(envelope)}),
}


@pytest.mark.parametrize("forgery", FORGED)
async def test_the_courier_seals_no_update_for_a_key_of_the_attacker(site: Site, forgery: str) -> None:
    await enrolled(site)
    await site.stop()
    asked = site.hub.ask()
    reason, forge = FORGED[forgery]
    name = mirrored(site, asked, **forge(asked["spec"]["assignment"]))["metadata"]["name"]
    folder = TaskFolder(site.folder(name))
    folder.make()
    leave_update(site, name, b"weights", WEIGHTS)
    await eventually("the courier refuses", lambda: courier_report(site, name).get("reason") == reason)
    assert not folder.manifest.exists()
    assert not folder.ciphertext.exists()


def job_of_the_attacker(site: Site, job: Object) -> Object:
    """Another Job of the same task, with a seed of the attacker's choice, in the place of the site operator's."""
    site.api.delete("Job", job["metadata"]["name"], NAMESPACE, user=OPERATOR)
    [prepare, *_] = job["spec"]["template"]["spec"]["initContainers"]
    [variable] = [each for each in prepare["env"] if each["name"] == "WARDROUND_TASK"]
    variable["value"] = canonical.dumps({**json.loads(variable["value"]), "seed": 666}).decode()
    fields = ("labels", "ownerReferences", "namespace")
    metadata = {"name": "attack", **{key: job["metadata"][key] for key in fields}}
    template = {"metadata": job["spec"]["template"]["metadata"], "spec": job["spec"]["template"]["spec"]}
    for label in [each for each in template["metadata"]["labels"] if "job-name" in each or "controller-uid" in each]:
        del template["metadata"]["labels"][label]
    spec = {key: value for key, value in job["spec"].items() if key != "selector"}
    item = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {**spec, "template": template}}
    return site.api.create(item, user=OPERATOR)


async def test_the_attacker_cannot_open_the_update_of_an_own_job(site: Site) -> None:
    """The attacker copies the sealed update, and has all that lies in the hospital's namespace, also the courier's
    keys, which no site operator can read."""
    await enrolled(site)
    asked = site.hub.ask(metrics=("auc", "loss"))
    name = asked["metadata"]["name"]
    job = await eventually("the Job", lambda: job_of(site, name))
    await site.stop()
    run_pod(site.api, job_of_the_attacker(site, job), "prepare", "init", "train", "check")
    leave_update(site, name, b"weights", WEIGHTS)
    await eventually("the update is sealed", lambda: "upload" in courier_report(site, name))
    site.hub.grant_upload(asked, len(b"weights"))
    grants = site.api.get("RoundTask", name, PARTICIPANT)["spec"]["grants"]
    site.api.patch("SiteTask", name, {"spec": {"grants": grants}}, NAMESPACE, user=OPERATOR)
    await eventually("the update is sent", lambda: "update" in courier_report(site, name))
    objects = everything(site.api, NAMESPACE)
    assert "courier-keys" in [each["metadata"]["name"] for each in objects]
    keys = untrusted.decode(site.hub.recipient().signing, "x")
    update = open_update(courier_report(site, name)["update"]["manifest"], load_verification_key(keys))
    [part] = site.hub.stored(asked["spec"]["roundRef"]["uid"])
    assert keys_that_open(update, part.read_bytes(), objects, [THIEF.round_key.raw]) == []
    # The control: the key of the round opens it.
    assert keys_that_open(update, part.read_bytes(), objects, [HUB.round_key.raw]) == [HUB.round_key.raw]
