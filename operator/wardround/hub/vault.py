"""The hub's Secrets: its signing key, private keys of rounds, data keys of results. Their values are never logged."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from wardround.api import names
from wardround.api.federatedround import FederatedRound
from wardround.api.modelpush import ModelPush
from wardround.documents import server_states
from wardround.documents.keys import Identity, Model
from wardround.documents.pushes import SealedPush
from wardround.hub import register
from wardround.kube.errors import NotFound
from wardround.kube.index import annotations_of
from wardround.plans.round.types import StoredModel
from wardround.ports import Api, Object, Objects
from wardround.presign import Credentials
from wardround.sealing.keys import (
    DecryptionKey,
    dump_signing_key,
    generate_signing_key,
    load_signing_key,
)
from wardround.sealing.manifests import open_model
from wardround.sealing.refused import Refused
from wardround.wire import canonical, codec
from wardround.wire.models import Header

# Under this name, the Secret of a round's key has it.
PRIVATE_KEY = "privateKey"


def secret(name: str, namespace: str, data: Mapping[str, bytes], owner: FederatedRound | None = None) -> Object:
    """A Secret. Its labels name the round that it belongs to, if any."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if owner is not None:
        metadata["labels"] = names.round_labels(owner.metadata.name, owner.metadata.uid)
        metadata["annotations"] = names.round_ref(owner.metadata.namespace, owner.metadata.name)
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


def value(item: Object, key: str) -> bytes:
    """One value of a Secret. Raises KeyError with names only."""
    data = item.get("data") or {}
    if key not in data:
        raise KeyError(f"Secret {item['metadata']['name']} has no {key}")
    return base64.b64decode(data[key])


async def identity(client: Api) -> Identity:
    """The signing key, made at the first start."""
    try:
        item = await client.get("Secret", names.HUB_SIGNING_KEY)
    except NotFound:
        fresh = secret(names.HUB_SIGNING_KEY, client.namespace, {"key": dump_signing_key(generate_signing_key())})
        await client.create_if_absent(fresh)
        item = await client.get("Secret", names.HUB_SIGNING_KEY)
    return Identity.of_key(load_signing_key(value(item, "key")))


async def store_credentials(client: Api) -> Credentials:
    item = await client.get("Secret", "store-credentials")
    return Credentials(value(item, "accessKey").decode().strip(), value(item, "secretKey").decode().strip())


async def round_secret(client: Api, round_uid: str) -> Object:
    """The Secret of a round's key. Raises NotFound."""
    return await client.get("Secret", names.round_secret(round_uid))


class RoundKey:
    """A round's private key. `item`: its Secret, if it is known already. Otherwise it is read when it is first needed.
    It is kept for one reconcile."""

    def __init__(self, client: Api, round_uid: str, item: Object | None = None) -> None:
        self._client, self._round_uid, self._item = client, round_uid, item
        self._lock = asyncio.Lock()
        self._key: DecryptionKey | None = None

    async def secret(self) -> Object:
        """Raises NotFound."""
        async with self._lock:
            if self._item is None:
                self._item = await round_secret(self._client, self._round_uid)
            return self._item

    async def get(self) -> DecryptionKey:
        """Raises NotFound, KeyError."""
        item = await self.secret()
        if self._key is None:
            self._key = DecryptionKey.load(value(item, PRIVATE_KEY))
        return self._key


async def make_round_key(client: Api, federated_round: FederatedRound) -> None:
    """Makes the key unless it exists: tasks that were dispatched before a restart name its public half."""
    await _register(client, federated_round)
    key = DecryptionKey.generate()
    name = names.round_secret(federated_round.metadata.uid)
    await client.create_if_absent(secret(name, client.namespace, {PRIVATE_KEY: key.raw}, federated_round))


async def make_memory(client: Api, federated_round: FederatedRound, notes: Mapping[str, str]) -> None:
    """Puts an empty Secret into the place of the round's key, unless there is one."""
    await _register(client, federated_round)
    item = secret(names.round_secret(federated_round.metadata.uid), client.namespace, {}, federated_round)
    item["metadata"]["annotations"] |= notes
    await client.create_if_absent(item)


async def _register(client: Api, federated_round: FederatedRound) -> None:
    """Before the first Secret of a round: by its entry, the Secrets are found when the round is gone."""
    meta = federated_round.metadata
    labels, notes = names.round_labels(meta.name, meta.uid), names.round_ref(meta.namespace, meta.name)
    await register.enter(client, meta.uid, labels, notes)


def noted(item: Object, annotation: str) -> str:
    """An annotation of a Secret; "" if it has none of this name."""
    return annotations_of(item).get(annotation, "")


async def note(client: Api, item: Object, notes: Mapping[str, str], *, emptied: bool = False) -> None:
    """Annotates a Secret. `emptied`: also deletes its values, so that it is only a memory of what is left to do."""
    body: dict[str, Any] = {"metadata": {"uid": item["metadata"]["uid"], "annotations": dict(notes)}}
    if emptied:
        body["data"] = dict.fromkeys(item.get("data") or {})
    await client.patch("Secret", item["metadata"]["name"], body)


async def model(client: Api, round_uid: str, identity: Identity) -> Model | None:
    """A round's stored result, or None. Raises Refused if the manifest is not signed by this hub."""
    return read_model(await client.get_if_exists("Secret", names.model_secret(round_uid)), identity)


