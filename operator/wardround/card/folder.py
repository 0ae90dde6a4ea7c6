"""Reads and writes a model's folder, and refuses one that does not match the card that the hub signed.

A folder holds `model.safetensors` and `card.json`. People can read `card.json`: it holds the card as it was signed, the
signature, and the hub's public key. The key proves nothing by itself: the caller names the hub's fingerprint. A
pulled folder may also hold `warnings.txt`, which nobody has signed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wardround import durable
from wardround.sealing import envelope
from wardround.sealing.cards import parse_card
from wardround.sealing.keys import hub_fingerprint, load_verification_key
from wardround.sealing.refused import Refused
from wardround.tabular import dataschema
from wardround.wire import canonical, codec, digests, model_folder
from wardround.wire import card as cards
from wardround.wire.card import KNOWN, ModelCard
from wardround.wire.envelope import Envelope, Signature
from wardround.wire.model_folder import CardFile

CARD_FILE, MODEL_FILE, WARNINGS_FILE = "card.json", "model.safetensors", "warnings.txt"
# A card fits into a Secret, 1 MiB. Written for people, each character can take six.
CARD_BYTES = 8 << 20
WARNINGS_BYTES = 4096
COPIED_AT_ONCE = 1 << 20
AGAIN = f"Pull the model again: {model_folder.pull_command('federatedmodel/NAME', 'FEDERATION')}"


class FolderRefused(Exception):
    """A folder is not a model of this hub. The message says what is wrong, and what to do.

    `fault`: the message without the advice to a person who has pulled the folder. At a hospital, the courier wrote it.
    """

    def __init__(self, fault: str, advice: str = "") -> None:
        super().__init__(f"{fault}. {advice}" if advice else fault)
        self.fault = fault


class CardTooNew(FolderRefused):
    """The hub has signed a card of a version that this program does not read."""


@dataclass(frozen=True)
class SignedCard:
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


def signed(card_envelope: str, hub_key: bytes) -> SignedCard:
    """A card from its envelope. `hub_key`: the hub's public key, SPKI DER. Raises FolderRefused."""
    try:
        card = _opened_card(card_envelope, hub_key, "the card that the hub sent")
    except Refused as refusal:
        raise FolderRefused(
            f"the hub's signature of the card does not match the card ({refusal.reason}). Tell the hub's administrator"
        ) from None
    _hold_columns(card)
    outer = codec.read_document(Envelope, card_envelope)
    file = CardFile(card=canonical.loads(outer.payload), hub_key=hub_key, signature=outer.signatures[0].sig)
    return SignedCard(card, hub_fingerprint(hub_key), model_folder.text(file))


def load(path: Path, fingerprint: str) -> Folder:
    """The folder's model and card. `fingerprint`: of the hub's key. Raises FolderRefused."""
    card = load_card(path, fingerprint)
    model = read_file(path, MODEL_FILE, card.model.bytes, _longer_model(path))
    if digests.digest(model) != card.model.digest:
        raise _another_model(path)
    return Folder(path, card, model)


def load_card(path: Path, fingerprint: str) -> ModelCard:
    """The folder's card alone. `fingerprint`: of the hub's key. Raises FolderRefused."""
    if not digests.DIGEST.fullmatch(fingerprint):
        raise FolderRefused(
            f"{fingerprint!r} is no fingerprint of a hub's key, which is sha256: and 64 hexadecimal digits. Ask the "
            "hub's administrator for the fingerprint"
        )
    return _verified(path, _card_file(path), fingerprint)


def described(path: Path) -> ModelCard | None:
    """The card in a folder that only the caller's process writes, of any signer. None if the folder has no card. Raises
    FolderRefused if this program cannot read the card."""
    if not os.path.lexists(path / CARD_FILE):
        return None
    try:
        return cards.read(codec.read_document(CardFile, _card_file(path)).card)
    except codec.Malformed:
        raise FolderRefused(f"{path / CARD_FILE} is no card that this program can read", AGAIN) from None


def write_warnings(path: Path, lines: Sequence[str]) -> None:
    """Writes what speaks against the folder's model, if anything does. Raises OSError."""
    if lines:
        durable.write(path / WARNINGS_FILE, "".join(f"{each}\n" for each in lines).encode())


def warnings(path: Path) -> list[str]:
    """What speaks against the folder's model, in lines that cannot control a terminal. Nothing depends on them, so a
    file that cannot be read has none."""
    try:
        content = read_file(path, WARNINGS_FILE, WARNINGS_BYTES, FolderRefused("longer"))
    except FolderRefused:
        return []
    lines = content.decode(errors="replace").splitlines()
    return ["".join(letter if letter.isprintable() else " " for letter in line) for line in lines]


def hold_card(path: Path, model: bytes) -> None:
    """Raises FolderRefused if the folder has a card that its hub, whichever that is, has not signed, or that describes
    another file than `model`."""
    if not os.path.lexists(path / CARD_FILE):
        return
    card = _verified(path, _card_file(path), None)
    if digests.digest(model) != card.model.digest:
        raise _another_model(path)


