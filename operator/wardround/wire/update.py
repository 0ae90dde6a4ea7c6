"""update.json: the training pod's claims about an update, for the courier. docs/contracts.md, section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class UpdateClaims:
    """`digest` and `length`: of update.safetensors. `schema_digest`: of its tensors.

    `base_digest`: of the base model, or in an initial round of this site's initial weights; "" without base.
    `suppressed`: names of metrics over too few patients.
    """

    samples: int
    metrics: Mapping[str, str]
    suppressed: tuple[str, ...]
    digest: str
    schema_digest: str
    base_digest: str
    length: int
