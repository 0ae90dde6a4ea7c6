"""A hub in one process and its hospitals in another are one federation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conditions import is_true
from tests.simulation.apart import Half, play_halves
from tests.simulation.rounds import OWN, documents, scratch

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("other", ["hub", "hospitals"])
def test_two_halves_play_a_round(other: Half) -> None:
    statistics, training, *_ = documents(OWN)
    with scratch() as folder:
        played = play_halves(other, ROOT, Path(folder), [statistics, training])
    assert [is_true(each, "Complete") for each in played.rounds] == [True, True], played.rounds[-1]["status"]
    assert len(played.tasks) == 6
