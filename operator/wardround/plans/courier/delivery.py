"""Decides whether a version of a model may go onto the claim of models, and what the claim holds then. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from wardround.sealing.refused import Refused
from wardround.wire.assignment import AssignedDelivery, Assignment
from wardround.wire.card import ModelCard
from wardround.wire.model_folder import FolderOwner
from wardround.wire.models import ModelManifest

# The folder of a version, which is also the text of the file `current`.
FOLDER = re.compile(r"v([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Package:
    """A version to put onto the claim. `digest`: of the model's file. `card`: the content of card.json. `described`:
    the same card, as it was read. `keep`: how many versions stay: this one and the newest others."""

    owner: FolderOwner
    version: int
    keep: int
    digest: str
    card: str
    described: ModelCard


@dataclass(frozen=True, kw_only=True)
class OnClaim:
    """What the claim holds under the model's name. `exists`: whether there is anything. `owner`: None if no file says
    it. `versions`: whose folders are there. `current`: None if no version is. `digest`: of the file of the version that
    is to be delivered, "" if the claim has no such version. `described`: this version's card, None if the claim has no
    card of it that can be read. `unreadable`: the claim has another card of it, perhaps from a newer courier."""

    exists: bool = False
    owner: FolderOwner | None = None
    versions: Collection[int] = ()
    current: int | None = None
    digest: str = ""
    described: ModelCard | None = None
    unreadable: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the version becomes the current one of its model. `missing`: what the courier writes of the version.
    `surplus`: the versions to delete once the delivered one is the current one."""

    missing: Literal["Folder", "Card", "Nothing"]
    surplus: tuple[int, ...] = ()


def folder_name(version: int) -> str:
    return f"v{version}"


def version_of(text: str) -> int | None:
    """The version that a folder's name or the file `current` names."""
    named = FOLDER.fullmatch(text.strip())
    return int(named[1]) if named else None


def package(
    assignment: Assignment, wanted: AssignedDelivery, manifest: ModelManifest, card: ModelCard, text: str
) -> Package:
    """The version that a Deliver task brings. `manifest`, `card`: as the hub has signed them; `text`: the content of
    card.json. Raises Refused if the card is not the card of this model."""
    header, model = manifest.header, card.model
    described = (card.round_namespace, card.columns_digest, model.digest, model.bytes, model.schema_digest)
    named = assignment.round_namespace, assignment.schema.columns_digest
    if described != (*named, manifest.digest, header.length, header.schema_digest):
        raise Refused("CardDiffers")
    return Package(
        owner=FolderOwner(federation=assignment.round_namespace, name=wanted.model_name, uid=wanted.model_uid),
        version=wanted.version,
        keep=wanted.keep,
        digest=manifest.digest,
        card=text,
        described=card,
    )


def plan(package: Package, seen: OnClaim) -> Plan:
    """What the courier does on the claim. Raises Refused if the version may not go there."""
    if reason := _fault(package, seen):
        raise Refused(reason)
    others = sorted({*seen.versions} - {package.version}, reverse=True)
    return Plan(missing=_missing(package, seen), surplus=tuple(others[max(package.keep, 1) - 1 :]))


def _fault(package: Package, seen: OnClaim) -> str:
    """Why the version may not go onto the claim; empty if it may. An older version than the current one may not. People
    of the hospital go back by naming an older version in `current`: from then on, that version may come."""
    if seen.exists and seen.owner != package.owner:
        return "ModelNameTaken"
    if package.version < (seen.current or max(seen.versions, default=0)):
        return "ModelVersionBackwards"
    if seen.unreadable or seen.digest not in ("", package.digest):
        return "ModelVersionDiffers"
    if seen.described and not _are_of_one_model(seen.described, package.described):
        return "ModelVersionDiffers"
    return ""


def _missing(package: Package, seen: OnClaim) -> Literal["Folder", "Card", "Nothing"]:
    """Only a newer revision of a card takes the place of the version's card, so nobody changes the numbers of a card
    under the same revision."""
    if not seen.digest:
        return "Folder"
    brings_card = seen.described is None or package.described.revision > seen.described.revision
    return "Card" if brings_card else "Nothing"


def _are_of_one_model(before: ModelCard, brought: ModelCard) -> bool:
    """Whether the cards say the same, but for what a later revision may change. People of the hospital may use the
    version already. To a site that knew no cards with names, the hub has delivered the card without them."""
    with_names = bool(before.hospital_names and brought.hospital_names)
    return _lasting(before, with_names=with_names) == _lasting(brought, with_names=with_names)


def _lasting(card: ModelCard, *, with_names: bool) -> ModelCard:
    """What no revision of a card changes."""
    known = replace(card, revision=0, issued="", metrics=())
    return known if with_names else replace(known, version=0, hospital_names=())
