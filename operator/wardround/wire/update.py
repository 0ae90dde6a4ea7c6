"""What the training pod says of an update (`update.json`), to the courier. docs/contracts.md, section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class UpdateClaims:
    """`digest` and `length` are those of update.safetensors, `schema_digest` that of its tensors.

    `base_digest`: of the model that it is a difference to, in an initial round of this site's own initial weights; ""
    without base. `suppressed`: names of metrics that are over too few patients to be told.
    """

    samples: int
    metrics: Mapping[str, str]
    suppressed: tuple[str, ...]
    digest: str
    schema_digest: str
    base_digest: str
    length: int
