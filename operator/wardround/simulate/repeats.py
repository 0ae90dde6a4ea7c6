"""Makes the secrets and seeds of each repeat, and the claims that hold them. The same seed makes the same secrets.

The first repeat uses the secrets and seeds that the files give. All others, and all that are missing, are derived.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wardround.api.federatedround import FederatedRound
from wardround.pod import order
from wardround.simulate.files import HOLDOUT, SECRETS, HospitalFiles

STATE, WORKSPACE = "state", "workspace"


@dataclass(frozen=True)
class Repeat:
    """`number` counts from 1. `seed`: of the whole simulation."""

    number: int
    seed: int

    @property
    def first(self) -> bool:
        return self.number == 1

    def secret(self, purpose: str) -> bytes:
        """32 bytes that stand for a secret. Nobody has to keep them: the data is the researcher's own."""
        return hashlib.sha256(f"wardround simulate {self.seed} {self.number} {purpose}".encode()).digest()

    def datasets(self, files: HospitalFiles) -> dict[str, Mapping[str, Any]]:
        """The hospital's Datasets with the split of this repeat. The holdout's rows stay on their side."""
        return {name: self._dataset(files.name, name, spec) for name, spec in files.datasets.items()}

    def _dataset(self, hospital: str, name: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        split = spec["split"]
        if hospital == HOLDOUT or (self.first and "key" in split):
            return spec
        return {**spec, "split": {**split, "key": self.secret(f"split of {hospital} {name}").hex()}}

    def round(self, federated_round: FederatedRound) -> FederatedRound:
        """The round with the seed of this repeat."""
        if self.first or federated_round.spec.task != "Train":
            return federated_round
        seed = int.from_bytes(self.secret(f"training {federated_round.spec.seed}")[:4], "big") >> 1
        return replace(federated_round, spec=replace(federated_round.spec, seed=seed))

    def make_claims(self, files: HospitalFiles, folder: Path) -> None:
        """The claims `state` and `workspace` of a hospital, empty but for its secrets."""
        (folder / WORKSPACE).mkdir(parents=True)
        secrets = folder / STATE / SECRETS
        secrets.mkdir(parents=True)
        if self.first and files.secrets is not None:
            shutil.copytree(files.secrets, secrets, dirs_exist_ok=True)
        key = secrets / order.FOLDER / order.FILE
        if not key.exists():
            key.parent.mkdir(exist_ok=True)
            key.write_bytes(self.secret(f"order of {files.name}"))
