"""What a report is made from, and texts that several sections share. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.api import dataschema, federatedround, participant, roundtask
from wardround.api.dataschema import DataSchema
from wardround.api.federatedround import FederatedRound
from wardround.api.modelversion import ModelVersion
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.cli import model_objects
from wardround.cli.model_objects import ModelObjects
from wardround.cli.objects import Object, read
from wardround.cli.shared_numbers import shared_round, without_single_hospitals
from wardround.wire.card import ModelCard

VALIDATION = "validation rows"


@dataclass(frozen=True)
class SignedCard:
    """A card that the hub with this fingerprint has signed. The maker of a SignedCard has verified the signature."""

    card: ModelCard
    fingerprint: str


@dataclass(frozen=True)
class ReportInput:
    """`model`: without numbers over fewer than FEWEST_HOSPITALS. `hidden`: whether there were any. `namespace_rounds`:
    all live rounds of the namespace by name, also those of other models and of people, without such numbers. `tasks`,
    `participants`: None if the caller may not read them. `schema`: None also if it is gone. `signed`: the card
    of one of the model's versions, None if the caller has none."""

    model: ModelObjects
    namespace_rounds: Mapping[str, FederatedRound]
    tasks: tuple[RoundTask, ...] | None
    participants: tuple[Participant, ...] | None
    schema: DataSchema | None
    now: datetime
    hidden: bool
    signed: SignedCard | None = None

    def hospital(self, name: str) -> str:
        """The hospital as people call it: `University Hospital North (site-a)`."""
        known = next((each for each in self.participants or () if each.metadata.name == name), None)
        return f"{known.spec.display_name} ({name})" if known and known.spec.display_name else name

    def newest_tasks(self) -> dict[tuple[str, str], RoundTask]:
        """The newest attempt by hospital and name of the round. None of another namespace's rounds is among them."""
        newest: dict[tuple[str, str], RoundTask] = {}
        for each in sorted(self.tasks or (), key=lambda each: each.spec.attempt):
            newest[each.metadata.namespace or "", each.spec.round_ref.name] = each
        return newest

    def shown_versions(self) -> tuple[ModelVersion, ...]:
        """The current version, the candidate and the newest others, by number."""
        first = [each for each in (self.model.current, self.model.candidate) if each is not None]
        others = [each for each in reversed(self.model.versions) if each not in first]
        return tuple(sorted((*first, *others)[:MOST_VERSIONS], key=lambda each: each.spec.version))

    def role(self, version: ModelVersion) -> str:
        """`version 2 (candidate)`."""
        status, name = self.model.model.status, version.metadata.name
        role = " (current)" if name == status.current else " (candidate)" if name == status.candidate else ""
        return f"version {version.spec.version}{role}"


MOST_VERSIONS = 4
# A chart of larger numbers shows nothing.
LARGEST = 1e9


def parse(
    model: tuple[Object, list[Object], list[Object]],
    namespace_rounds: list[Object],
    tasks: list[Object] | None,
    participants: list[Object] | None,
    schema: Object | None,
    now: datetime,
) -> ReportInput:
    """`model`: a FederatedModel, its versions and its rounds. Raises codec.Malformed."""
    objects = model_objects.read(*model)
    shown = without_single_hospitals(objects)
    return ReportInput(
        model=shown,
        namespace_rounds={
            each.metadata.name: shared_round(each)
            for each in sorted(
                (read(federatedround.parse, each) for each in namespace_rounds),
                key=lambda each: each.metadata.creation_timestamp or "",
            )
        },
        tasks=None if tasks is None else tuple(read(roundtask.parse, each) for each in tasks),
        participants=None if participants is None else tuple(read(participant.parse, each) for each in participants),
        schema=read(dataschema.parse, schema) if schema else None,
        now=now,
        hidden=shown != objects,
    )


def version_of_card(card: ModelCard, model: ModelObjects) -> ModelVersion | None:
    """The version of this model that the card describes."""
    if card.round_namespace != model.model.metadata.namespace:
        return None
    return next((each for each in model.versions if each.spec.round_uid == card.round_uid), None)


def number(text: Any) -> float | None:
    """A number for a chart; None for a text that is none. Tables show the text."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and abs(value) <= LARGEST else None
