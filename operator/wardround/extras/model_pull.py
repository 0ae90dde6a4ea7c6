"""Finds the model that a person names, asks the hub for it by a ModelTransfer, and writes its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wardround.api import conditions, federatedmodel, federatedround, modeltransfer, modelversion
from wardround.api.meta import API_VERSION
from wardround.api.modelversion import ModelVersion
from wardround.api.names import MODEL_UID
from wardround.cli import named_versions, verbs
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError
from wardround.cli.objects import read
from wardround.clock import NONCE_BYTES, system_random_bytes
from wardround.extras import model_standing
from wardround.extras.model_requests import check_fingerprint, is_complete, wait_for
from wardround.plans.model.status import ROUND_GONE
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
    from wardround.card.folder import FolderRefused, write_warnings
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
    standings = model_standing.standings(hub, namespace, card.round_uid)
    write_warnings(path, [each.warning for each in standings if each.refused])
    return [wrote, *(each.line for each in standings)]


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
    """`roundName` or `versionName` of the spec. Raises CommandError, codec.Malformed."""
    if kind == federatedround.KIND:
        return {"roundName": name}
    if kind == modelversion.KIND:
        version = read(modelversion.parse, verbs.needed(hub, kind, name, namespace))
    elif kind == federatedmodel.KIND:
        version = _version(hub, name, namespace)
    else:
        raise CommandError(
            "`model pull` takes federatedround/NAME, modelversion/NAME or federatedmodel/NAME[@VERSION]."
        )
    ready = conditions.find(version.status.conditions, "Ready")
    if ready is not None and ready.reason == ROUND_GONE:
        raise CommandError(f"{NOTHING} {ready.message}")
    return {"versionName": version.metadata.name}


def _version(hub: Cluster, target: str, namespace: str) -> ModelVersion:
    """The version of a FederatedModel. `target`: NAME for the current one, or NAME@VERSION."""
    name, _, number = target.partition("@")
    item = verbs.needed(hub, federatedmodel.KIND, name, namespace)
    # The versions of a deleted FederatedModel of this name may still exist, with the same numbers.
    listed = hub.list(modelversion.KIND, namespace, f"{MODEL_UID}={item['metadata']['uid']}")
    model, versions = read(federatedmodel.parse, item), [read(modelversion.parse, each) for each in listed]
    if number:
        return named_versions.numbered(model, versions, number)
    chosen = named_versions.current(model, versions)
    if chosen is None:
        raise CommandError(
            f"FederatedModel {name} has no current version yet. To see why: kubectl wardround explain "
            f"federatedmodel/{name} -n {namespace}"
        )
    return chosen
