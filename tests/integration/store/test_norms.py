"""The middle norm of updates, which people read to choose a bound for norms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players.store import Server
from tests.players.stored_round import Round
from wardround.store.transfer import StoreClient
from wardround.wire import digests


@pytest.mark.parametrize("strategy", ["FedAvg", "Median"])
async def test_an_answer_has_the_middle_norm_of_the_combined_updates(train: Round, strategy: str) -> None:
    train.strategy = strategy
    await train.with_base({"w": np.zeros(2)})
    for name, value in (("site-a", 1.0), ("site-b", 3.0), ("site-c", 2.0), ("site-d", 5.0), ("site-e", 1e9)):
        await train.update(name, {"w": np.array([3 * value, -4 * value])})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-e", "reason": "UpdateTooLarge"}]
    # The smaller one of the two in the middle, as the bound on norms has it.
    assert answer["middleNorm"] == "10"


@pytest.mark.parametrize("tells", [False, True])
async def test_the_norm_of_one_hospital_is_shown_only_if_that_hospital_tells(train: Round, tells: bool) -> None:
    await train.with_base({"w": np.zeros(1)})
    await train.update("site-a", {"w": np.array([0.1234])}, claims={"tells": tells})
    _, answer = await train.aggregate()
    assert answer["middleNorm"] == ("0.12" if tells else None)


async def test_an_answer_has_no_norm_of_first_weights(server: Server, store: StoreClient, tmp_path: Path) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name in ("site-a", "site-b"):
        await initial.update(name, BASE | weights(1), claims={"base_digest": digests.digest(b"initial")})
    _, answer = await initial.aggregate()
    assert (answer["aggregated"], answer["middleNorm"]) == (["site-a", "site-b"], None)
