"""The manifest of a server optimizer's state, sealed beside a round's result. docs/contracts.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.wire.models import Header


@dataclass(frozen=True)
class StateMoment:
    """A moment in the store: a tensor file with the layout of the model. `segments_digest`: of the list of ciphertext
    hashes."""

    header: Header
    segments_digest: str
    location: str


@dataclass(frozen=True, kw_only=True)
class StateManifest:
    """A state in the store, signed by the hub. It belongs to one result and one way to go on from it.

    `result_digest`: of the result's plaintext. `strategy`, `parameters`, `frozen`: of the round that made both, the
    last one sorted. `moments`: in the order of the optimizer.
    """

    result_digest: str
    strategy: str
    parameters: Mapping[str, str]
    frozen: tuple[str, ...]
    moments: tuple[StateMoment, ...]
