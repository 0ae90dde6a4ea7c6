"""Wraps a model's key and seals its download addresses for the one-time key of a ModelTransfer. No I/O."""

from __future__ import annotations

from datetime import datetime

from wardround.api.modeltransfer import ModelTransfer, TransferredModel
from wardround.api.times import to_seconds
from wardround.documents.assignments import fetch
from wardround.documents.keys import Identity, Model
from wardround.plans.request import expires
from wardround.presign import Presigner
from wardround.sealing.grants import seal_transfer
from wardround.sealing.keys import RecipientKey
from wardround.sealing.wrap import transfer_context, wrap
from wardround.wire import canonical
from wardround.wire.grants import TransferGrants


def give(
    transfer: ModelTransfer, model: Model, identity: Identity, presigner: Presigner, store_ca: str, now: datetime
) -> TransferredModel:
    """The model for the holder of the private key. The addresses end when the transfer expires. Raises Refused."""
    key, uid, until = RecipientKey.parse(transfer.spec.public_key), transfer.metadata.uid, expires(transfer)
    seconds = max(1, int((until - now).total_seconds()))
    grants = TransferGrants(to_seconds(until), fetch(model, presigner, now, seconds), store_ca)
    digest, user = model.manifest.digest, transfer.spec.requested_by
    return TransferredModel(
        hub_key=canonical.encode(identity.public),
        manifest=model.text,
        card=model.card,
        wrapped_key=canonical.encode(wrap(model.data_key, key, transfer_context("model", uid, user, digest))),
        grants=canonical.encode(seal_transfer(grants, key, transfer_uid=uid, requested_by=user, digest=digest)),
    )
