"""Every field of a shared object has one writer: all accounts try to write it with real tokens, and only one may."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conditions import is_true
from tests.e2e.accounts import account, administrator, bearer
from tests.e2e.clusters import eventually
from tests.e2e.federation import Federation
from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, Refused
from tests.integration.api.objects import DIGEST, condition
from wardround.kube.resources import RESOURCES

Object = dict[str, Any]
SITE, OTHER = "site-b", "site-a"
STARTED = {"timeline": [{"stage": "Started", "time": "2026-11-24T16:15:00Z"}]}


@dataclass(frozen=True)
class Word:
    """A write to an object, and the account that may do it. `people`: the cluster's administrators."""

    kind: str
    change: Mapping[str, Any]
    speaker: str

    @property
    def subresource(self) -> str | None:
        return "status" if "status" in self.change else None


AT_THE_HUB = {
    "approval": Word("Participant", {"spec": {"keyFingerprint": DIGEST}}, "people"),
    "keys": Word("Participant", {"status": {"site": {"datasets": [{"name": "invented"}]}}}, "the hospital"),
    "trust": Word("Participant", {"status": {"conditions": [condition("Ready")]}}, "hub-operator"),
    "cancellation": Word("RoundTask", {"spec": {"cancel": True}}, "hub-operator"),
    "update": Word("RoundTask", {"status": {"update": {"manifest": "text", "samples": 9}}}, "the hospital"),
}
AT_THE_SITE = {
    "consent": Word("SiteTask", {"spec": {"approved": True, "decidedBy": "admin"}}, "people"),
    "progress": Word("SiteTask", {"status": STARTED}, "site-operator"),
    "seal": Word("SiteTask", {"status": {"courier": {"reason": "Invented"}}}, "courier"),
    "identity": Word("Site", {"status": {"courier": {"fingerprint": DIGEST}}}, "courier"),
}


@pytest.fixture(scope="module")
def task(federation: Federation) -> Iterator[str]:
    """The name of a RoundTask without a round. SITE has copied and refused it."""
    name = federation.name("spoken-of")
    ref = {"namespace": federation.namespace, "name": name, "uid": "none"}
    spec = {"roundRef": ref, "attempt": 1, "assignment": "none", "hubKey": "none"}
    made = {"apiVersion": "wardround.io/v1alpha1", "kind": "RoundTask", "metadata": {"name": name, "namespace": SITE}}
    with account("hub", federation.hub_namespace, "hub-operator") as api:
        api.create({**made, "spec": spec})
        try:
            eventually("the site has refused it", lambda: is_true(api.get("RoundTask", name, SITE), "Failed"))
            yield name
        finally:
            api.delete("RoundTask", name, SITE)


@pytest.fixture(scope="module")
def speakers(federation: Federation) -> Iterator[dict[str, dict[str, Api]]]:
    """By cluster, the accounts with rights there, and a neighbour without rights."""
    with ExitStack() as stack:
        people = {cluster: stack.enter_context(administrator(cluster)) for cluster in ("hub", SITE, OTHER)}

        def own(name: str) -> Api:
            return stack.enter_context(account(SITE, federation.site_namespace, name))

        def hospital(site: str) -> Api:
            secret = people[site].get("Secret", "hub-credentials", federation.site_namespace)
            return stack.enter_context(bearer("hub", base64.b64decode(secret["data"]["token"]).decode()))

        yield {
            "hub": {
                "people": people["hub"],
                "hub-operator": stack.enter_context(account("hub", federation.hub_namespace, "hub-operator")),
                "the hospital": hospital(SITE),
                "another hospital": hospital(OTHER),
            },
            SITE: {"people": people[SITE], "site-operator": own("site-operator"), "courier": own("courier")},
        }


@pytest.mark.parametrize("name", AT_THE_HUB)
def test_at_the_hub_each_field_has_one_writer(speakers: dict[str, dict[str, Api]], task: str, name: str) -> None:
    word = AT_THE_HUB[name]
    path = RESOURCES[word.kind].path(SITE, SITE if word.kind == "Participant" else task, word.subresource)
    assert _may_say(speakers["hub"], path, word) == {word.speaker}


@pytest.mark.parametrize("name", AT_THE_SITE)
def test_at_a_site_each_field_has_one_writer(
    federation: Federation, speakers: dict[str, dict[str, Api]], task: str, name: str
) -> None:
    word = AT_THE_SITE[name]
    named = "site" if word.kind == "Site" else task
    path = RESOURCES[word.kind].path(federation.site_namespace, named, word.subresource)
    assert _may_say(speakers[SITE], path, word) == {word.speaker}


def _may_say(speakers: Mapping[str, Api], path: str, word: Word) -> set[str]:
    """The accounts that are allowed to write. All writes are dry runs."""
    allowed = set()
    for speaker, api in speakers.items():
        try:
            api.call(
                "PATCH",
                # A hospital must use this field manager. Other accounts may use any.
                f"{path}?dryRun=All&fieldValidation=Strict&fieldManager={HOSPITAL_MANAGER}",
                word.change,
                kind_of_body="application/merge-patch+json",
            )
        except Refused as refusal:
            # Only RBAC and admission policies count. Any other error is a fault of the test.
            if refusal.status not in (403, 422):
                raise
        else:
            allowed.add(speaker)
    return allowed
