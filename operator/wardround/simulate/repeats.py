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
from wardround.pod import keys, row_order, split_key
from wardround.simulate.files import SECRETS, HospitalFiles

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
        """The hospital's Datasets in this repeat. Only the first repeat reads the key files."""
        if self.first:
            return dict(files.datasets)
        return {name: {**spec, "split": _without_key_file(spec["split"])} for name, spec in files.datasets.items()}

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
        made = {row_order.FOLDER: f"order of {files.name}"} | {
            f"{split_key.FOLDER}/{name}": _split_purpose(files, name, spec) for name, spec in files.datasets.items()
        }
        for place, purpose in made.items():
            key = secrets / place / keys.FILE
            if not key.exists():
                key.parent.mkdir(parents=True, exist_ok=True)
                key.write_bytes(self.secret(purpose))


def _without_key_file(split: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in split.items() if name != "keyFile"}


def _split_purpose(files: HospitalFiles, name: str, spec: Mapping[str, Any]) -> str:
    """What the key of a Dataset's split is derived from. Hospitals that share a key share the derived keys, too."""
    if key_file := spec["split"].get("keyFile"):
        shared = hashlib.sha256((files.folder / key_file).read_bytes().strip()).hexdigest()
        return f"split of all with the key {shared}"
    return f"split of {files.name} {name}"
