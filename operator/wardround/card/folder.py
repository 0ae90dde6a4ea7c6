"""Reads and writes a model's folder, and refuses one that does not match the card that the hub signed.

A folder holds `model.safetensors` and `card.json`. People can read `card.json`: it holds the card as it was signed, the
signature, and the hub's public key. The key proves nothing by itself: the caller names the hub's fingerprint.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround.sealing import envelope
from wardround.sealing.keys import hub_fingerprint, load_verification_key
from wardround.sealing.manifests import open_card
from wardround.sealing.refused import Refused
from wardround.wire import canonical, digests
from wardround.wire.card import VERSION, ModelCard

CARD_FILE, MODEL_FILE = "card.json", "model.safetensors"
# A card fits into a Secret, 1 MiB. Written for people, each character can take six.
CARD_BYTES = 8 << 20
AGAIN = "Pull the model again: kubectl wardround model pull"


class FolderRefused(Exception):
    """A folder is not a model of this hub. The message says what is wrong, and what to do."""


@dataclass(frozen=True)
class Signed:
    """A card that the hub with `fingerprint` has signed. `text`: the content of card.json."""

    card: ModelCard
    fingerprint: str
    text: str


@dataclass(frozen=True)
class Folder:
    """A model that matches its card. `model`: the bytes of model.safetensors."""

    path: Path
    card: ModelCard
    model: bytes


def signed(card_envelope: str, hub_key: bytes) -> Signed:
    """A card from its envelope. `hub_key`: the hub's public key, SPKI DER. Raises FolderRefused."""
    try:
        card = open_card(card_envelope, load_verification_key(hub_key))
    except Refused as refusal:
        raise FolderRefused(f"the hub's signature of the card does not match the card ({refusal.reason})") from None
    outer = json.loads(card_envelope)
    document = {
        "card": json.loads(canonical.decode(outer["payload"])),
        "hubKey": canonical.encode(hub_key),
        "signature": outer["signatures"][0]["sig"],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return Signed(card, hub_fingerprint(hub_key), text)


def load(path: Path, fingerprint: str) -> Folder:
    """The folder's model and card. `fingerprint`: of the hub's key. Raises FolderRefused."""
    if not digests.DIGEST.fullmatch(fingerprint):
        raise FolderRefused(
            f"{fingerprint!r} is no fingerprint of a hub. Write sha256: and 64 hexadecimal digits, as the hub's "
            "administrator tells them"
        )
    content = read_file(path, CARD_FILE, CARD_BYTES)
    card = _verified(path, content, fingerprint)
    model = read_file(path, MODEL_FILE, card.model.bytes)
    if digests.digest(model) != card.model.digest:
        raise FolderRefused(
            f"{path / MODEL_FILE} is not the model that {CARD_FILE} describes: its SHA-256 is another one. {AGAIN}"
        )
    return Folder(path, card, model)


def _verified(path: Path, content: bytes, fingerprint: str) -> ModelCard:
    place = path / CARD_FILE
    try:
        document = json.loads(content)
        card, hub_key = document["card"], document["hubKey"]
        key, signed_card = canonical.decode(hub_key), _envelope(canonical.dumps(card), document["signature"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FolderRefused(f"{place} is not the card of a model: it cannot be read. {AGAIN}") from None
    actual = hub_fingerprint(key)
    if actual != fingerprint:
        raise FolderRefused(
            f"{place} is signed by the hub {actual}, and not by {fingerprint}. Ask the hub's administrator for the "
            "fingerprint. Do not use the model if it differs"
        )
    try:
        verified = open_card(signed_card, load_verification_key(key))
    except Refused as refusal:
        raise FolderRefused(
            f"{place} is not what the hub signed: somebody has changed it ({refusal.reason}). {AGAIN}"
        ) from None
    if verified.version != VERSION:
        raise FolderRefused(
            f"{place} is a card of version {verified.version}. This program reads version {VERSION}: install the "
            "version of Wardround that the hub has"
        )
    return verified


def _envelope(payload: bytes, signature: Any) -> str:
    signatures = [{"keyid": "", "sig": signature}]
    outer = {"payload": canonical.encode(payload), "payloadType": envelope.CARD, "signatures": signatures}
    return canonical.dumps(outer).decode()


def _at_once(name: str, flags: int) -> int:
    """Opens a named pipe without waiting for somebody who writes into it."""
    return os.open(name, flags | os.O_NONBLOCK)


def read_file(path: Path, name: str, limit: int) -> bytes:
    """The content of a file. `limit`: bytes. Nothing longer is read, because nothing of it is verified yet."""
    try:
        with open(path / name, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FolderRefused(f"{path / name} is not a file. {AGAIN}")
            content = file.read(limit + 1)
    except OSError as error:
        raise FolderRefused(
            f"{path} has no readable {name} ({type(error).__name__}). A model's folder holds {CARD_FILE} and "
            f"{MODEL_FILE}. {AGAIN}"
        ) from None
    if len(content) > limit:
        raise FolderRefused(f"{path / name} is longer than a file of this name can be, {limit} bytes. {AGAIN}")
    return content
