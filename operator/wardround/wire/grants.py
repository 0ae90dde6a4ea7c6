"""What a courier may fetch and store: presigned URLs, sealed for the courier alone. docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Get:
    """Presigned URLs of a base model."""

    segments: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Put:
    """One presigned upload; the headers are signed with it."""

    url: str
    bytes: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Grants:
    """What a courier may fetch and store, until when."""

    expires: str
    get: Get | None
    put: tuple[Put, ...] | None
