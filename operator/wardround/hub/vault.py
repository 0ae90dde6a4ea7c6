"""The hub's Secrets: its signing key, rounds' private keys, models' data keys. Nothing of them is ever logged."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from wardround.api import names
from wardround.api.federatedround import FederatedRound
from wardround.documents.keys import Identity, Model
from wardround.kube.errors import NotFound
from wardround.plans.round.types import StoredModel
from wardround.ports import Api, Object, Objects
from wardround.sealing.keys import (
    DecryptionKey,
    dump_signing_key,
    dump_verification_key,
    generate_signing_key,
    hub_fingerprint,
    load_signing_key,
)
from wardround.sealing.manifests import open_model
from wardround.store.presign import Credentials
from wardround.wire import canonical, codec


def secret(name: str, namespace: str, data: Mapping[str, bytes], of: FederatedRound | None = None) -> Object:
    """A Secret; if it is of a round, found again by its labels when that round is gone."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if of is not None:
        metadata["labels"] = names.round_labels(of.metadata.name, of.metadata.uid)
        metadata["annotations"] = names.round_ref(of.metadata.namespace, of.metadata.name)
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


def value(found: Object, key: str) -> bytes:
    """One value of a Secret. Raises KeyError with names only."""
    data = found.get("data") or {}
    if key not in data:
        raise KeyError(f"Secret {found['metadata']['name']} has no {key}")
    return base64.b64decode(data[key])


async def identity(client: Api) -> Identity:
    """The signing key, made at the first start."""
    try:
        found = await client.get("Secret", names.HUB_SIGNING_KEY)
    except NotFound:
        fresh = secret(names.HUB_SIGNING_KEY, client.namespace, {"key": dump_signing_key(generate_signing_key())})
        await client.create_if_absent(fresh)
        found = await client.get("Secret", names.HUB_SIGNING_KEY)
    key = load_signing_key(value(found, "key"))
    public = dump_verification_key(key.public_key())
    return Identity(key, public, hub_fingerprint(public))


async def store_credentials(client: Api) -> Credentials:
    found = await client.get("Secret", "store-credentials")
    return Credentials(value(found, "accessKey").decode().strip(), value(found, "secretKey").decode().strip())


async def round_key(client: Api, round_uid: str) -> DecryptionKey:
    found = await client.get("Secret", names.round_secret(round_uid))
    return DecryptionKey.load(value(found, "privateKey"))


class RoundKey:
    """A round's private key: read when it is first asked for, and kept as long as one reconcile."""

    def __init__(self, client: Api, round_uid: str) -> None:
        self._client, self._round_uid = client, round_uid
        self._lock = asyncio.Lock()
        self._key: DecryptionKey | None = None

    async def get(self) -> DecryptionKey:
        async with self._lock:
            if self._key is None:
                self._key = await round_key(self._client, self._round_uid)
            return self._key


async def make_round_key(client: Api, of: FederatedRound) -> None:
    """Unless it is there: tasks that were dispatched before a restart name its public half."""
    key = DecryptionKey.generate()
    name = names.round_secret(of.metadata.uid)
    await client.create_if_absent(secret(name, client.namespace, {"privateKey": key.raw}, of))


async def note(client: Api, found: Object, notes: Mapping[str, str], *, emptied: bool = False) -> None:
    """Annotates a Secret; `emptied`: and deletes what it holds, so that it is only a memory of what is to be done."""
    body: dict[str, Any] = {"metadata": {"uid": found["metadata"]["uid"], "annotations": dict(notes)}}
    if emptied:
        body["data"] = dict.fromkeys(found.get("data") or {})
    await client.patch("Secret", found["metadata"]["name"], body)


async def model(client: Api, round_uid: str, who: Identity) -> Model | None:
    """A round's stored result, or None. Raises Refused if the manifest is not signed by this hub."""
    try:
        found = await client.get("Secret", names.model_secret(round_uid))
    except NotFound:
        return None
    if not found.get("data"):
        return None  # its round was deleted, and what is left is a memory
    text = value(found, "manifest").decode()
    stored = codec.parse(StoredModel, json.loads(value(found, "result")))
    return Model(value(found, "dataKey"), text, open_model(text, who.key.public_key()), stored)


async def results(client: Api, namespace: str, name: str) -> Objects:
    """The Secrets of the results of rounds of this name, the newest first: a round that was deleted can leave one."""
    found = await client.list("Secret", labels=f"{names.ROUND}={names.label_value(name)}")
    ref = names.round_ref(namespace, name)
    mine = [each for each in found if is_result(each) and ref.items() <= each["metadata"]["annotations"].items()]
    return sorted(mine, key=lambda each: str(each["metadata"]["creationTimestamp"]), reverse=True)


def is_result(item: Object) -> bool:
    meta = item["metadata"]
    return bool(item["kind"] == "Secret" and meta["name"] == names.model_secret(meta["labels"][names.ROUND_UID]))


def kept_for(result: Object) -> frozenset[str] | None:
    """UIDs of the rounds that may start from a result although its round was deleted; None as long as nobody has
    noticed that it was."""
    said = result["metadata"]["annotations"].get(names.KEPT_FOR)
    return None if said is None else frozenset(said.split())


async def keep_model(client: Api, of: FederatedRound, data_key: bytes, text: str, stored: StoredModel) -> None:
    data = {"dataKey": data_key, "manifest": text.encode(), "result": canonical.dumps(codec.dump(stored))}
    await client.create_if_absent(secret(names.model_secret(of.metadata.uid), client.namespace, data, of))
