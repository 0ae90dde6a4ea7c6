"""Every object that a hospital's account may write at the hub stays small, whatever that account tries.

The hub's etcd keeps every version of an object for some minutes. A large object is written anew, in full, by a small
patch: a hospital that gets one object to a megabyte fills the hub's storage with requests of a few bytes.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, Refused, account
from tests.integration.api.objects import API, HUB, condition, keys, round_task

Object = dict[str, Any]
NAMESPACE = "site-b"
SITE = account(NAMESPACE, "site")
HUB_OPERATOR = account(HUB, "hub-operator")
# What one object may have that is not the hub's: docs/security.md.
MOST_BYTES = 64 * 1024
# Only a broken quota is waited for so long.
PATIENCE_SECONDS = 120
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
LONG = "x" * 200_000
# The API server takes this for a date-time, if only its format is asked.
LONG_TIME = "2026-01-01t00:00:00Zt" + "0" * 200_000


@dataclass(frozen=True)
class Target:
    """An object, and two ordinary things that a hospital says in it. `part`: where they stand."""

    kind: str
    api_version: str
    collection: str
    name: str
    subresource: str
    part: str
    says: tuple[Object, Object]
    # What a hospital may say at the most, and what it may not.
    most: Object
    too_much: dict[str, Object] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}{self.subresource}"


def entry(target: Target, manager: str = HOSPITAL_MANAGER, **more: Any) -> Object:
    """Of managedFields."""
    header: Object = {"manager": manager, "operation": "Update", "apiVersion": target.api_version}
    fields: Object = {f"f:{target.part}": {"f:invented": {}}}
    return {**header, "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


DIGEST = "sha256:" + "a" * 64
TASK = Target(
    "RoundTask",
    API,
    f"/apis/{API}/namespaces/{NAMESPACE}/roundtasks",
    "growing",
    "/status",
    "status",
    ({"upload": {"bytes": 1}}, {"upload": {"bytes": 2}}),
    {
        "conditions": [
            {**condition("T" * (50 + number)), "reason": "R" * 64, "message": "m" * 256} for number in range(14)
        ],
        "failure": {"class": "Platform", "reason": "R" * 64, "exitCode": 255},
        "upload": {"bytes": 2**62, "md5": ["A" * 22 + "=="] * 400},
        "update": {
            "manifest": '"' * 16384,
            "samples": 2**62,
            "withheld": True,
        },
        "timeline": [{"stage": "S" * 64, "time": "2026-01-01T00:00:00.123456Z"}] * 32,
    },
    {
        "time of a condition": {"conditions": [{**condition("Accepted"), "lastTransitionTime": LONG_TIME}]},
        "time of a stage": {"timeline": [{"stage": "Accepted", "time": LONG_TIME}]},
        "many conditions": {"conditions": [condition("T" * number) for number in range(1, 60)]},
        "long message": {"conditions": [{**condition("Accepted"), "message": LONG}]},
        "long type": {"conditions": [condition("T" * 200_000)]},
        "many stages": {"timeline": [{"stage": "Accepted", "time": "2026-01-01T00:00:00Z"}] * 5000},
        "control characters": {"update": {"manifest": "\x01" * 16384}},
        "many digests": {"upload": {"bytes": 1, "md5": ["A" * 22 + "=="] * 5000}},
        "long digest": {"upload": {"bytes": 1, "md5": [LONG]}},
        "metrics in clear": {"update": {"manifest": "x", "metrics": [{"name": "loss", "value": "1"}]}},
        "unknown field": {"filler": LONG},
    },
)
PARTICIPANT = Target(
    "Participant",
    API,
    f"/apis/{API}/namespaces/{NAMESPACE}/participants",
    NAMESPACE,
    "/status",
    "status",
    ({"site": {"datasets": [{"name": "one"}]}}, {"site": {"datasets": [{"name": "two"}]}}),
    {
        "site": {
            "keys": keys(),
            "datasets": [
                {"name": f"d{number:02}" + "d" * 60, "schemaDigest": DIGEST, "columnsDigest": DIGEST}
                for number in range(64)
            ],
            "assignmentVersions": list(range(999_984, 1_000_000)),
            "accelerators": [{"resourceName": f"a{number:02}" + "a" * 314} for number in range(16)],
        }
    },
    {
        "control characters in names": {"site": {"datasets": [{"name": chr(n) * 63} for n in range(1, 32)]}},
        "many datasets": {"site": {"datasets": [{"name": f"d{number}"} for number in range(5000)]}},
        "long key": {"site": {"keys": {**keys(), "signing": "A" * 200_000}}},
        "control characters in a key": {"site": {"keys": {**keys(), "decryption": "\x01" * 1624}}},
        "control characters in accelerators": {"site": {"accelerators": [{"resourceName": "\x01" * 317}]}},
        "long digest": {"site": {"datasets": [{"name": "one", "schemaDigest": LONG}]}},
        "unknown field": {"site": {"filler": LONG}},
        "many versions": {"site": {"assignmentVersions": list(range(1, 5000))}},
        "a version as text": {"site": {"assignmentVersions": ["1"]}},
        "a version below 1": {"site": {"assignmentVersions": [-1]}},
        "a version above the bound": {"site": {"assignmentVersions": [10**18]}},
        "a version twice": {"site": {"assignmentVersions": [1, 1]}},
    },
)
LEASE = Target(
    "Lease",
    "coordination.k8s.io/v1",
    f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases",
    "site",
    "",
    "spec",
    ({"holderIdentity": "one"}, {"holderIdentity": "two"}),
    {
        "holderIdentity": "h" * 64,
        "leaseDurationSeconds": 2**31 - 1,
        "leaseTransitions": 2**31 - 1,
        "renewTime": "2026-01-01T00:00:00.123456Z",
        "acquireTime": "2026-01-01T00:00:00.123456Z",
    },
    {
        "long holder": {"holderIdentity": LONG},
        "control characters": {"holderIdentity": "\x01" * 64},
        "long preferred holder": {"preferredHolder": LONG},
        "long strategy": {"strategy": LONG},
        "long time": {"renewTime": "2026-01-01T00:00:00." + "0" * 200_000 + "Z"},
        "unknown field": {"filler": LONG},
    },
)
TARGETS = [TASK, PARTICIPANT, LEASE]


@dataclass(frozen=True)
class Hospital:
    """The account `site` at the hub, with a Lease, a Participant and a task of its own."""

    api: Api

    def send(
        self,
        target: Target,
        content: object,
        metadata: Object | None = None,
        *,
        by: str = MERGE,
        query: str = f"fieldManager={HOSPITAL_MANAGER}",
        method: str = "PATCH",
    ) -> bool:
        """One request; whether it was taken. What became of it is looked at in what is stored."""
        body: Any = content
        if by != JSON_PATCH:
            named = {"apiVersion": target.api_version, "kind": target.kind}
            body = {**named, "metadata": {"name": target.name, **(metadata or {})}, target.part: content}
        try:
            self.api.call(method, f"{target.path}?{query}", body, user=SITE, kind_of_body=by)
        except Refused as refusal:
            if refusal.status in (400, 403, 413, 415, 422) or str(refusal).startswith("failed to "):
                return False
            raise
        return True

    def stored(self, target: Target) -> Object:
        return self.api.call("GET", f"{target.collection}/{target.name}")

    def managers(self, target: Target) -> list[Object]:
        entries: list[Object] = self.stored(target)["metadata"].get("managedFields", [])
        return entries


def weight(target: Target, item: Object) -> int:
    """Bytes of all that a hospital could have made."""
    return len(json.dumps([item["metadata"], item.get(target.part)], separators=(",", ":")).encode())


@pytest.fixture
def hospital(api: Api) -> Iterator[Hospital]:
    lease = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": {"name": "site", "namespace": NAMESPACE}}
    _create_when_counted_down(api, {**lease, "spec": {"holderIdentity": "a test"}})
    api.create(round_task(NAMESPACE, TASK.name), user=HUB_OPERATOR)
    yield Hospital(api)
    api.delete("Lease", "site", NAMESPACE)
    api.delete("RoundTask", TASK.name, NAMESPACE)
    # The one Lease that the quota counts is gone, and no controller is here to count it down.
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/participant"
    quota = api.call("GET", path)
    quota["status"]["used"] = dict.fromkeys(quota["status"]["hard"], "0")
    api.call("PUT", f"{path}/status", quota)


def _create_when_counted_down(api: Api, lease: Object) -> None:
    """The API server remembers the quota for a while, and may still count a Lease that is gone."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            api.create(lease, user=SITE)
        except Refused as refusal:
            if "exceeded quota" not in str(refusal) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def under_many_names(hospital: Hospital, target: Target) -> None:
    names = [f"{'m' * 100}{number}" for number in range(30)]
    for number, name in enumerate(names):
        hospital.send(target, target.says[number % 2], query=f"fieldManager={name}")
    # All say the same, so that each of them owns it.
    for name in names:
        hospital.send(target, target.most, by=APPLY, query=f"fieldManager={name}&force=true")
    hospital.send(target, target.says[0], query="")


