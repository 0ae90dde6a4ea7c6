"""What is said of a sealed file: its header, and the manifests of models and updates. docs/contracts.md, section 3."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from wardround.wire import codec


@dataclass(frozen=True)
class Header:
    """What a sealed file says of itself; authenticated with every segment. `length` is in plaintext bytes."""

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
    """A model at the store. `digest` is of the plaintext, `segments_digest` of the list of ciphertext hashes."""

    header: Header
    digest: str
    segments_digest: str
    location: str
    bytes: int


@dataclass(frozen=True)
class UpdateManifest:
    """An update at the store, signed by its sender. `wrapped_key` opens with the round's key alone.

    `suppressed`: names of metrics that are over too few patients to be told.
    """

    header: Header
    digest: str
    wrapped_key: bytes
    samples: int
    metrics: Mapping[str, str]
    suppressed: tuple[str, ...]
    bytes: int
    expires: str
