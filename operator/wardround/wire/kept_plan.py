"""What the hub operator reads again of the plan of an aggregation, once its Job has answered.

The plan has the key of the result. Another version of the hub operator may have made the plan, so this reader ignores
every field that it does not need. Only the Job reads the whole plan (wire/aggregation.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from wardround.wire import codec
from wardround.wire.models import Header


@dataclass(frozen=True)
class KeptMoment:
    """A moment of a server optimizer, as in PlannedMoment."""

    data_key: bytes = field(repr=False)
    header: Header
    location: str


@dataclass(frozen=True)
class KeptState:
    """The state of a server optimizer, as in PlannedState."""

    moments: tuple[KeptMoment, ...]


@dataclass(frozen=True, kw_only=True)
class KeptPlan:
    """`data_key`: of the result. The other fields are only for the state of a server optimizer."""

    data_key: bytes = field(repr=False)
    strategy: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    state: KeptState | None = None


def read(data: bytes) -> KeptPlan:
    """Read `plan.json`. Raises Malformed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise codec.Malformed("plan.json", "not JSON") from None
    return codec.parse(KeptPlan, value, "plan.json")
