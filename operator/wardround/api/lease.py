"""Lease: the heartbeat of a site at its hub, or of the hub operator. Kubernetes defines the kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.wire import codec

API_VERSION = "coordination.k8s.io/v1"
KIND = "Lease"


@dataclass(frozen=True, kw_only=True)
class LeaseSpec:
    """`renew_time`: of the last renewal, by the holder's clock. Empty: never."""

    holder_identity: str = ""
    lease_duration_seconds: int | None = None
    renew_time: str = ""


@dataclass(frozen=True, kw_only=True)
class Lease:
    spec: LeaseSpec = field(default_factory=LeaseSpec)


def parse(value: Mapping[str, Any]) -> Lease:
    return codec.parse(Lease, value)
