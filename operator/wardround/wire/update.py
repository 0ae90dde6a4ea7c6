"""update.json: the training pod's claims about an update, for the courier. docs/contracts.md, section 6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wardround.wire import codec, layouts

# Bytes of the sums in update.json. A manifest with more does not fit into a RoundTask.
MOST_SUMS = 4096
# No repr of a float is longer.
_LONGEST_NUMBER = "-1.7976931348623157e+308"


@dataclass(frozen=True, kw_only=True)
class UpdateClaims:
    """`digest` and `length`: of update.safetensors. `schema_digest`: of its tensors.

    `base_digest`: of the base model, or in an initial round of this site's initial weights; "" without base.
    `withheld`: too few people are in a class. The tensors of an Evaluate update are then all zero and `samples` is 0;
    a Train update has no sums. `tells`: policy.tellOwnMetrics of the Site. `min_cell`: the least number of people
    behind a number. `sums`: of a Train update, the canonical JSON of its ValidationSums, at most MOST_SUMS bytes.
    """

    samples: int
    withheld: bool
    tells: bool
    min_cell: int
    sums: bytes | None
    digest: str
    schema_digest: str
    base_digest: str
    length: int


@dataclass(frozen=True, kw_only=True)
class ValidationSums:
    """Sums over the validation rows of a Train update. Canonical JSON has no floats: numbers are texts of repr(float).

    `people`: distinct patients of these rows. `sums`: the elements of each tensor of layouts.EVALUATE but `histogram`.
    `reported`: by name, the metrics that the training code reports itself.
    """

    people: int
    sums: Mapping[str, tuple[str, ...]]
    reported: Mapping[str, str]


def longest_sums(declared: Iterable[str]) -> int:
    """The length of the longest ValidationSums of a round that declares these metrics, in bytes."""
    sums = {name: (_LONGEST_NUMBER,) * shape[0] for name, shape in layouts.SUMS.items()}
    longest = ValidationSums(people=2**53, sums=sums, reported=dict.fromkeys(declared, _LONGEST_NUMBER))
    return min(MOST_SUMS, len(codec.write_document(longest)))
