"""Brings a model file into canonical form, seals it as the hub offers, and uploads it. Asks no API server."""

from __future__ import annotations

import hashlib
import io
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wardround import tensors
from wardround.api.modelpush import LARGEST_HEADER, UploadOffer
from wardround.card import folder
from wardround.card.folder import FolderRefused
from wardround.card.own_request import SILENCE_SECONDS, OwnRequest, unopened, unreachable
from wardround.sealing.body import SEALED_SEGMENT, part_lengths
from wardround.sealing.files import seal_file
from wardround.sealing.grants import open_offer, open_push
from wardround.sealing.keys import load_verification_key
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import transfer_context, unwrap
from wardround.tensors import HALF_PRECISION, NotTensors
from wardround.wire.grants import PushGrants, PushOffer, Put

# As the kind ModelPush takes it.
LARGEST = 256 << 20
SAVE = f"Save the weights to push as {folder.MODEL_FILE} in this folder"


class UploadFailed(Exception):
    """The store did not take the file. The message names no address, because an address is a right."""


@dataclass(frozen=True)
class PreparedFile:
    """The file to push, in canonical form. `tensors_digest`: of names, types and shapes of its tensors."""

    file: Path
    digest: str
    bytes: int
    tensors_digest: str


def prepare(path: Path, scratch: Path) -> PreparedFile:
    """The model of a folder, which matches its card if it has one. A file in another form is written anew into
    `scratch`. Raises FolderRefused."""
    source = path / folder.MODEL_FILE
    longer = FolderRefused(f"{source} has more than {LARGEST} bytes, the most that a hub takes. Push a smaller model")
    content = folder.read_file(path, folder.MODEL_FILE, LARGEST, longer, SAVE)
    _hold_card(path, content)
    try:
        layout = tensors.layout(content)
        if half := sorted(each.name for each in layout.tensors if each.dtype in HALF_PRECISION):
            raise FolderRefused(f"the tensor {half[0]} of {source} is in half precision. Save the model in F32")
        opened = io.BytesIO(content)
        arrays = {place[0].name: tensors.read(opened, place) for place in layout.places}
        dtypes = {each.name: each.dtype for each in layout.tensors}
    except NotTensors as fault:
        raise FolderRefused(f"{source} is no safetensors file: {fault}") from None
    if bad := sorted(name for name, array in arrays.items() if not np.isfinite(array).all()):
        raise FolderRefused(f"the tensor {bad[0]} of {source} has a value that is not finite")
    file = scratch / "canonical.safetensors"
    digest = tensors.write(file, arrays, dtypes)
    if (header := len(tensors.layout(file).header)) > LARGEST_HEADER:
        raise FolderRefused(
            f"the description of the tensors of {source} has {header} bytes, and a hub reads {LARGEST_HEADER} at most. "
            "Save the model with fewer tensors, or with shorter names"
        )
    return PreparedFile(file, digest, file.stat().st_size, layout.schema_digest)


def _hold_card(path: Path, model: bytes) -> None:
    """Raises FolderRefused. A person may push a model of another hub, or weights that have no card."""
    try:
        folder.hold_card(path, model)
    except FolderRefused as refusal:
        raise FolderRefused(
            f"{refusal}. If you have changed the model on purpose, {path / folder.CARD_FILE} is about another model: "
            "remove it"
        ) from None


def upload(offered: UploadOffer, own: OwnRequest, prepared: PreparedFile, scratch: Path) -> None:
    """Seals the file and stores it at the hub's addresses. Raises FolderRefused, UploadFailed."""
    offer, data_key, grants = _opened(offered, own, prepared)
    sealed = scratch / "sealed"
    seal_file(prepared.file, sealed, offer.header, data_key)
    context = ssl.create_default_context(cadata=grants.ca_bundle or None)
    lengths, hashes = part_lengths(prepared.bytes), bytearray()
    if [each.bytes for each in grants.parts] != lengths:
        raise UploadFailed(
            "the hub's answer does not have one address for each part of the file. Run the command again"
        )
    with sealed.open("rb") as file:
        for put, length in zip(grants.parts, lengths, strict=True):
            part = file.read(length)
            starts = range(0, len(part), SEALED_SEGMENT)
            hashes += b"".join(hashlib.sha256(part[start : start + SEALED_SEGMENT]).digest() for start in starts)
            _store(put, part, context)
    _store(grants.segments, bytes(hashes), context)


def _opened(offered: UploadOffer, own: OwnRequest, prepared: PreparedFile) -> tuple[PushOffer, bytes, PushGrants]:
    try:
        hub_key = own.hub_key(offered.hub_key, "do not push")
        offer = open_offer(offered.offer, load_verification_key(hub_key))
        named = (offer.push_uid, offer.requested_by, offer.digest, offer.header.length)
        uid, user = own.uid, own.requested_by
        if named != (uid, user, prepared.digest, prepared.bytes):
            raise FolderRefused("the hub's answer is for another push. Run the command again")
        context = transfer_context("pushed", uid, user, prepared.digest)
        data_key = unwrap(offer.wrapped_key, own.key, context)
        grants = open_push(offer.grants, own.key, push_uid=uid, requested_by=user, digest=prepared.digest)
    except Refused as refusal:
        raise unopened(refusal.reason, "Run the command again") from None
    return offer, data_key, grants


def _store(put: Put, content: bytes, context: ssl.SSLContext) -> None:
    if not put.url.startswith("https://"):
        raise UploadFailed("the hub's answer has an upload address that is not https. Tell the hub's administrator")
    request = urllib.request.Request(put.url, data=content, headers=dict(put.headers), method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS, context=context):  # noqa: S310 - https
            return
    except OSError as failure:
        raise UploadFailed(unreachable(failure, put.url, "push again")) from None
