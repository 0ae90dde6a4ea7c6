"""A model of the built-in trainer with a signed card, as a folder; and the Dataset of a hospital that uses it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.plans_hub.builders import FEDERATION, NOW, UID
from wardround import tensors
from wardround.api import federatedround
from wardround.api.federatedround import Result
from wardround.card import folder
from wardround.documents import cards
from wardround.documents.keys import Identity
from wardround.plans.round.types import StoredModel
from wardround.sealing.body import MODEL, new_header
from wardround.sealing.cards import sign_card
from wardround.tabular import dataschema
from wardround.wire.card import CardMetric, ModelCard
from wardround.wire.digests import digest
from wardround.wire.models import ModelManifest
from wardround_trainer import network

SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "side", "type": "string", "categories": ["left", "right"], "required": True},
        {"name": "age", "type": "integer", "minimum": "0", "maximum": "120"},
        {"name": "radius", "type": "number", "unit": "mm", "minimum": "0"},
        {"name": "seen", "type": "date", "description": "of the first visit"},
        {"name": "malignant", "type": "integer", "categories": ["0", "1"]},
    ],
    "target": "malignant",
}
DATASET: dict[str, Any] = {
    "claimName": "data",
    "schemaName": "breast-v1",
    "path": "cases.csv",
    "format": "CSV",
    "identifier": {"column": "patient", "type": "string"},
    "fields": [
        {"name": "side", "categories": [{"name": "left", "from": "links"}, {"name": "right", "from": "rechts"}]},
        {"name": "radius", "from": "RADIUS_CM", "scale": "10", "missingValues": ["-9"]},
    ],
    "split": {"validation": "0.15", "test": "0.2"},
}
HIDDEN = (4, 3)


def changed(name: str, /, **field: Any) -> dict[str, Any]:
    """The DataSchema with other entries of a field."""
    return SCHEMA | {"fields": [each | field if each["name"] == name else each for each in SCHEMA["fields"]]}


THRESHOLD = CardMetric(name="threshold", value="0.4", people=200, hospitals=2, rows="Validation", round_name="evaluate")


def weights(hidden: tuple[int, ...] = HIDDEN) -> dict[str, np.ndarray[Any, Any]]:
    """Weights of a trained model: none of them is zero."""
    random = np.random.default_rng(7)
    made = {name: random.normal(0, 0.8, shape).astype(np.float32) for name, shape in network.shapes(2, hidden).items()}
    standard = {
        "wardround.input.mean": np.array([55, 14], np.float32),
        "wardround.input.std": np.array([12, 3.5], np.float32),
    }
    return {**made, **standard}


def training(spec: dict[str, Any] | None = None) -> federatedround.FederatedRound:
    """The first Train round."""
    fields = {
        "task": "Train",
        "datasetName": "breast",
        "schemaName": "breast-v1",
        "participants": {"names": ["a", "b"]},
        "initial": {"statisticsRoundName": "statistics"},
        "image": f"registry.example/trainer@{digest(b'image')}",
        "parameters": {"hidden": "4,3", "epochs": "5"},
        "card": {"intendedUse": "research", "limits": "adults", "licence": "CC-BY-4.0", "contact": "a@example.org"},
        **(spec or {}),
    }
    return federatedround.parse({"metadata": {"name": "train-1", "namespace": FEDERATION, "uid": UID}, "spec": fields})


def manifest(data: bytes) -> ModelManifest:
    header = new_header(
        bytes(32),
        kind=MODEL,
        round_uid=UID,
        attempt=1,
        participant="",
        base_digest="",
        image_digest="",
        schema_digest=tensors.layout(data).schema_digest if data else "",
        length=len(data),
    )
    return ModelManifest(header, digest(data), digest(b"segments"), f"models/{UID}/1", len(data) + 16)


def making(
    data: bytes = b"", spec: dict[str, Any] | None = None, schema: dict[str, Any] | None = SCHEMA, **changes: Any
) -> cards.Making:
    """`schema`: None if the DataSchema was gone when the round ended."""
    made, table = training(spec), dataschema.parse(SCHEMA if schema is None else schema)
    result = Result(
        digest=digest(data),
        location="l",
        bytes=1,
        samples=398,
        columns_digest=dataschema.columns_digest(table),
    )
    stored = StoredModel(
        task="Train",
        result=result,
        aggregated=("a", "b"),
        image=made.spec.image or "",
        command=made.spec.command,
        parameters=made.spec.parameters,
    )
    return replace(
        cards.Making(
            round=made,
            stored=stored,
            manifest=manifest(data),
            base=None,
            base_card=None,
            hospital_names=(),
            schema_digest=dataschema.digest(table),
            schema=schema,
        ),
        **changes,
    )


@dataclass(frozen=True)
class Made:
    """A folder with its hub."""

    path: Path
    identity: Identity
    card: ModelCard


OWN_CODE: dict[str, Any] = {
    "image": f"registry.example/own@{digest(b'own image')}",
    "command": ["python", "/trainer.py"],
    "parameters": {"steps": "200", "learningRate": "0.5"},
}


def write_own(path: Path, **changes: Any) -> Made:
    """The folder of a model that examples/own-image has trained."""
    random = np.random.default_rng(11)
    own = {
        "input.mean": np.array([55, 14], np.float32),
        "input.std": np.array([12, 3.5], np.float32),
        "weight": random.normal(0, 0.8, 2).astype(np.float32),
        "bias": np.array([0.3], np.float32),
    }
    return _write(path, own, making_spec=OWN_CODE, **changes)


def write_folder(
    path: Path, hidden: tuple[int, ...] = HIDDEN, other: dict[str, np.ndarray[Any, Any]] | None = None, **changes: Any
) -> Made:
    """The folder of a model, as `model pull` writes it. `changes`: fields of the card, before the hub signs it.
    `other`: tensors in place of those of the trained model."""
    return _write(path, weights(hidden) | (other or {}), **changes)


def _write(
    path: Path,
    model: dict[str, np.ndarray[Any, Any]],
    making_spec: dict[str, Any] | None = None,
    **changes: Any,
) -> Made:
    path.mkdir(parents=True, exist_ok=True)
    tensors.write(path / folder.MODEL_FILE, model)
    data = (path / folder.MODEL_FILE).read_bytes()
    identity = Identity.generate()
    card = replace(cards.first(making(data, making_spec), NOW), **{"metrics": (THRESHOLD,), **changes})
    (path / folder.CARD_FILE).write_text(folder.signed(sign_card(card, identity.key), identity.public).text)
    return Made(path, identity, card)
