"""Grants: presigned URLs, sealed to a task's courier or to a transfer's key. docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Get:
    """Presigned URLs of a model."""

    segments: str
    parts: tuple[str, ...]


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
