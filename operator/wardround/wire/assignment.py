"""What a site is asked: one participant's part of one round, as the hub signs it. docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """Which tensors must come back bit-equal: shell patterns over names."""

    frozen: tuple[str, ...]


@dataclass(frozen=True)
class Quorum:
    """When a round may close without everyone."""

    min: int
    required: tuple[str, ...]
    grace_seconds: int
    on_shortfall: str


@dataclass(frozen=True)
class Resources:
    """Counts that the Site maps to its own hardware; whether the training code may open sockets of IP."""

    nodes: int
    accelerators_per_node: int
    local_sockets: bool


@dataclass(frozen=True)
class AssignedBase:
    """The base model: its signed manifest and its data key, wrapped for the addressee."""

    manifest: str
    wrapped_key: bytes


@dataclass(frozen=True)
class Assignment:
    """One participant's part of one round, as the hub signs it.

    `state_round`: UID of the round whose state the training at the site goes on from, "" for none.
    """

    round_uid: str
    round_namespace: str
    round_name: str
    attempt: int
    task: str
    participant: str
    site_fingerprint: str
    round_public_key: bytes
    suite: str
    image: str
    image_digest: str
    command: tuple[str, ...]
    dataset_name: str
    parameters: Mapping[str, str]
    seed: int | None
    exchange: Exchange
    metrics: tuple[str, ...]
    initial: bool
    base: AssignedBase | None
    roster: tuple[str, ...]
    quorum: Quorum
    resources: Resources
    wait_seconds: int  # from acceptance until training begins
    train_seconds: int
    upload_seconds: int
    issued: str  # by the hub's clock, in microseconds
    expires: str
    state_round: str
