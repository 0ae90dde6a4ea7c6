"""An aggregation gets room for all ciphertext, or less where that is above the limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, STORED, collecting, federated_round, sent
from tests.unit.plans_hub.reading import of_type
from wardround.api.task import Upload
from wardround.plans.round import scratch as rooms
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import GIB, SCRATCH_LIMIT, SPARE, Scratch
from wardround.plans.round.types import Aggregate
from wardround.sealing.body import MOST_PARTS, PART, SEALED_SEGMENT, SEGMENT, SEGMENTS_PER_PART, ciphertext_length
from wardround.sealing.slices import slice_bytes

MODEL = 102_400_000
UPDATE = ciphertext_length(MODEL)
ROOM = 20 * UPDATE + UPDATE + UPDATE + SPARE  # updates, base, result
ADAM = {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}


def scratch(updates: int, length: int, base: int | None, limit: int, **aggregation: Any) -> Scratch:
    start: dict[str, Any] = {"initial": {}} if base is None else {"initial": None, "base": {"roundName": "train-0"}}
    return rooms.scratch(federated_round(**start, aggregation=aggregation).spec, updates, length, base, limit)


def base_of(parts: int) -> int:
    """The length of a model whose ciphertext is whole parts."""
    return parts * SEGMENTS_PER_PART * SEGMENT


def test_there_is_room_for_updates_base_and_result() -> None:
    assert scratch(20, UPDATE, MODEL, GIB * 20) == Scratch(ROOM, reads_twice=False, anticipates=True)


def test_a_round_without_base_needs_less() -> None:
    assert scratch(20, UPDATE, None, GIB * 20) == Scratch(ROOM - UPDATE, reads_twice=False)


def test_without_room_for_the_whole_result_updates_are_combined_when_all_have_come() -> None:
    large, base = 3 * PART, base_of(3)
    whole = 20 * large + large + large + SPARE
    assert scratch(20, large, base, whole) == Scratch(whole, reads_twice=False, anticipates=True)
    assert scratch(20, large, base, whole - 1) == Scratch(whole - PART, reads_twice=False)
    assert scratch(20, large, base, whole - PART).reads_twice is False
    assert scratch(20, large, base, whole - PART - 1).reads_twice


def test_one_byte_above_the_limit_the_store_is_read_twice() -> None:
    assert scratch(20, UPDATE, MODEL, ROOM).reads_twice is False
    assert scratch(20, UPDATE, MODEL, ROOM - 1) == Scratch(UPDATE + SPARE + 20 * 98 * 32, reads_twice=True)


def test_updates_that_are_read_at_once_are_sealed_in_smaller_slices() -> None:
    slices = -(-UPDATE // (128 << 10))
    room = scratch(20, UPDATE, MODEL, GIB * 20, strategy="Median")
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
    room = scratch(3, sealed, model, GIB * 20, **aggregation)
    assert room == Scratch(3 * sealed + sealed + files * 2 * PART + SPARE, reads_twice=False)


def test_compressed_updates_need_the_room_of_expanded_ones() -> None:
    assert scratch(20, UPDATE, MODEL, GIB * 20, compression="Int8") == Scratch(ROOM, reads_twice=False)


def test_where_the_store_is_read_twice_the_result_needs_two_parts() -> None:
    hashes = 512 * 640 * 32
    assert scratch(512, ciphertext_length(base_of(10)), base_of(10), GIB) == Scratch(
        2 * PART + SPARE + hashes, reads_twice=True
    )
    assert (
        scratch(512, ciphertext_length(base_of(MOST_PARTS)), base_of(MOST_PARTS), GIB).bytes < GIB
    )  # the least limit that the hub chart takes


@pytest.mark.parametrize("claim", [1, UPDATE - 1])
@pytest.mark.parametrize("aggregation", [{}, {"strategy": "Median"}, {"compression": "Int8"}])
def test_what_a_hospital_claims_changes_nothing_if_the_base_is_known(claim: int, aggregation: dict[str, Any]) -> None:
    spec = {"initial": None, "base": {"roundName": "train-0"}, "aggregation": aggregation, "quorum": {"min": 3}}
    stored = replace(STORED, result=replace(STORED.result, bytes=MODEL))
    assert room(*map(sent, NAMES[:2]), sent(NAMES[2], upload=Upload(bytes=claim)), spec=spec, base_model=stored) == (
        scratch(3, UPDATE, MODEL, SCRATCH_LIMIT, **aggregation)
    )


def room(*tasks: Any, **changes: Any) -> Scratch:
    """Of the aggregation of a round that closes."""
    [action] = of_type(plan(collecting(*tasks, **changes)), Aggregate)
    assert isinstance(action, Aggregate)
    return action.scratch


@pytest.mark.parametrize("task", ["Statistics", "Evaluate"])
def test_sums_have_room_for_a_segment_each_whatever_the_hospitals_claim(task: str) -> None:
    spec = {
        "task": task,
        "initial": None,
        **({"image": None} if task == "Statistics" else {"base": {"roundName": "t"}}),
    }
    tasks = [sent(name, upload=Upload(bytes=1)) for name in NAMES]
    assert room(*tasks, spec=spec, base_model=STORED).bytes == 3 * SEALED_SEGMENT + SEALED_SEGMENT + SPARE
