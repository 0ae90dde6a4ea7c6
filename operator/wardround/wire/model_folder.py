"""The files of a model's folder that people can read: card.json, and model.json at a hospital. docs/contracts.md, 9."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.wire import codec


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """card.json. `card`: the document of the ModelCard, as the hub has signed it. A reader parses it only after the
    signature, because it may be of a newer version. `hub_key`: SPKI DER. `signature`: of the envelope whose payload is
    the canonical JSON of `card`."""

    card: Mapping[str, Any]
    hub_key: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class FolderOwner:
    """model.json. The FederatedModel to which a folder on the claim of models belongs. `federation`: its namespace on
    the hub."""

    federation: str
    name: str
    uid: str


def text(file: CardFile | FolderOwner) -> str:
    """The content of the file, as people read it."""
    return json.dumps(codec.dump_document(file), indent=2, ensure_ascii=False) + "\n"


def pull_command(target: str, namespace: str) -> str:
    """The command that writes a model's folder on a laptop. `target`: federatedmodel/NAME or federatedround/NAME."""
    return f"kubectl wardround model pull {target} -n {namespace} -o FOLDER --hub-fingerprint sha256:.."
