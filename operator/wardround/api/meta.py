"""Object metadata and references, as far as Wardround reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUP = "wardround.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, kw_only=True)
class OwnerReference:
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


@dataclass(frozen=True, kw_only=True)
class Meta:
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


@dataclass(frozen=True, kw_only=True)
class RoundRef:
    """Names a FederatedRound across namespaces, where an owner reference may not."""

    namespace: str
    name: str
    uid: str


def owner(kind: str, meta: Meta, api_version: str = API_VERSION) -> OwnerReference:
    """A controller reference to an object of the same namespace."""
    return OwnerReference(api_version=api_version, kind=kind, name=meta.name, uid=meta.uid, controller=True)
