"""A list that grows, as the hub operator reads it again from a plan."""

from __future__ import annotations

from wardround.wire import codec
from wardround.wire.aggregation import PlannedList
from wardround.wire.kept_plan import KeptList


def kept(listed: PlannedList) -> KeptList:
    return codec.parse(KeptList, codec.dump(listed))
