"""What a deleted round leaves of its result on the hub."""

from __future__ import annotations

from tests.simulation.hub import NAMESPACE, LoneHub
from tests.unit.plans_hub.builders import FEDERATION, UID
from wardround.api import names
from wardround.ports import Object


def leave_result(hub: LoneHub, name: str = "train-0", uid: str = UID) -> None:
    """Leaves the Secret and the bytes of a round that is gone. This hub's key did not sign the result, so no round
    starts from it."""
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
