"""Plays a hospital at its hub: its keys, what it publishes, the assignments that it verifies, the grants that it opens.

The site's own code makes and reads all of it. The simulation plays its rounds with this hospital, and so do the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from wardround.api import conditions, participant, site
from wardround.api import dataset as dataset_api
from wardround.api.participant import Participant
from wardround.api.site import Site
from wardround.api.task import TaskSpec
from wardround.courier.keys import Identity
from wardround.plans import dataset as dataset_plan
from wardround.plans.assignment import ReceivedAssignment
from wardround.plans.site import report as site_report
from wardround.sealing import untrusted
from wardround.sealing.grants import open_grants
from wardround.simulate.errors import SimulationError
from wardround.simulate.store import ORIGIN
from wardround.wire.grants import Grants

NAMESPACE = "simulation"


@dataclass(frozen=True)
class Hospital:
    """`datasets`, `schemas`: specs of its Datasets and DataSchemas by name, unparsed as in the API. `policy`: of its
    Site. `hub_fingerprint`: the hub that it has pinned."""

    name: str
    hub_fingerprint: str
    identity: Identity = field(default_factory=Identity.generate)
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    federations: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @cached_property
    def site(self) -> Site:
        """Its Site, with the keys that its courier publishes."""
        hub = {"participantNamespace": self.name, "fingerprint": self.hub_fingerprint}
        spec = {"hub": hub, "store": {"origin": ORIGIN}, "policy": self.policy}
        metadata = {"name": "site", "namespace": NAMESPACE}
        return site.parse({"metadata": metadata, "spec": spec, "status": {"courier": self.identity.published()}})

    def report(self, now: datetime) -> Mapping[str, Any]:
        """What its site publishes about it: `status.site` of its Participant.

        Raises SimulationError for a Dataset that the hospital could not offer.
        """
        return site_report.report(self.site, [self._dataset(name, spec, now) for name, spec in self.datasets.items()])

    def participant(self, now: datetime) -> Participant:
        """Its Participant at the hub: enrolled, approved, with what the site publishes. Raises SimulationError."""
        spec = {
            "keyFingerprint": self.fingerprint,
            "allowedFederations": [{"namespace": each} for each in self.federations],
        }
        metadata = {"name": self.name, "namespace": self.name, "labels": self.labels}
        return participant.parse({"metadata": metadata, "spec": spec, "status": {"site": self.report(now)}})

    def received(self, spec: TaskSpec, now: datetime) -> ReceivedAssignment:
        """The assignment of a RoundTask, as the hospital is about to verify it."""
        return ReceivedAssignment(
            envelope=spec.assignment,
            hub_key=spec.hub_key,
            hub_fingerprint=self.hub_fingerprint,
            round_ref=spec.round_ref,
            attempt=spec.attempt,
            site_fingerprint=self.fingerprint,
            now=now,
        )

    def grants(self, spec: TaskSpec) -> Grants:
        """The grants of a RoundTask, opened."""
        assert spec.grants is not None, "the hub has granted something"
        sealed, uid = untrusted.decode(spec.grants, "KeyUnusable"), spec.round_ref.uid
        key = self.identity.decryption
        return open_grants(sealed, key, round_uid=uid, attempt=spec.attempt, participant=self.name)

    def schema(self, dataset: str) -> Mapping[str, Any]:
        """The spec of the DataSchema of a Dataset."""
        return self.schemas[self.datasets[dataset]["schemaName"]]

    def _dataset(self, name: str, spec: Mapping[str, Any], now: datetime) -> dataset_api.Dataset:
        parsed = dataset_api.parse({"metadata": {"name": name}, "spec": spec})
        status = dataset_plan.plan(spec, self.schema(name), parsed.status, None, generation=1, now=now)
        ready = conditions.find(status.conditions, "Ready")
        if ready is not None and ready.status == "False":
            raise SimulationError(f"{self.name}: Dataset {name} is not Ready: {ready.reason}: {ready.message}.")
        return replace(parsed, status=status)
