"""Turns the hub's answer to a ModelTransfer into a model's folder: verified, opened, and whole or not there at all."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from wardround import durable
from wardround.api.modeltransfer import TransferredModel
from wardround.card import folder
from wardround.card.folder import FolderRefused, SignedCard
from wardround.card.own_request import SILENCE_SECONDS, OwnRequest, unopened, unreachable
from wardround.sealing import untrusted
from wardround.sealing.body import Body, part_lengths
from wardround.sealing.grants import open_transfer
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_model
from wardround.sealing.opener import FileOpener
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import transfer_context, unwrap
from wardround.wire.card import ModelCard
from wardround.wire.grants import TransferGrants
from wardround.wire.models import ModelManifest

CHUNK = 1 << 20


class DownloadFailed(Exception):
    """The store did not give the file. The message names no address, because an address is a right."""


def pull(answer: TransferredModel, own: OwnRequest, path: Path) -> ModelCard:
    """Writes the folder `path`, which must not exist. Raises FolderRefused, DownloadFailed, OSError."""
    signed, manifest, data_key, grants = _opened(answer, own)
    # Beside it, so that a rename makes the folder.
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        partial = Path(scratch, path.name)
        partial.mkdir()
        try:
            _fetch(manifest, data_key, grants, partial / folder.MODEL_FILE)
        except Refused as refusal:
            raise FolderRefused(
                f"the file in the store is not the one that the hub signed ({refusal.reason})"
            ) from None
        durable.write(partial / folder.CARD_FILE, signed.text.encode())
        card = folder.load(partial, own.fingerprint).card
        durable.publish(partial, path)
    return card


def _opened(answer: TransferredModel, own: OwnRequest) -> tuple[SignedCard, ModelManifest, bytes, TransferGrants]:
    try:
        hub_key = own.hub_key(answer.hub_key, "do not use the model")
        manifest = open_model(answer.manifest, load_verification_key(hub_key))
        signed = folder.signed(answer.card, hub_key)
        if signed.card.model.digest != manifest.digest:
            raise FolderRefused("the hub sent the card of another model. Tell the hub's administrator")
        names = (own.uid, own.requested_by, manifest.digest)
        wrapped = untrusted.decode(answer.wrapped_key, "KeyUnusable")
        data_key = unwrap(wrapped, own.key, transfer_context("model", *names))
        uid, user, digest = names
        sealed = untrusted.decode(answer.grants, "KeyUnusable")
        grants = open_transfer(sealed, own.key, transfer_uid=uid, requested_by=user, digest=digest)
    except Refused as refusal:
        raise unopened(refusal.reason, "Run the command again") from None
    return signed, manifest, data_key, grants


def _fetch(manifest: ModelManifest, data_key: bytes, grants: TransferGrants, file: Path) -> None:
    """Raises Refused, DownloadFailed."""
    context = ssl.create_default_context(cadata=grants.ca_bundle or None)
    lengths = part_lengths(manifest.header.length)
    if len(lengths) != len(grants.get.parts):
        raise DownloadFailed(
            "the number of addresses in the hub's answer differs from the number of parts of the "
            "file. Run the command again"
        )
    with FileOpener(file, Body(data_key, manifest.header), manifest.digest) as opener:
        for url, length in zip(grants.get.parts, lengths, strict=True):
            _download(url, context, length, opener.feed)
        opener.finish()


def _download(url: str, context: ssl.SSLContext, length: int, sink: Callable[[bytes], object]) -> None:
    if not url.startswith("https://"):
        raise DownloadFailed("the hub's answer has a download address that is not https. Tell the hub's administrator")
    left = length
    for chunk in _chunks(url, context, length):
        sink(chunk)  # an error of the disk is none of the store
        left -= len(chunk)
    if left:
        raise DownloadFailed("the store sent only a part of the file. Run the command again")


def _chunks(url: str, context: ssl.SSLContext, length: int) -> Iterator[bytes]:
    """The first `length` bytes of the answer, or all if there are fewer. Raises DownloadFailed."""
    advice = "run the command again"
    try:
        response = urllib.request.urlopen(url, timeout=SILENCE_SECONDS, context=context)  # noqa: S310 - https
    except OSError as failure:
        raise DownloadFailed(unreachable(failure, url, advice)) from None
    with response:
        while length:
            try:
                chunk = response.read(min(CHUNK, length))
            except OSError as failure:
                raise DownloadFailed(unreachable(failure, url, advice)) from None
            if not chunk:
                return
            length -= len(chunk)
            yield chunk
