"""Grants: presigned URLs, sealed to a courier, or to the key of a transfer or push. docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.wire.models import Get, Header


@dataclass(frozen=True)
class Put:
    """A presigned upload. The signature covers the headers."""

    url: str
    bytes: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Grants:
    """`get`: the base model's URLs. `references`: those of each reference, in the assignment's order. `put`: the
    update's uploads. All end at `expires`."""

    expires: str
    get: Get | None
    put: tuple[Put, ...] | None
    references: tuple[Get, ...] = ()


@dataclass(frozen=True)
class TransferGrants:
    """`get`: the model's URLs, which end at `expires`. `ca_bundle`: PEM of the authority that signs the store's
    certificate, "" if the system's authorities do."""

    expires: str
    get: Get
    ca_bundle: str


@dataclass(frozen=True)
class PushGrants:
    """`segments`, `parts`: the uploads of a pushed model, which end at `expires`. `ca_bundle`: as of TransferGrants."""

    expires: str
    segments: Put
    parts: tuple[Put, ...]
    ca_bundle: str


@dataclass(frozen=True)
class PushOffer:
    """What the hub signs for a ModelPush: how to seal the file, and where to put it. `digest`: of the file, as the
    person named it. `wrapped_key`: the file's key, and `grants`: PushGrants, both sealed for the person's key."""

    push_uid: str
    requested_by: str
    digest: str
    header: Header
    wrapped_key: bytes
    grants: bytes
