"""Whether hospitals mean the same columns by a round's Dataset, and those of the model that it goes on from.

Sums and weights are added up by position: features in another order or unit would be mixed, and nobody would know.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from wardround.api.participant import OfferedDataset
from wardround.plans.participant import offered
from wardround.plans.round.parts import COLUMNS, Part, PartState
from wardround.plans.round.types import Observation


def meant(seen: Observation, name: str) -> OfferedDataset | None:
    """What a hospital has said of the round's Dataset, if it has."""
    participant = seen.participants.get(name)
    return offered(participant).get(seen.round.spec.dataset_name) if participant else None


def differing(seen: Observation, names: Sequence[str]) -> dict[str, str]:
    """Who of these means other columns than the round's base was made with; and who of the others than most of them do,
    or also other types, bounds and enums."""
    told = {name: found for name in names if (found := meant(seen, name)) is not None}
    base = _of_base(seen)
    changed = {name for name, each in told.items() if base and each.columns_digest not in ("", base)}
    alike = {name: each for name, each in told.items() if name not in changed}
    others = _unlike_most({name: each.schema_digest for name, each in alike.items()})
    # Who is out has no voice in what the rest mean.
    others |= _unlike_most({name: each.columns_digest for name, each in alike.items() if name not in others})
    return dict.fromkeys(sorted(others), "DatasetDiffers") | dict.fromkeys(sorted(changed), "DatasetDiffersFromBase")


def unless_changed(seen: Observation, part: Part) -> Part:
    """Who has changed its columns since it was asked, and has not sent, is lost to the round: its task may read the
    data as they are now, and a further one would."""
    asked, now = part.task.metadata.annotations.get(COLUMNS), meant(seen, part.name)
    same = not asked or now is None or now.columns_digest in ("", asked)
    if same or part.state in (PartState.SENT, PartState.LOST):
        return part
    reason = "DatasetDiffersFromBase" if _of_base(seen) else "DatasetDiffers"
    return replace(part, state=PartState.LOST, reason=reason, failure_class="Site")


def made_with(seen: Observation, parts: Iterable[Part], names: Collection[str]) -> str | None:
    """Digest of the columns that a result of these is made with: the one that more than half of them had when they were
    asked, else that of what the round starts from. None where neither is known."""
    asked = [part.task.metadata.annotations.get(COLUMNS) for part in parts if part.name in names]
    most = next((digest for digest in asked if digest and 2 * asked.count(digest) > len(asked)), None)
    return most or _of_base(seen)


def _unlike_most(digests: Mapping[str, str]) -> set[str]:
    """Who has another than most, or where as many have, than the first. Of who has told none nothing is known."""
    counted = Counter(filter(None, digests.values()))
    most = counted.most_common(1)[0][0] if counted else ""
    return {name for name, digest in digests.items() if digest not in ("", most)}


def _of_base(seen: Observation) -> str | None:
    return seen.base_model.result.columns_digest if seen.base_model else None