def with_a_memory_of_others(hospital: Hospital, target: Target) -> None:
    for number in range(5):
        more = [entry(target, f"{'m' * 100}{number}-{each}") for each in range(9)]
        handed = {"managedFields": [*hospital.managers(target), *more]}
        hospital.send(target, target.says[number % 2], handed)


def with_a_large_memory(hospital: Hospital, target: Target) -> None:
    long: list[Object] = [
        {"fieldsV1": {f"f:{target.part}": {f"f:{LONG}": {}}}},
        {"fieldsV1": {f"f:{target.part}": {f"f:{number}{'x' * 100}": {} for number in range(2000)}}},
        {"time": LONG_TIME},
        {"time": "2026-01-01T00:00:00." + "0" * 200_000 + "Z"},
        {"apiVersion": LONG},
        {"subresource": LONG},
        {"fieldsType": LONG},
        {"operation": LONG},
        {"manager": LONG},
        {"manager": "ancient-changes", "fieldsV1": {f"f:{target.part}": {f"f:{LONG}": {}}}},
    ]
    for number, change in enumerate(long):
        handed = {"managedFields": [*hospital.managers(target), entry(target, **change)]}
        hospital.send(target, target.says[number % 2], handed)
        alone = {"managedFields": [entry(target, **change)]}
        hospital.send(target, target.says[number % 2], alone, by=STRATEGIC)


