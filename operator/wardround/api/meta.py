"""The part of object metadata and references that Wardround reads."""

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
    """A reference to a FederatedRound in another namespace, which an owner reference must not cross."""

    namespace: str
    name: str
    uid: str


def owner(kind: str, meta: Meta, api_version: str = API_VERSION) -> OwnerReference:
    """A controller owner reference to an object in the same namespace."""
    return OwnerReference(api_version=api_version, kind=kind, name=meta.name, uid=meta.uid, controller=True)


def controller(meta: Meta, kind: str) -> OwnerReference | None:
    """The reference to the object of this kind that controls this one. Admission policies say who may write it."""
    return next((each for each in meta.owner_references if each.controller and each.kind == kind), None)
