"""An aggregation gets room for all ciphertext, or, above the limit, for two parts of its result."""

from __future__ import annotations

from wardround.plans.round.scratch import GIB, SPARE, Scratch, scratch
from wardround.sealing.body import MOST_PARTS, PART, ciphertext_length
from wardround.sealing.slices import slice_bytes

UPDATE = ciphertext_length(102_400_000)
ROOM = 20 * UPDATE + UPDATE + UPDATE + SPARE  # updates, base, result


def test_there_is_room_for_updates_base_and_result() -> None:
    assert scratch([UPDATE] * 20, 102_400_000, GIB * 20) == Scratch(ROOM, reads_twice=False)


def test_a_round_without_base_needs_less() -> None:
    assert scratch([UPDATE] * 20, None, GIB * 20).bytes == ROOM - UPDATE


def test_one_byte_above_the_limit_the_store_is_read_twice() -> None:
    assert scratch([UPDATE] * 20, 102_400_000, ROOM).reads_twice is False
    assert scratch([UPDATE] * 20, 102_400_000, ROOM - 1) == Scratch(UPDATE + SPARE + 20 * 98 * 32, reads_twice=True)


def test_updates_that_are_read_at_once_are_sealed_in_smaller_slices() -> None:
    slices = -(-UPDATE // (128 << 10))
    room = scratch([UPDATE] * 20, 102_400_000, GIB * 20, at_once=True)
    assert room == Scratch(ROOM + 20 * 16 * slices, reads_twice=False)
    assert [slice_bytes(hospitals) >> 10 for hospitals in (1, 4, 5, 20, 512, 10_000)] == [1024, 1024, 512, 128, 8, 4]


def test_a_large_result_has_room_beside_its_updates() -> None:
    assert scratch([3 * PART] * 2, 10, GIB * 20, moments=2).bytes == (2 + 3) * 3 * PART + 26 + SPARE


def test_where_the_store_is_read_twice_the_result_needs_two_parts() -> None:
    hashes = 512 * 640 * 32
    assert scratch([10 * PART] * 512, 10, GIB) == Scratch(2 * PART + SPARE + hashes, reads_twice=True)
    assert scratch([MOST_PARTS * PART] * 512, 10, GIB).bytes < GIB  # the least limit that the hub chart takes