def with_a_memory_of_many_places(hospital: Hospital, target: Target) -> None:
    many = [entry(target, subresource=f"{'s' * 100}{number}", operation="Apply") for number in range(500)]
    hospital.send(target, target.says[0], {"managedFields": [*hospital.managers(target), *many]})


def in_the_memory_of_others(hospital: Hospital, target: Target) -> None:
    grown = copy.deepcopy(hospital.managers(target))
    for each in grown:
        each["fieldsV1"][f"f:{target.part}"] = {f"f:{number}{'x' * 100}": {} for number in range(100)}
    hospital.send(target, target.says[0], {"managedFields": grown})


def in_metadata(hospital: Hospital, target: Target) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "x" * 200, "uid": LONG}
    for metadata in (
        {"annotations": {"filler": LONG}},
        {"annotations": {f"filler-{number}": "x" * 100 for number in range(2000)}},
        {"labels": {f"filler-{number}": "x" * 63 for number in range(2000)}},
        {"finalizers": [f"example.org/never-{number}" for number in range(2000)]},
        {"ownerReferences": [owner]},
        {"generateName": "x" * 200_000},
        {"selfLink": LONG},
    ):
        for by in (MERGE, APPLY):
            force = "&force=true" if by == APPLY else ""
            hospital.send(target, target.says[0], metadata, by=by, query=f"fieldManager={HOSPITAL_MANAGER}{force}")
        item = hospital.stored(target)
        held = {**item["metadata"], **metadata}
        hospital.send(target, item.get(target.part, {}), held, by="application/json", method="PUT")


def by_json_patch(hospital: Hospital, target: Target) -> None:
    for path in ("/metadata/annotations", "/metadata/labels"):
        hospital.send(target, [{"op": "add", "path": path, "value": {"filler": LONG}}], by=JSON_PATCH)
    new = {"op": "add", "path": "/metadata/managedFields/-", "value": entry(target, "other")}
    hospital.send(target, [new] * 20, by=JSON_PATCH)


def with_too_much(hospital: Hospital, target: Target) -> None:
    for part in target.too_much.values():
        hospital.send(target, part)
        hospital.send(target, part, by=APPLY, query=f"fieldManager={HOSPITAL_MANAGER}&force=true")


def with_as_much_as_it_may(hospital: Hospital, target: Target) -> None:
    assert hospital.send(target, target.most)
    hospital.send(target, target.most, by=APPLY, query=f"fieldManager={HOSPITAL_MANAGER}&force=true")


WAYS: list[Callable[[Hospital, Target], None]] = [
    under_many_names,
    with_a_memory_of_others,
    with_a_large_memory,
    with_a_memory_of_many_places,
    in_the_memory_of_others,
    in_metadata,
    by_json_patch,
    with_too_much,
    with_as_much_as_it_may,
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_object_grows(hospital: Hospital, target: Target, way: Callable[[Hospital, Target], None]) -> None:
    before = {each.get("manager") for each in hospital.managers(target)}
    way(hospital, target)
    assert weight(target, hospital.stored(target)) <= MOST_BYTES
    assert {each.get("manager") for each in hospital.managers(target)} - before <= {HOSPITAL_MANAGER}
    metadata = hospital.stored(target)["metadata"]
    assert not {"annotations", "labels", "finalizers", "ownerReferences", "generateName"} & metadata.keys()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_a_hospitals_largest_report_fits_beside_entries_of_many_managers(hospital: Hospital, target: Target) -> None:
    """More than ten: the API server puts the oldest of them together when the next one writes."""
    user = {"RoundTask": HUB_OPERATOR}.get(target.kind, "")
    for number in range(12):
        body = {"metadata": {"labels": {f"people-{number}": "x"}}}
        path = f"{target.collection}/{target.name}?fieldManager=people-{number}"
        hospital.api.call("PATCH", path, body, user=user, kind_of_body=MERGE)
    for part in target.says:
        query = f"?fieldValidation=Strict&fieldManager={HOSPITAL_MANAGER}"
        hospital.api.call("PATCH", target.path + query, {target.part: part}, user=SITE, kind_of_body=MERGE)
    assert {HOSPITAL_MANAGER, "ancient-changes"} <= {each["manager"] for each in hospital.managers(target)}
    gone = {"metadata": {"labels": None}}
    hospital.api.call("PATCH", f"{target.collection}/{target.name}", gone, user=user, kind_of_body=MERGE)


def test_the_api_server_accepts_times_as_sites_write_them(hospital: Hospital) -> None:
    status = {"timeline": [{"stage": "Accepted", "time": "2026-01-01T00:00:00.123456Z"}]}
    hospital.api.patch_status("RoundTask", TASK.name, status, NAMESPACE, user=SITE)
