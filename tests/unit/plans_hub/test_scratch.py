"""An aggregation gets room for all ciphertext, or less where that is above the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.plans_hub.builders import federated_round
from wardround.plans.round import scratch as rooms
from wardround.plans.round.scratch import GIB, SPARE, Scratch
from wardround.sealing.body import MOST_PARTS, PART, SEGMENT, SEGMENTS_PER_PART, ciphertext_length
from wardround.sealing.slices import slice_bytes

MODEL = 102_400_000
UPDATE = ciphertext_length(MODEL)
ROOM = 20 * UPDATE + UPDATE + UPDATE + SPARE  # updates, base, result
ADAM = {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}


def scratch(updates: Sequence[int], base: int | None, limit: int, **aggregation: Any) -> Scratch:
    start: dict[str, Any] = {"initial": {}} if base is None else {"initial": None, "base": {"roundName": "train-0"}}
    return rooms.scratch(federated_round(**start, aggregation=aggregation).spec, updates, base, limit)


def base_of(parts: int) -> int:
    """The length of a model whose ciphertext is whole parts."""
    return parts * SEGMENTS_PER_PART * SEGMENT


def test_there_is_room_for_updates_base_and_result() -> None:
    assert scratch([UPDATE] * 20, MODEL, GIB * 20) == Scratch(ROOM, reads_twice=False, anticipates=True)


def test_a_round_without_base_needs_less() -> None:
    assert scratch([UPDATE] * 20, None, GIB * 20) == Scratch(ROOM - UPDATE, reads_twice=False)


def test_without_room_for_the_whole_result_updates_are_combined_when_all_have_come() -> None:
    large, base = 3 * PART, base_of(3)
    whole = 20 * large + large + large + SPARE
    assert scratch([large] * 20, base, whole) == Scratch(whole, reads_twice=False, anticipates=True)
    assert scratch([large] * 20, base, whole - 1) == Scratch(whole - PART, reads_twice=False)
    assert scratch([large] * 20, base, whole - PART).reads_twice is False
    assert scratch([large] * 20, base, whole - PART - 1).reads_twice


def test_one_byte_above_the_limit_the_store_is_read_twice() -> None:
    assert scratch([UPDATE] * 20, MODEL, ROOM).reads_twice is False
    assert scratch([UPDATE] * 20, MODEL, ROOM - 1) == Scratch(UPDATE + SPARE + 20 * 98 * 32, reads_twice=True)


def test_updates_that_are_read_at_once_are_sealed_in_smaller_slices() -> None:
    slices = -(-UPDATE // (128 << 10))
    room = scratch([UPDATE] * 20, MODEL, GIB * 20, strategy="Median")
    assert room == Scratch(ROOM + 20 * 16 * slices, reads_twice=False, anticipates=True)
    assert [slice_bytes(hospitals) >> 10 for hospitals in (1, 4, 5, 20, 512, 10_000)] == [1024, 1024, 512, 128, 8, 4]


@pytest.mark.parametrize(
    ("aggregation", "files"),
    [
        ({"strategy": "NormBounding", "parameters": {"largestNorm": "1"}}, 1),
        ({"strategy": "FedAdam", "parameters": ADAM}, 3),
        ({"compression": "Int8"}, 1),
        ({"strategy": "FedAdam", "parameters": ADAM, "compression": "Int8"}, 3),
    ],
)
def test_a_result_that_waits_for_all_updates_needs_two_parts_of_each_file(
    aggregation: dict[str, Any], files: int
) -> None:
    model = GIB
    sealed = ciphertext_length(model)
    room = scratch([sealed] * 3, model, GIB * 20, **aggregation)
    assert room == Scratch(3 * sealed + sealed + files * 2 * PART + SPARE, reads_twice=False)


def test_compressed_updates_need_the_room_of_expanded_ones() -> None:
    assert scratch([UPDATE // 4] * 20, MODEL, GIB * 20, compression="Int8") == Scratch(ROOM, reads_twice=False)


def test_where_the_store_is_read_twice_the_result_needs_two_parts() -> None:
    hashes = 512 * 640 * 32
    assert scratch([0] * 512, base_of(10), GIB) == Scratch(2 * PART + SPARE + hashes, reads_twice=True)
    assert scratch([0] * 512, base_of(MOST_PARTS), GIB).bytes < GIB  # the least limit that the hub chart takes


@pytest.mark.parametrize("claimed", [1, 8 << 30])
@pytest.mark.parametrize("aggregation", [{}, {"strategy": "Median"}, {"compression": "Int8"}])
def test_what_a_hospital_says_of_the_size_changes_nothing_if_the_base_is_known(
    claimed: int, aggregation: dict[str, Any]
) -> None:
    honest = scratch([UPDATE] * 3, MODEL, GIB, **aggregation)
    assert scratch([UPDATE, claimed, UPDATE], MODEL, GIB, **aggregation) == honest
