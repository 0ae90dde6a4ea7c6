"""What a deleted round leaves of its result on the hub."""

from __future__ import annotations

from contextlib import suppress

from tests.simulation.hub import NAMESPACE, LoneHub
from tests.unit.plans_hub.builders import FEDERATION, UID
from wardround.api import names
from wardround.kube.errors import AlreadyExists
from wardround.ports import Object, Objects


def enter(hub: LoneHub, name: str, uid: str = UID) -> None:
    """The entry of a round in the register of the hub."""
    marks = {"labels": names.round_labels(name, uid), "annotations": names.round_ref(FEDERATION, name)}
    metadata = {"name": names.register_entry(uid), "namespace": NAMESPACE, **marks}
    hub.server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def leave_result(hub: LoneHub, name: str = "train-0", uid: str = UID) -> None:
    """Leaves the entry in the register, the Secret and the bytes of a round that is gone. This hub's key did not sign
    the result, so no round starts from it."""
    with suppress(AlreadyExists):
        enter(hub, name, uid)
    metadata = {
        "name": names.model_secret(uid),
        "namespace": NAMESPACE,
        "labels": names.round_labels(name, uid),
        "annotations": names.round_ref(FEDERATION, name),
    }
    hub.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"dataKey": "AA=="}})
    hub.store.stored[f"{names.model_location(uid, 1)}/segments"] = b"sealed"


def result(hub: LoneHub) -> Object | None:
    secrets = hub.server.select("Secret", NAMESPACE, fields=f"metadata.name={names.model_secret(UID)}")
    return secrets[0] if secrets else None


def entries(hub: LoneHub, mark: str = names.ROUND_UID) -> Objects:
    """The entries of rounds in the register, or of pushes."""
    return hub.server.select("ConfigMap", NAMESPACE, mark)
