"""Remembers which rounds are gone and may have left something, so that nobody has to search for it. No I/O here.

The controller of rounds adds a round when an event shows its deletion. Deletions that no event shows are found by what
they left, in a list of all objects that the hub operator has made.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from wardround.api.times import to_seconds
from wardround.kube.index import NamespacedName


class GoneRounds:
    """Rounds by name and UID: a name may have been that of several rounds.

    What they have left goes at once (hub/leftovers.py). Their results may stay for other rounds (hub/results.py).
    Sites may put objects into the store until their grants expire. Until then a hub with many models has thousands of
    such rounds, so this keeps one line of text of each.
    """

    def __init__(self) -> None:
        # UIDs, each with the numbers of aggregations whose objects a list has shown.
        self._left: dict[NamespacedName, tuple[tuple[str, frozenset[int]], ...]] = {}
        # Rounds whose sites can still put objects: until when, namespace, name, UID and numbers of aggregations, in the
        # order of their times. No part of a line has a space.
        self._waiting: list[bytes] = []
        self._results: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._complete = False
        # Names that no round has, and of whose results a search has shown all.
        self._searched: set[NamespacedName] = set()
        self._unnoticed: set[NamespacedName] = set()

    @property
    def missing(self) -> str:
        """What readiness still waits for: the first list."""
        return "" if self._complete else "the first list of what the hub operator has made for rounds"

    def add(self, place: NamespacedName, uid: str, numbers: Iterable[int] = ()) -> None:
        """This round is gone, and may have left something."""
        self.add_left(place, uid, numbers)
        self.add_result(place, uid)

    def add_left(self, place: NamespacedName, uid: str, numbers: Iterable[int] = ()) -> None:
        """This round is gone, and may have left something beside its result."""
        known = dict(self._left.get(place, ()))
        known[uid] = known.get(uid, frozenset()) | frozenset(numbers)
        self._left[place] = tuple(known.items())

    def complete(self) -> None:
        """All rounds that were deleted while no hub operator ran are known."""
        self._complete = True

    def left(self, place: NamespacedName, live_uid: str | None) -> Mapping[str, frozenset[int]]:
        """UIDs of the rounds of this name whose objects are to be deleted, each with numbers of aggregations.
        `live_uid`: of the round that has the name now. An event shows a deletion also while finalizers hold a round."""
        return {uid: numbers for uid, numbers in self._left.get(place, ()) if uid != live_uid}

    def deleted(self, place: NamespacedName, uid: str) -> None:
        """Nothing is left of this round, but for its result."""
        rest = tuple(pair for pair in self._left.get(place, ()) if pair[0] != uid)
        if rest:
            self._left[place] = rest
        else:
            self._left.pop(place, None)

    def wait(self, place: NamespacedName, left: Mapping[str, frozenset[int]], until: datetime) -> None:
        """Sites can put objects for these rounds of this name until then. Nobody has to look at them before."""
        for uid, numbers in left.items():
            self.deleted(place, uid)
            line = " ".join((to_seconds(until), *place, uid, *map(str, sorted(numbers)))).encode()
            # A list of all objects that the hub operator has made shows a round again that waits.
            if line not in self._waiting[bisect_left(self._waiting, line) :][:1]:
                insort(self._waiting, line)

    def waiting(self) -> frozenset[str]:
        """UIDs of the rounds at which nobody has to look before their time."""
        return frozenset(line.split(b" ")[3].decode() for line in self._waiting)

    def take_due(self, now: datetime) -> tuple[NamespacedName, ...]:
        """Names of rounds for which no site can put objects any more, each once. Their objects are to be deleted."""
        # "!" comes after the space that ends a time, and before all that a later time can begin with.
        end = bisect_left(self._waiting, f"{to_seconds(now)}!".encode())
        due, self._waiting = self._waiting[:end], self._waiting[end:]
        places: dict[NamespacedName, None] = {}
        for line in due:
            _, namespace, name, uid, *numbers = line.decode().split(" ")
            place = NamespacedName(namespace, name)
            self.add_left(place, uid, map(int, numbers))
            places[place] = None
        return tuple(places)

    def add_result(self, place: NamespacedName, uid: str) -> None:
        """This round is gone, and has a result: also if it came after somebody has looked for it."""
        self._results[place.namespace][place.name].add(uid)

    def known_results(self, place: NamespacedName) -> frozenset[str]:
        """UIDs of the rounds of this name whose results may be there, of those that are known by now."""
        rounds = self._results.get(place.namespace)
        return frozenset(rounds.get(place.name, ())) if rounds else frozenset()

    def searched(self, place: NamespacedName) -> bool:
        """Whether all results of rounds that had this name are known."""
        return place in self._searched

    def add_searched(self, place: NamespacedName, uids: Iterable[str]) -> None:
        """No round has this name, and these had it. Nobody may have noticed that they are gone."""
        self._searched.add(place)
        for uid in set(uids) - self.known_results(place):
            self.add(place, uid)
            self._unnoticed.add(place)

    def search_again(self, place: NamespacedName) -> None:
        """A round has this name, and nobody may notice its deletion. Or no round needs a result of this name."""
        self._searched.discard(place)

    def take_unnoticed(self) -> tuple[NamespacedName, ...]:
        """Names of gone rounds that a search has shown, each once."""
        unnoticed = tuple(self._unnoticed)
        self._unnoticed.clear()
        return unnoticed

    def with_results(self, namespace: str) -> frozenset[str]:
        """Names of the rounds of a namespace whose results may be there."""
        return frozenset(self._results.get(namespace, ()))

    def forgotten(self, place: NamespacedName, uid: str) -> None:
        """The result of this round is gone."""
        rounds = self._results[place.namespace]
        rounds[place.name].discard(uid)
        if not rounds[place.name]:
            del rounds[place.name]
        if not rounds:
            del self._results[place.namespace]
