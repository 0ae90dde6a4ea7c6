"""Rounds of the demo for the example's trainer, and how a test plays them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.simulation.rounds import OWN, documents
from wardround.simulate.play import Finished, play
from wardround.simulate.prepared import prepared

Object = dict[str, Any]


def short() -> list[Object]:
    """Statistics, one round of training, and its evaluation."""
    statistics, first, *_, evaluation = documents(OWN)
    evaluation["spec"]["base"]["roundName"] = first["metadata"]["name"]
    evaluation["spec"]["references"] = []
    # With another split, too few malignant test rows may be at a second hospital.
    evaluation["spec"]["quorum"] = {"min": 1}
    return copy.deepcopy([statistics, first, evaluation])


def played(rounds: Sequence[Mapping[str, Any]], data: Path, **options: Any) -> list[Finished]:
    ended = list(play(prepared(rounds, data, **{"trainer": OWN.program, **options})))
    finished = [each for each in ended if isinstance(each, Finished)]
    assert len(finished) == len(ended), "no round was skipped"
    return finished


def digests(finished: Sequence[Finished]) -> list[str]:
    return [each.result.digest for each in finished]
