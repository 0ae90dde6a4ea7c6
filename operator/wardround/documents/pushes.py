"""Builds what the hub makes for a ModelPush: the offer to upload, the stored model and its ModelVersion. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.api import modelversion, names
from wardround.api.federatedround import Result
from wardround.api.meta import API_VERSION
from wardround.api.modelpush import ModelPush, UploadOffer
from wardround.api.modelversion import ModelVersionSpec, Pushed
from wardround.api.times import to_seconds
from wardround.documents import cards
from wardround.documents.keys import Identity, Model
from wardround.plans.push import ExaminedFile
from wardround.plans.request import expires
from wardround.plans.round.types import StoredModel
from wardround.presign import Presigner
from wardround.sealing.body import MODEL, new_header, part_lengths, part_name, segment_count
from wardround.sealing.cards import sign_card
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.grants import seal_push, sign_offer
from wardround.sealing.keys import RecipientKey
from wardround.sealing.manifests import sign_model
from wardround.sealing.wrap import transfer_context, wrap
from wardround.wire import canonical, codec
from wardround.wire.assignment import AssignedPushed, AssignedSchema
from wardround.wire.grants import PushGrants, PushOffer, Put
from wardround.wire.models import Header, ModelManifest


@dataclass(frozen=True)
class SealedPush:
    """The key and the header that the hub has chosen for a pushed file."""

    data_key: bytes
    header: Header


def header(push: ModelPush, data_key: bytes) -> Header:
    """The header of the sealed file. It has a fresh salt, so the hub keeps the header beside the key."""
    return new_header(
        data_key,
        kind=MODEL,
        round_uid=push.metadata.uid,
        attempt=1,
        participant="",
        base_digest="",
        image_digest="",
        schema_digest=push.spec.tensors_digest,
        length=push.spec.bytes,
    )


def location(push: ModelPush) -> str:
    return names.model_location(push.metadata.uid, 1)


def offer(
    push: ModelPush, sealed: SealedPush, identity: Identity, presigner: Presigner, store_ca: str, now: datetime
) -> UploadOffer:
    """The key and the addresses for the holder of the private key. The addresses end when the push expires, and none
    of them replaces an object. Raises Refused."""
    until, spec, uid = expires(push), push.spec, push.metadata.uid
    seconds = max(1, int((until - now).total_seconds()))

    def put(name: str, length: int) -> Put:
        upload = presigner.put(f"{location(push)}/{name}", now, seconds, length)
        return Put(url=upload.url, bytes=length, headers=upload.headers)

    grants = PushGrants(
        expires=to_seconds(until),
        segments=put("segments", HASH_BYTES * segment_count(spec.bytes)),
        parts=tuple(put(part_name(i), length) for i, length in enumerate(part_lengths(spec.bytes))),
        ca_bundle=store_ca,
    )
    key = RecipientKey.parse(spec.public_key)
    text = sign_offer(
        PushOffer(
            push_uid=uid,
            requested_by=spec.requested_by,
            digest=spec.digest,
            header=sealed.header,
            wrapped_key=wrap(sealed.data_key, key, transfer_context("pushed", uid, spec.requested_by, spec.digest)),
            grants=seal_push(grants, key, push_uid=uid, requested_by=spec.requested_by, digest=spec.digest),
        ),
        identity.key,
    )
    return UploadOffer(hub_key=canonical.encode(identity.public), offer=text)


def model(
    push: ModelPush,
    sealed: SealedPush,
    examined: ExaminedFile,
    schema: AssignedSchema,
    schema_spec: Mapping[str, Any],
    identity: Identity,
    now: datetime,
) -> Model:
    """The model as the hub keeps it. `schema_spec`: of the DataSchema, as it stands in the API."""
    manifest = ModelManifest(sealed.header, push.spec.digest, examined.segments_digest, location(push), examined.bytes)
    stored = StoredModel(
        task="Train",
        result=Result(
            digest=push.spec.digest,
            location=manifest.location,
            bytes=examined.bytes,
            samples=0,
            columns_digest=schema.columns_digest,
            schema_digest=schema.digest,
        ),
        # The person who pushed it has it already. The rounds that follow decide about their own results.
        release="Readers",
        pushed=AssignedPushed(digest=push.spec.digest, requested_by=push.spec.requested_by),
    )
    card = cards.pushed(push, manifest, examined, schema, schema_spec, now)
    text = sign_model(manifest, identity.key)
    return Model(sealed.data_key, text, manifest, stored, sign_card(card, identity.key))


def version(push: ModelPush, made: Model) -> dict[str, Any]:
    """The ModelVersion. It belongs to nobody: the push expires, and the version stays."""
    meta = push.metadata
    spec = ModelVersionSpec(
        model_name=meta.name,
        version=1,
        series=0,
        round_name=meta.name,
        round_uid=meta.uid,
        digest=made.manifest.digest,
        columns_digest=made.stored.result.columns_digest,
        schema_digest=made.stored.result.schema_digest,
        parents=(),
        release=made.stored.release,
        pushed=Pushed(requested_by=push.spec.requested_by),
    )
    return {
        "apiVersion": API_VERSION,
        "kind": modelversion.KIND,
        "metadata": {"name": meta.name, "namespace": meta.namespace},
        "spec": codec.dump(spec),
    }
