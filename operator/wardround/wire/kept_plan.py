"""What the hub operator reads again of the plan of an aggregation: to write pages of its list, and to keep its result.

The plan has the keys of the list and of the result. Another version of the hub operator may have made the plan, so this
reader ignores every field that it does not need. Only the Job reads the whole plan (wire/aggregation.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from wardround.wire import codec
from wardround.wire.models import Header

T = TypeVar("T")


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
    """`data_key`: of the result. The other fields are only for the state of a server optimizer. None of these has a
    default: a state kept with other parameters than its own would go on in a round to which it does not belong."""

    data_key: bytes = field(repr=False)
    strategy: str
    parameters: Mapping[str, str]
    frozen: tuple[str, ...]
    state: KeptState | None = None

    def has_state(self, moments: int) -> bool:
        """Whether this plan says all that keeps a server state of so many moments."""
        return self.state is not None and len(self.state.moments) == moments


@dataclass(frozen=True)
class _KeptKey:
    data_key: bytes = field(repr=False)


@dataclass(frozen=True)
class KeptCollection:
    """A list that grows, as in PlannedCollection."""

    location: str
    page_bytes: int
    seconds: int


@dataclass(frozen=True)
class KeptList:
    """The list of an aggregation that began early, as in PlannedList."""

    key: bytes = field(repr=False)
    collects: KeptCollection


@dataclass(frozen=True)
class _EarlyPlan:
    listed: KeptList


def read(data: bytes) -> KeptPlan:
    """Read what keeps a result from `plan.json`, without a state that this version cannot read. Raises Malformed."""
    try:
        return _read(KeptPlan, data)
    except codec.Malformed:
        plan = _read(_KeptKey, data)
        return KeptPlan(data_key=plan.data_key, strategy="", parameters={}, frozen=())


def read_list(data: bytes) -> KeptList:
    """Read the list that grows from `plan.json`. Raises Malformed."""
    return _read(_EarlyPlan, data).listed


def _read(cls: type[T], data: bytes) -> T:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise codec.Malformed("plan.json", "not JSON") from None
    return codec.parse(cls, value, "plan.json")
