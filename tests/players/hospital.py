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
from wardround.documents.assignments import Recipient
from wardround.manifests import training
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.types import Control, ObservedDataset
from wardround.sealing import untrusted
from wardround.sealing.keys import (
    DecryptionKey,
    SigningKey,
    dump_verification_key,
    generate_signing_key,
    hub_fingerprint,
    load_verification_key,
    participant_fingerprint,
)
from wardround.sealing.manifests import open_assignment, open_grants
from wardround.wire import canonical, codec
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
    signing: SigningKey = field(default_factory=generate_signing_key)
    decryption: DecryptionKey = field(default_factory=DecryptionKey.generate)

    @cached_property
    def verification(self) -> bytes:
        """The public key of its signatures."""
        return dump_verification_key(self.signing.public_key())

    @property
    def keys(self) -> PublicKeys:
        decryption = canonical.encode(self.decryption.public.raw)
        return PublicKeys(signing=canonical.encode(self.verification), decryption=decryption)

    @cached_property
    def fingerprint(self) -> str:
        return participant_fingerprint(self.verification, self.decryption.public.raw)

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.name, self.fingerprint, self.decryption.public, self.keys.signing)

    def status(self, *datasets: str) -> dict[str, Any]:
        """`status` of its Participant, with the keys and the datasets that it offers."""
        keys = {"signing": self.keys.signing, "decryption": self.keys.decryption}
        offered = [{"name": name} for name in datasets]
        return {"site": {"keys": keys, "datasets": offered, "assignmentVersions": list(KNOWN)}}

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
        task_spec = SiteTaskSpec(
            round_ref=spec.round_ref,
            attempt=spec.attempt,
            assignment=spec.assignment,
            hub_key=spec.hub_key,
            round_task_uid=uid,
        )
        job = training_job(
            site,
            SiteTask(metadata=metadata, spec=task_spec),
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
