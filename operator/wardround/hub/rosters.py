"""Reads whom a round asks from the hub's own signed assignments, and opens each of them once."""

import hashlib
from collections import OrderedDict
from collections.abc import Collection

from wardround.api.roundtask import RoundTask
from wardround.documents.keys import Identity
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_assignment
from wardround.sealing.refused import Refused

# Rounds under way at one time whose rosters are kept. More of them are opened anew at each look.
MOST_KEPT = 256


class Rosters:
    """Rosters by the digest of the assignment that says them. A new process remembers none."""

    def __init__(self, identity: Identity) -> None:
        self._key = load_verification_key(identity.public)
        self._kept: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def roster(self, tasks: Collection[RoundTask]) -> tuple[str, ...]:
        """Whom a round asks, as the hub has signed it in the newest of the first attempts."""
        first = [each for each in tasks if each.spec.attempt == 1]
        newest = max(first, key=lambda each: each.metadata.creation_timestamp, default=None)
        return self._open(newest.spec.assignment) if newest else ()

    def _open(self, assignment: str) -> tuple[str, ...]:
        digest = hashlib.sha256(assignment.encode()).digest()
        if digest not in self._kept:
            self._kept[digest] = self._read(assignment)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def _read(self, assignment: str) -> tuple[str, ...]:
        try:
            return open_assignment(assignment, self._key).roster
        except Refused:
            return ()  # signed by another key than the hub has now
