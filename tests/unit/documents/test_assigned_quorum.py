"""A hospital reads in its assignment of how many hospitals the result may be, and decides by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.players.hospital import Hospital
from tests.players.hub import Hub, dispatch
from wardround.api import federatedround


@pytest.mark.parametrize(
    ("aggregation", "quorum"),
    [
        ({}, 9),
        ({"strategy": "Median"}, 9),
        ({"strategy": "Krum", "parameters": {"hostile": "2"}}, 1),
        ({"strategy": "GeometricMedian"}, 1),
        ({"strategy": "MultiKrum", "parameters": {"hostile": "2", "chosen": "3"}}, 3),
    ],
)
def test_the_assigned_quorum_counts_the_hospitals_that_make_up_the_result(
    aggregation: dict[str, Any], quorum: int
) -> None:
    hub, now = Hub(), datetime.now(UTC)
    hospital = Hospital("site-a", hub.identity.fingerprint)
    spec = {
        "task": "Train",
        "datasetName": "breast",
        "schemaName": "breast-v1",
        "participants": {"names": ["site-a"]},
        "image": "registry.example/trainer@sha256:" + "1" * 64,
        "initial": {},
        "quorum": {"min": 9},
        "aggregation": aggregation,
    }
    made = federatedround.parse({"metadata": {"name": "round", "namespace": "test", "uid": "uid"}, "spec": spec})
    asked = hub.ask(made, hospital.recipient, dispatch("site-a", now), now)
    assert hospital.assignment(asked).quorum.min == quorum
