"""Decides whether the hospitals' Datasets have the round's columns, and whether the base model was made with them.

Sums and weights are added up by position: features in another order or unit would be mixed, and no error would show it.
"""

from collections.abc import Sequence
from dataclasses import replace

from wardround.api.participant import OfferedDataset
from wardround.plans.participant import offered
from wardround.plans.round.parts import Part, PartState
from wardround.plans.round.types import Observation
from wardround.wire.assignment import AssignedSchema


def meant(seen: Observation, name: str) -> OfferedDataset | None:
    """The round's Dataset as the hospital has published it, if it has."""
    participant = seen.participants.get(name)
    return offered(participant).get(seen.round.spec.dataset_name) if participant else None


def differing(seen: Observation, names: Sequence[str]) -> dict[str, str]:
    """Participants whose DataSchema differs from the round's."""
    offers = {name: dataset for name in sorted(names) if (dataset := meant(seen, name)) is not None}
    return {name: "DatasetDiffers" for name, each in offers.items() if _differs(seen.schema, each)}


def _differs(schema: AssignedSchema | None, offer: OfferedDataset) -> bool:
    """A participant that has published no digest differs from nothing: its site compares the assignment."""
    if schema is None:
        return False
    return offer.schema_digest not in ("", schema.digest) or offer.columns_digest not in ("", schema.columns_digest)


def base_differs(seen: Observation) -> bool:
    """Whether the round's base model was made with other columns than the round has."""
    base = _base_columns(seen)
    return seen.schema is not None and base not in (None, seen.schema.columns_digest)


def unless_changed(seen: Observation, part: Part) -> Part:
    """A participant that has changed its columns since it was asked, and has not sent, is lost to the round: its task
    may read the data as they are now, and a further task would."""
    now = meant(seen, part.name)
    same = now is None or not _differs(seen.schema, now)
    if same or part.state in (PartState.SENT, PartState.LOST):
        return part
    return replace(part, state=PartState.LOST, reason="DatasetDiffers", failure_class="Site")


def made_with(seen: Observation) -> str | None:
    """Digest of the columns of the round's result."""
    return seen.schema.columns_digest if seen.schema else _base_columns(seen)


def _base_columns(seen: Observation) -> str | None:
    return seen.base_model.result.columns_digest if seen.base_model else None
