"""Decides whether a version of a model may go onto the claim of models, and which versions leave it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from wardround.wire.card import ModelCard

# The folder of a version, which is also the text of the file `current`.
FOLDER = re.compile(r"v([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True)
class Owner:
    """The FederatedModel to which a folder on the claim belongs. `federation`: its namespace on the hub."""

    federation: str
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """A version to put onto the claim. `digest`: of the model's file. `card`: the content of card.json. `described`:
    the same card, as it was read. `keep`: how many of the newest versions stay."""

    owner: Owner
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
    owner: Owner | None = None
    versions: Collection[int] = ()
    current: int | None = None
    digest: str = ""
    described: ModelCard | None = None
    unreadable: bool = False


def folder_name(version: int) -> str:
    return f"v{version}"


def version_of(text: str) -> int | None:
    """The version that a folder's name or the file `current` names."""
    named = FOLDER.fullmatch(text.strip())
    return int(named[1]) if named else None


def fault(package: Package, seen: OnClaim) -> str:
    """Why the version may not go onto the claim; empty if it may."""
    if seen.exists and seen.owner != package.owner:
        return "ModelNameTaken"
    if package.version < max((*seen.versions, seen.current or 0), default=0):
        return "ModelVersionBackwards"
    if seen.unreadable or seen.digest not in ("", package.digest):
        return "ModelVersionDiffers"
    if seen.described and _lasting(seen.described) != _lasting(package.described):
        return "ModelVersionDiffers"
    return ""


def brings_card(package: Package, seen: OnClaim) -> bool:
    """Whether the card of the package takes the place of the version's card on the claim. Only a newer revision does,
    so nobody changes the numbers of a card under the same revision."""
    return seen.described is None or package.described.revision > seen.described.revision


def _lasting(card: ModelCard) -> ModelCard:
    """What no revision of a card changes. People of the hospital may use the version already."""
    return replace(card, revision=0, issued="", metrics=())


def surplus(package: Package, versions: Collection[int]) -> tuple[int, ...]:
    """The versions to delete once the delivered one is the current one. That one is the newest, so it stays."""
    return tuple(sorted(versions, reverse=True)[max(package.keep, 1) :])
