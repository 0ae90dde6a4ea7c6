"""The header of a sealed file, manifests of models and updates, and URLs of models. docs/contracts.md, section 3."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from wardround.wire import codec


@dataclass(frozen=True)
class Header:
    """The description of a sealed file, authenticated with every segment. `length`: plaintext bytes."""

    suite: str
    kind: str
    round_uid: str
    attempt: int
    participant: str
    base_digest: str
    image_digest: str
    schema_digest: str
    length: int
    salt: bytes
    commitment: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON: the associated data of every segment."""
        return hashlib.sha256(codec.write_document(self)).digest()


@dataclass(frozen=True)
class ModelManifest:
    """A model in the store. `digest`: of the plaintext. `segments_digest`: of the list of ciphertext hashes. `bytes`:
    of the ciphertext."""

    header: Header
    digest: str
    segments_digest: str
    location: str
    bytes: int


@dataclass(frozen=True)
class UpdateManifest:
    """An update in the store, signed by its sender. `wrapped_key`: the file key, which only the round's key opens.

    `digest`: of the plaintext, keyed (sealing/keyed_digest.py). Plain from a site that does not know keyed digests, and
    for a hub that does not ask for them.

    `withheld`, `tells`, `min_cell`: as of UpdateClaims. `sealed_sums`: the ValidationSums of a Train update, sealed
    under a key that is derived from the file key. `bytes`: of the ciphertext.
    """

    header: Header
    digest: str
    wrapped_key: bytes
    samples: int
    withheld: bool
    tells: bool
    min_cell: int
    sealed_sums: bytes | None
    bytes: int
    expires: str


@dataclass(frozen=True)
class Get:
    """Presigned URLs of a model."""

    segments: str
    parts: tuple[str, ...]
