"""Plays a hospital: its keys, what it publishes, what it opens, and the Job that its site operator makes.

Uses the site's own code. Knows no API server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from wardround.api.dataset import DatasetStatus
from wardround.api.meta import Meta
from wardround.api.participant import Participant, ParticipantSpec, ParticipantStatus, PublicKeys, SiteReport
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask, SiteTaskSpec
from wardround.api.task import TaskSpec
from wardround.courier.keys import Identity
from wardround.documents.assignments import Recipient
from wardround.manifests import training
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.types import Control, ObservedDataset
from wardround.sealing import untrusted
from wardround.sealing.keys import (
    DecryptionKey,
    SigningKey,
    hub_fingerprint,
    load_verification_key,
)
from wardround.sealing.manifests import open_assignment, open_grants
from wardround.wire import codec
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants
from wardround.wire.isolation import IsolationTarget
from wardround.wire.training import LiveRounds
from wardround.wire.versions import KNOWN

OURS = "registry.example/wardround/operator@sha256:" + "a" * 64


@dataclass(frozen=True)
class Hospital:
    """A participant with real keys."""

    name: str
    identity: Identity = field(default_factory=Identity.generate)

    @property
    def signing(self) -> SigningKey:
        return self.identity.signing

    @property
    def decryption(self) -> DecryptionKey:
        return self.identity.decryption

    @cached_property
    def keys(self) -> PublicKeys:
        return PublicKeys(**self.identity.published()["keys"])

    @cached_property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.name, self.fingerprint, self.decryption.public, self.keys.signing)

    def status(self, *datasets: str) -> dict[str, Any]:
        """`status` of its Participant, with the keys and the datasets that it offers."""
        offered = [{"name": name} for name in datasets]
        return {"site": {"keys": codec.dump(self.keys), "datasets": offered, "assignmentVersions": list(KNOWN)}}

    def participant(self, max_samples: int | None) -> Participant:
        """Its object on the hub, approved."""
        return Participant(
            metadata=Meta(name=self.name, namespace=self.name),
            spec=ParticipantSpec(key_fingerprint=self.fingerprint, max_samples=max_samples),
            status=ParticipantStatus(site=SiteReport(keys=self.keys, assignment_versions=KNOWN)),
        )

    def assignment(self, spec: TaskSpec, hub: str = "") -> Assignment:
        """What a RoundTask asks. `hub`: the fingerprint that the hospital has pinned."""
        key = untrusted.decode(spec.hub_key, "HubNotPinned")
        assert hub in ("", hub_fingerprint(key))
        return open_assignment(spec.assignment, load_verification_key(key))

    def grants(self, spec: TaskSpec) -> Grants:
        assert spec.grants is not None
        sealed = untrusted.decode(spec.grants, "KeyUnusable")
        uid = spec.round_ref.uid
        return open_grants(sealed, self.decryption, round_uid=uid, attempt=spec.attempt, participant=self.name)

    def job(
        self,
        site: Site,
        uid: str,
        spec: TaskSpec,
        dataset: Mapping[str, Any],
        schema: Mapping[str, Any],
        isolation: Sequence[IsolationTarget],
    ) -> dict[str, Any]:
        """The Job of the SiteTask with this UID."""
        metadata = Meta(name=spec.round_ref.name, namespace=site.metadata.namespace, uid=uid)
        job = training_job(
            site,
            SiteTask(metadata=metadata, spec=SiteTaskSpec.copied(spec, uid)),
            self.assignment(spec),
            ObservedDataset(
                spec=dataset["spec"],
                schema=schema["spec"],
                status=codec.parse(DatasetStatus, dataset.get("status") or {}),
            ),
            control=Control(tuple(isolation), proven=True, seconds=0.25),
            max_samples=None,
            live=LiveRounds((), (), "1970-01-01T00:00:00Z"),
            operator_image=OURS,
        )
        return training.build(job)