def read_model(item: Object | None, identity: Identity) -> Model | None:
    """The result in a Secret, or None. Raises Refused if the manifest is not signed by this hub, and KeyError or
    ValueError if somebody has damaged another value."""
    if item is None or not item.get("data"):
        return None  # its round was deleted, and the Secret is only a memory
    text = value(item, "manifest").decode()
    stored = _record(value(item, "result"))
    card = value(item, "card").decode() if "card" in item["data"] else ""
    manifest = open_model(text, identity.key.public_key())
    result = Model(value(item, "dataKey"), text, manifest, stored, card)
    if "serverState" not in item["data"]:
        return result
    try:
        state, keys = value(item, "serverState").decode(), value(item, "serverStateKeys")
        return replace(result, state=server_states.opened(state, keys, manifest, identity.key.public_key()))
    except (Refused, KeyError, ValueError):
        return replace(result, state_damaged=True)


def _record(data: bytes) -> StoredModel:
    """Raises ValueError, also for a text that is nested so deeply that Python gives it up."""
    try:
        return codec.parse(StoredModel, json.loads(data))
    except RecursionError:
        raise ValueError("nested too deeply") from None


async def results(client: Api, round_uids: Iterable[str]) -> Objects:
    """The Secrets of the results of these rounds, the newest first."""
    secrets = [await client.get_if_exists("Secret", names.model_secret(uid)) for uid in round_uids]
    known = (each for each in secrets if each is not None)
    return sorted(known, key=lambda each: str(each["metadata"]["creationTimestamp"]), reverse=True)


async def results_by_name(client: Api, namespace: str, name: str) -> Objects:
    """The Secrets of the results of all rounds that have or had this name, the newest first. The API server goes
    through the whole register: nobody can compute the UID of a round that is gone."""
    return await results(client, await register.rounds_by_name(client, namespace, name))


def kept_for(result: Object) -> frozenset[str] | None:
    """UIDs of the rounds that may start from a result although its round was deleted; None until the hub operator has
    noticed the deletion."""
    uids = result["metadata"]["annotations"].get(names.KEPT_FOR)
    return None if uids is None else frozenset(uids.split())


async def keep_model(client: Api, federated_round: FederatedRound, model: Model) -> None:
    """Stores the key, the signed manifest, the record, the card and the server state of a round's result."""
    data = {
        "dataKey": model.data_key,
        "manifest": model.text.encode(),
        "result": canonical.dumps(codec.dump(model.stored)),
        **({"card": model.card.encode()} if model.card else {}),
    }
    if model.state is not None:
        data |= {"serverState": model.state.text.encode(), "serverStateKeys": b"".join(model.state.data_keys)}
    await client.create_if_absent(
        secret(names.model_secret(federated_round.metadata.uid), client.namespace, data, federated_round)
    )


async def keep_push(client: Api, push: ModelPush, sealed: SealedPush, until: str) -> None:
    """Keeps the key and the header of a file that a person may upload `until` a time. Both stay if they exist."""
    meta = push.metadata
    data = {"dataKey": sealed.data_key, "header": codec.write_document(sealed.header)}
    labels = {names.PUSH: names.label_value(meta.name), names.PUSH_UID: meta.uid}
    ref = {names.PUSH_REF: f"{meta.namespace}/{meta.name}"}
    item = secret(names.model_secret(meta.uid), client.namespace, data)
    item["metadata"] |= {"labels": labels, "annotations": {**ref, names.PUTS_UNTIL: until}}
    # First the entry: by it, the Secret is found if the push is deleted while no hub operator runs.
    await register.enter(client, meta.uid, labels, ref)
    await client.create_if_absent(item)


async def sealed_push(client: Api, push_uid: str) -> SealedPush:
    """Raises NotFound, KeyError, Malformed."""
    item = await client.get("Secret", names.model_secret(push_uid))
    return SealedPush(value(item, "dataKey"), codec.read_document(Header, value(item, "header"), "header"))


async def keep_pushed(client: Api, push_uid: str, model: Model) -> None:
    """Adds the signed manifest, the record and the card to the key of a pushed model."""
    added = {"manifest": model.text.encode(), "result": canonical.dumps(codec.dump(model.stored))}
    added["card"] = model.card.encode()
    data = {name: base64.b64encode(each).decode() for name, each in added.items()}
    await client.patch("Secret", names.model_secret(push_uid), {"data": data})


def push_of(item: Object) -> tuple[str, str]:
    """Namespace and name of the ModelPush that an entry of the register or a Secret was made for."""
    namespace, _, name = item["metadata"]["annotations"][names.PUSH_REF].partition("/")
    return namespace, name


async def revise_card(client: Api, round_uid: str, revise: Callable[[str], str | None]) -> None:
    """Replaces the card of a result by what `revise` makes of it, if that is another one. Another writer's card is not
    lost: the API server refuses the change if the Secret has changed since it was read. Raises ApiError."""
    item = await client.get("Secret", names.model_secret(round_uid))
    if "card" not in (item.get("data") or {}):
        return
    revised = revise(value(item, "card").decode())
    if revised is not None:
        metadata = {"uid": item["metadata"]["uid"], "resourceVersion": item["metadata"]["resourceVersion"]}
        data = {"card": base64.b64encode(revised.encode()).decode()}
        await client.patch("Secret", item["metadata"]["name"], {"metadata": metadata, "data": data})
