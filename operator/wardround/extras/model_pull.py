"""Finds the model that a person names, asks the hub for it by a ModelTransfer, and writes its folder."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wardround.api import conditions, modeltransfer
from wardround.api.meta import API_VERSION
from wardround.api.modeltransfer import ModelTransfer
from wardround.api.names import MODEL_UID
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError, MissingError
from wardround.cli.objects import printable
from wardround.reasons.registry import reason_for
from wardround.sealing.keys import DecryptionKey
from wardround.wire import canonical
from wardround.wire.card import ModelCard
from wardround.wire.digests import DIGEST

INSTALL = "pip install '.[cli,models]'"
POLL_SECONDS = 0.5


def pull(hub: Cluster, kind: str, name: str, namespace: str, path: Path, fingerprint: str, seconds: float) -> list[str]:
    """Writes the model's folder. Returns lines for the person. Raises CommandError."""
    if not DIGEST.fullmatch(fingerprint):
        raise CommandError(
            "--hub-fingerprint is sha256: and 64 hexadecimal digits, as the hub's administrator tells them."
        )
    if path.exists() or not path.absolute().parent.is_dir():
        raise CommandError(f"{path} exists, or the folder above it does not. Name a new folder.")
    from wardround.card.folder import FolderRefused
    from wardround.card.pull import Asked, DownloadFailed
    from wardround.card.pull import pull as write

    source = _source(hub, kind, name, namespace)
    key, user = DecryptionKey.generate(), hub.user()
    made = hub.create(_manifest(namespace, source, key, user))
    try:
        answered = _answer(hub, made, seconds)
        assert answered.status.model is not None, "a transfer that is Complete has its model"
        asked = Asked(key, answered.metadata.uid, user, fingerprint)
        card = write(answered.status.model, asked, path.absolute())
    except FolderRefused as refusal:
        raise CommandError(f"Nothing was written: {refusal}.") from None
    except DownloadFailed as failure:
        raise CommandError(f"Nothing was written: {failure}.") from None
    finally:
        hub.delete(modeltransfer.KIND, made["metadata"]["name"], namespace)
    return [f"Wrote {path}: {_described(card)}, {len(card.metrics)} numbers on its card (revision {card.revision})"]


def _described(card: ModelCard) -> str:
    if not card.hospitals:
        return f"the weights that a person pushed as {card.round_name}; no hospital has trained them here"
    return f"the model of round {card.round_name}, {card.hospitals} hospitals, {card.people} people"


def _manifest(namespace: str, source: Mapping[str, str], key: DecryptionKey, user: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": modeltransfer.KIND,
        "metadata": {"name": f"pull-{secrets.token_hex(8)}", "namespace": namespace},
        "spec": {**source, "publicKey": canonical.encode(key.public.raw), "requestedBy": user},
    }


def _source(hub: Cluster, kind: str, name: str, namespace: str) -> dict[str, str]:
    """`roundName` or `versionName` of the spec."""
    if kind == "FederatedRound":
        return {"roundName": name}
    if kind == "ModelVersion":
        return {"versionName": name}
    if kind != "FederatedModel":
        raise CommandError(
            "`model pull` takes federatedround/NAME, modelversion/NAME or federatedmodel/NAME[@VERSION]."
        )
    name, _, version = name.partition("@")
    model = hub.get(kind, name, namespace)
    if model is None:
        raise MissingError(f"There is no FederatedModel {name} in namespace {namespace}.")
    if not version:
        current = (model.get("status") or {}).get("current")
        if not current:
            raise CommandError(
                f"FederatedModel {name} has no current version yet. To see why: kubectl wardround explain "
                f"federatedmodel/{name} -n {namespace}"
            )
        return {"versionName": current}
    # The versions of a deleted FederatedModel of this name may still exist, with the same numbers.
    versions = hub.list("ModelVersion", namespace, f"{MODEL_UID}={model['metadata']['uid']}")
    for each in versions:
        if str(each["spec"]["version"]) == version:
            return {"versionName": each["metadata"]["name"]}
    known = ", ".join(sorted(str(each["spec"]["version"]) for each in versions)) or "none"
    raise CommandError(f"FederatedModel {name} has no version {printable(version)}. The model has: {known}.")


def _answer(hub: Cluster, made: Object, seconds: float, sleep: Callable[[float], Any] = time.sleep) -> ModelTransfer:
    """The transfer once the hub operator has answered it. Raises CommandError if the person gets no model."""
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    until = time.monotonic() + seconds
    while True:
        item = hub.get(modeltransfer.KIND, name, namespace)
        if item is None:
            raise CommandError(
                f"Somebody deleted ModelTransfer {name} before the hub operator answered it. Run the command again."
            )
        transfer = modeltransfer.parse(item)
        known = transfer.status.conditions
        if conditions.is_true(known, "Complete"):
            return transfer
        if failed := conditions.find(known, "Failed"):
            raise CommandError(f"The hub does not give this model. {failed.reason}: {reason_for(failed.reason).text}")
        if time.monotonic() > until:
            raise CommandError(
                f"The hub operator has not answered within {seconds:g} s. Ask the hub's administrator whether the hub "
                "operator runs."
            )
        sleep(POLL_SECONDS)
