"""Remembers what hospitals hear of a series, from the creation of a round until the round asks them."""

from wardround.wire.assignment import AssignedSeries

# Further ones are read from the FederatedModel again.
MOST = 64


class SeriesMemory:
    """By UID of the round. A new process remembers none, and reads the FederatedModel."""

    def __init__(self) -> None:
        self._known: dict[str, AssignedSeries] = {}

    def put(self, round_uid: str, series: AssignedSeries) -> None:
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[round_uid] = series

    def take(self, round_uid: str) -> AssignedSeries | None:
        return self._known.pop(round_uid, None)
