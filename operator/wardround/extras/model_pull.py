"""Finds the model that a person names, asks the hub for it by a ModelTransfer, and writes its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wardround.api import modeltransfer
from wardround.api.meta import API_VERSION
from wardround.api.names import MODEL_UID
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError, MissingError
from wardround.cli.objects import printable
from wardround.clock import NONCE_BYTES, system_random_bytes
from wardround.extras import model_standing
from wardround.extras.model_requests import check_fingerprint, is_complete, wait_for
from wardround.sealing.keys import DecryptionKey
from wardround.wire import canonical
from wardround.wire.card import ModelCard

NOTHING = "The hub operator does not give you this model."


def pull(hub: Cluster, kind: str, name: str, namespace: str, path: Path, fingerprint: str, seconds: float) -> list[str]:
    """Writes the model's folder. Returns lines for the person. Raises CommandError."""
    check_fingerprint(fingerprint)
    if path.exists() or not path.absolute().parent.is_dir():
        raise CommandError(
            f"The command cannot make the folder {path}: it exists already, or the folder above it does not exist. "
            "Name a new folder."
        )
    from wardround.card.folder import FolderRefused
    from wardround.card.own_request import OwnRequest
    from wardround.card.pull import DownloadFailed
    from wardround.card.pull import pull as write

    source = _source(hub, kind, name, namespace)
    key, user = DecryptionKey.generate(), hub.user()
    made = hub.create(_manifest(namespace, source, key, user))
    try:
        answered = wait_for(hub, made, seconds, modeltransfer.parse, is_complete, NOTHING)
        assert answered.status.model is not None, "a transfer that is Complete has its model"
        own = OwnRequest(key, answered.metadata.uid, user, fingerprint)
        card = write(answered.status.model, own, path.absolute())
    except FolderRefused as refusal:
        raise CommandError(f"Nothing was written: {refusal}.") from None
    except DownloadFailed as failure:
        raise CommandError(f"Nothing was written: {failure}.") from None
    finally:
        hub.delete(modeltransfer.KIND, made["metadata"]["name"], namespace)
    wrote = f"Wrote {path}: {_described(card)}, {len(card.metrics)} numbers on its card (revision {card.revision})"
    return [wrote, *model_standing.lines(hub, namespace, card.round_uid)]


def _described(card: ModelCard) -> str:
    if not card.hospitals:
        return f"the weights that a person pushed as {card.round_name}; no hospital has trained them here"
    return f"the model of round {card.round_name}, {card.hospitals} hospitals, {card.people} people"


def _manifest(namespace: str, source: Mapping[str, str], key: DecryptionKey, user: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": modeltransfer.KIND,
        "metadata": {"name": f"pull-{system_random_bytes(NONCE_BYTES).hex()}", "namespace": namespace},
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
        raise MissingError(
            f"There is no FederatedModel {name} in namespace {namespace}. To see the FederatedModels: kubectl get "
            f"federatedmodels -n {namespace}."
        )
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
    raise CommandError(f"FederatedModel {name} has no version {printable(version)}. Name one of its versions: {known}.")
