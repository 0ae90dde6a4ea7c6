"""Decides whether hospitals mean the same columns by a round's Dataset, and those of the round's base model.

Sums and weights are added up by position: features in another order or unit would be mixed, and no error would show it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from wardround.api.names import COLUMNS
from wardround.api.participant import OfferedDataset
from wardround.plans.participant import offered
from wardround.plans.round.parts import Part, PartState
from wardround.plans.round.types import Observation


def meant(seen: Observation, name: str) -> OfferedDataset | None:
    """The round's Dataset as the hospital has published it, if it has."""
    participant = seen.participants.get(name)
    return offered(participant).get(seen.round.spec.dataset_name) if participant else None


def differing(seen: Observation, names: Sequence[str]) -> dict[str, str]:
    """Participants whose columns differ from the base model's (`DatasetDiffersFromBase`), and, among the rest, those
    whose schema or columns differ from the majority's (`DatasetDiffers`)."""
    offers = {name: dataset for name in names if (dataset := meant(seen, name)) is not None}
    base = _base_columns(seen)
    changed = {name for name, each in offers.items() if base and each.columns_digest not in ("", base)}
    alike = {name: each for name, each in offers.items() if name not in changed}
    others = _unlike_most({name: each.schema_digest for name, each in alike.items()})
    # A participant that is out has no vote on the columns of the rest.
    others |= _unlike_most({name: each.columns_digest for name, each in alike.items() if name not in others})
    return dict.fromkeys(sorted(others), "DatasetDiffers") | dict.fromkeys(sorted(changed), "DatasetDiffersFromBase")


def unless_changed(seen: Observation, part: Part) -> Part:
    """A participant that has changed its columns since it was asked, and has not sent, is lost to the round: its task
    may read the data as they are now, and a further task would."""
    asked, now = part.task.metadata.annotations.get(COLUMNS), meant(seen, part.name)
    same = not asked or now is None or now.columns_digest in ("", asked)
    if same or part.state in (PartState.SENT, PartState.LOST):
        return part
    reason = "DatasetDiffersFromBase" if _base_columns(seen) else "DatasetDiffers"
    return replace(part, state=PartState.LOST, reason=reason, failure_class="Site")


def made_with(seen: Observation, parts: Iterable[Part], names: Collection[str]) -> str | None:
    """Digest of the columns of a result that combines the participants `names`: the digest that more than half of them
    had when they were asked, else the base model's. None if neither is known."""
    asked = [part.task.metadata.annotations.get(COLUMNS) for part in parts if part.name in names]
    most = next((digest for digest in asked if digest and 2 * asked.count(digest) > len(asked)), None)
    return most or _base_columns(seen)


def _unlike_most(digests: Mapping[str, str]) -> set[str]:
    """Participants whose digest differs from the most frequent one (of several, from the first). A participant that has
    published none differs from nothing."""
    counted = Counter(filter(None, digests.values()))
    most = counted.most_common(1)[0][0] if counted else ""
    return {name for name, digest in digests.items() if digest not in ("", most)}


def _base_columns(seen: Observation) -> str | None:
    return seen.base_model.result.columns_digest if seen.base_model else None
