"""Which rounds that are gone the hub operator has to look at, and how little it keeps of those that wait."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from uuid import UUID

from wardround.hub.gone_rounds import GoneRounds
from wardround.kube.index import NamespacedName

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PLACE = NamespacedName("heart", "risk-s1-r1")
OTHER = NamespacedName("heart", "risk-s1-r2")
NONE: frozenset[int] = frozenset()


def waiting(gone: GoneRounds, place: NamespacedName, until: datetime) -> None:
    gone.wait(place, gone.left(place, None), until)


def test_nobody_looks_at_a_round_that_waits_before_its_time() -> None:
    gone = GoneRounds()
    gone.add(PLACE, "uid-1", [1, 12])
    waiting(gone, PLACE, NOW)

    assert not gone.left(PLACE, None)
    assert gone.take_due(NOW - timedelta(seconds=1)) == ()
    assert gone.take_due(NOW) == (PLACE,)
    assert gone.left(PLACE, None) == {"uid-1": frozenset({1, 12})}
    assert gone.take_due(NOW) == ()


def test_rounds_become_due_in_the_order_of_their_times() -> None:
    gone = GoneRounds()
    for place, uid, minutes in ((PLACE, "uid-1", 20), (OTHER, "uid-2", 10)):
        gone.add(place, uid)
        waiting(gone, place, NOW + timedelta(minutes=minutes))

    assert gone.take_due(NOW + timedelta(minutes=10)) == (OTHER,)
    assert gone.take_due(NOW + timedelta(minutes=20)) == (PLACE,)


def test_two_rounds_of_one_name_wait_and_their_name_is_due_once() -> None:
    gone = GoneRounds()
    gone.add(PLACE, "uid-1")
    gone.add(PLACE, "uid-2")
    waiting(gone, PLACE, NOW)

    assert gone.take_due(NOW) == (PLACE,)
    assert gone.left(PLACE, None) == {"uid-1": NONE, "uid-2": NONE}


def test_a_round_that_has_the_name_of_one_that_waits_does_not_wait_with_it() -> None:
    gone = GoneRounds()
    gone.add(PLACE, "uid-1")
    waiting(gone, PLACE, NOW)
    gone.add(PLACE, "uid-2")

    assert gone.left(PLACE, None) == {"uid-2": NONE}
    gone.take_due(NOW)
    gone.deleted(PLACE, "uid-1")
    assert gone.left(PLACE, None) == {"uid-2": NONE}


def test_a_round_that_waits_takes_little_memory_however_often_a_list_shows_it() -> None:
    gone = GoneRounds()
    rounds = [(NamespacedName("heart", f"risk-s{number}-r1"), str(UUID(int=number))) for number in range(1000)]

    def listed() -> int:
        for place, uid in rounds:
            gone.add(place, uid)
            waiting(gone, place, NOW)
            gone.forgotten(place, uid)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    once, twice = listed(), listed()
    tracemalloc.stop()

    assert once < 1000 * 200
    assert twice < once * 1.1