def copy_model(path: Path, card: ModelCard, target: Path) -> None:
    """Copies the model, which may be larger than this process may be, and verifies the copy. `target`: a new file.

    Raises FolderRefused, and OSError if the copy cannot be written.
    """
    digest, left = digests.Digest(), card.model.bytes
    with _opened(path, MODEL_FILE) as model, target.open("wb") as copy:
        while chunk := _read(path, model, min(COPIED_AT_ONCE, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise _longer_model(path)
            digest.update(chunk)
            copy.write(chunk)
    if digest.text != card.model.digest:
        raise _another_model(path)


def _another_model(path: Path, differs: str = "its SHA-256 is another one") -> FolderRefused:
    return FolderRefused(f"{path / MODEL_FILE} is not the model that {CARD_FILE} describes: {differs}", AGAIN)


def _longer_model(path: Path) -> FolderRefused:
    return _another_model(path, "it is longer than that model")


def _card_file(path: Path) -> bytes:
    """Raises FolderRefused."""
    place = path / CARD_FILE
    longer = FolderRefused(f"{place} is not the card of a model: it is longer than {CARD_BYTES} bytes", AGAIN)
    return read_file(path, CARD_FILE, CARD_BYTES, longer)


def _verified(path: Path, content: bytes, fingerprint: str | None) -> ModelCard:
    """`fingerprint`: None for the card of any hub."""
    place = path / CARD_FILE
    try:
        file = codec.read_document(CardFile, content)
        signed_card = _envelope(file)
    except (ValueError, TypeError, RecursionError):
        raise FolderRefused(f"this program cannot read {place} as the card of a model", AGAIN) from None
    actual = hub_fingerprint(file.hub_key)
    if fingerprint is not None and actual != fingerprint:
        raise FolderRefused(
            f"{place} is signed by a hub whose key has the fingerprint {actual}, and not {fingerprint}. Ask the hub's "
            f"administrator for the right fingerprint. If it is not {actual}, do not use the model"
        )
    try:
        verified = _opened_card(signed_card, file.hub_key, str(place))
    except Refused as refusal:
        raise FolderRefused(
            f"{place} is not what the hub signed: somebody has changed it ({refusal.reason})", AGAIN
        ) from None
    _hold_columns(verified)
    return verified


def _opened_card(card_envelope: str, hub_key: bytes, place: str) -> ModelCard:
    """The version comes first, because a newer card may have fields that this program does not know. Raises Refused,
    CardTooNew."""
    payload = envelope.open_envelope(card_envelope, envelope.CARD, load_verification_key(hub_key))
    version = payload.get("version")
    if isinstance(version, int) and version not in KNOWN:
        raise CardTooNew(
            f"{place} is a card of version {version}. This program reads versions up to {KNOWN[-1]}: install the "
            "version of Wardround that the hub has"
        )
    return parse_card(payload)


def _hold_columns(card: ModelCard) -> None:
    """A hospital compares the card's digest of the columns with its own DataSchema, but a model and its code get the
    columns that the card's fields name. Raises FolderRefused unless both are the same columns."""
    if card.fields is None:
        return
    try:
        columns = dataschema.columns_digest(dataschema.parse(card.data_schema))
    except ValueError:  # SchemaInvalid, or more than one target
        columns = ""
    if columns != card.columns_digest:
        raise FolderRefused(
            f"the fields on the card of {card.round_namespace}/{card.round_name} differ from the fields of the "
            "DataSchema that the card names. Do not use the model, and tell the hub's administrator"
        )


def _envelope(file: CardFile) -> str:
    """The envelope that the hub has signed. Raises TypeError, ValueError or RecursionError for a card that canonical
    JSON cannot hold."""
    signatures = (Signature(keyid="", sig=file.signature),)
    outer = Envelope(payload=canonical.dumps(file.card), payload_type=envelope.CARD, signatures=signatures)
    return codec.write_document(outer).decode()


def _at_once(name: str, flags: int) -> int:
    """Opens a named pipe without waiting for somebody who writes into it."""
    return os.open(name, flags | os.O_NONBLOCK)


def read_file(path: Path, name: str, limit: int, longer: FolderRefused, missing: str = AGAIN) -> bytes:
    """The content of a file. `limit`: bytes. Nothing longer is read, because nothing of it is verified yet, and
    `longer` is raised. `missing`: what a person can do about a folder without the file. Raises FolderRefused."""
    with _opened(path, name, missing) as file:
        content = _read(path, file, limit + 1)
    if len(content) > limit:
        raise longer
    return content


@contextmanager
def _opened(path: Path, name: str, missing: str = AGAIN) -> Iterator[BinaryIO]:
    try:
        file = open(path / name, "rb", opener=_at_once)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise _unreadable(path, name, error, missing) from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FolderRefused(f"{path / name} is not a file", missing)
        yield file


def _read(path: Path, file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise _unreadable(path, Path(file.name).name, error, AGAIN) from None


def _unreadable(path: Path, name: str, error: OSError, missing: str) -> FolderRefused:
    if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
        return FolderRefused(f"there is no folder {path}. Name the folder of a model")
    if isinstance(error, NotADirectoryError):
        return FolderRefused(f"{path} is not a folder. Name the folder of a model, and not a file in it")
    if isinstance(error, FileNotFoundError):
        return FolderRefused(f"the folder {path} has no file {name}", missing)
    return FolderRefused(f"{path / name} cannot be read: {error.strerror or type(error).__name__}", missing)
