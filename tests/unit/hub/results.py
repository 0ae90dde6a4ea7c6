"""What a deleted round leaves of its result on the hub."""

from __future__ import annotations

from tests.simulation.hub import NAMESPACE, LoneHub
from tests.unit.plans_hub.builders import FEDERATION, UID
from wardround.api import names
from wardround.ports import Object

LOCATION = names.model_location(UID, 1)


def leave_result(hub: LoneHub) -> None:
    """What is left of train-0: its Secret and its bytes. This hub's key did not sign it, so nothing starts from it."""
    metadata = {
        "name": names.model_secret(UID),
        "namespace": NAMESPACE,
        "labels": names.round_labels("train-0", UID),
        "annotations": names.round_ref(FEDERATION, "train-0"),
    }
    hub.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"dataKey": "AA=="}})
    hub.store.stored[f"{LOCATION}/segments"] = b"sealed"


def result(hub: LoneHub) -> Object | None:
    secrets = hub.server.select("Secret", NAMESPACE, fields=f"metadata.name={names.model_secret(UID)}")
    return secrets[0] if secrets else None
