"""The hospital of `wardround simulate`, with new keys for each test, and what tests read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from wardround.api.participant import PublicKeys
from wardround.api.task import TaskSpec
from wardround.documents.assignments import Recipient
from wardround.plans.assignment import verify
from wardround.sealing.keys import DecryptionKey, SigningKey
from wardround.simulate import hospital
from wardround.wire.assignment import Assignment

OURS = "registry.example/wardround/operator@sha256:" + "a" * 64


@dataclass(frozen=True)
class Hospital(hospital.Hospital):
    """A participant with real keys. Without a pin, it verifies no assignment."""

    hub_fingerprint: str = ""

    @property
    def signing(self) -> SigningKey:
        return self.identity.signing

    @property
    def decryption(self) -> DecryptionKey:
        return self.identity.decryption

    @cached_property
    def keys(self) -> PublicKeys:
        return PublicKeys(**self.identity.published()["keys"])

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.name, self.fingerprint, self.decryption.public, self.keys.signing)

    def status(self) -> dict[str, Any]:
        """`status` of its Participant, as its site operator writes it."""
        return {"site": self.report(datetime.now(UTC))}

    def assignment(self, spec: TaskSpec) -> Assignment:
        """What a RoundTask asks, verified."""
        return verify(self.received(spec, datetime.now(UTC)))


def offering(
    name: str, dataset_name: str, dataset: Mapping[str, Any], schema: Mapping[str, Any], hub_fingerprint: str = ""
) -> Hospital:
    """A hospital with one Dataset. `dataset`, `schema`: the specs of the Dataset and of its DataSchema."""
    return Hospital(
        name,
        hub_fingerprint,
        datasets={dataset_name: dataset},
        schemas={dataset["schemaName"]: schema},
        policy={"datasets": [{"name": dataset_name, "federations": []}]},
    )
