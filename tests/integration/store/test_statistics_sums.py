"""The sums of Statistics rounds, added through a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.players.store import Server
from tests.players.stored_round import Round
from wardround.store.transfer import StoreClient


def statistics(rows: float, /, shift: float = 1.0, **changes: Any) -> dict[str, Any]:
    pair = np.array([rows, rows], float)
    made = {
        **{"count": pair, "sum": pair * 2, "squares": pair * 5, "shift": np.array([shift, 0.0])},
        **{"positives": np.array([rows / 2]), "rows": np.array([rows], float), "salt": np.arange(32.0)},
    }
    return made | {name: np.array(values, float) for name, values in changes.items()}


async def test_statistics_are_summed_and_keep_their_centres(server: Server, store: StoreClient, tmp_path: Path) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32))
    _, answer = await round_.aggregate()
    result = await round_.result(answer)
    assert result["sum"].tolist() == [84.0, 84.0]
    assert result["shift"].tolist() == [1.0, 0.0]
    assert result["rows"].tolist() == [42.0]


@pytest.mark.parametrize(
    "lie",
    [
        {"count": [1e300, 32.0]},
        {"rows": [1e300]},
        {"positives": [1e300]},
        {"squares": [1.7e308, 160.0], "sum": [1e150, 64.0]},
        {"sum": [1e6, 64.0]},
        {"count": [31.5, 32.0]},
        {"positives": [-1.0]},
        # Fewer rows than the samples that its manifest claims.
        {"rows": [9.0], "count": [9.0, 9.0], "positives": [1.0], "sum": [18.0, 18.0], "squares": [45.0, 45.0]},
    ],
)
async def test_the_aggregation_leaves_out_impossible_statistics(
    server: Server, store: StoreClient, tmp_path: Path, lie: dict[str, Any]
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32, **lie))
    await round_.update("site-c", statistics(20))
    code, answer = await round_.aggregate()
    assert (code, answer["leftOut"]) == (0, [{"participant": "site-b", "reason": "CountsInvalid"}])
    result = await round_.result(answer)
    assert {name: values.tolist() for name, values in result.items()} == {
        name: values.tolist() for name, values in statistics(30, salt=2 * np.arange(32.0)).items()
    }


async def test_sums_over_too_many_rows_are_scaled_to_the_maximum(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics", max_samples={"site-a": 100, "site-b": 100})
    await round_.update("site-a", statistics(2.0**50))
    await round_.update("site-b", statistics(20))
    _, answer = await round_.aggregate()
    assert answer["leftOut"] == []
    result = await round_.result(answer)
    assert result["rows"].tolist() == [120.0]
    assert result["count"].tolist() == [120.0, 120.0]
    assert result["sum"].tolist() == [240.0, 240.0]
    assert result["shift"].tolist() == [1.0, 0.0]


async def test_the_aggregation_leaves_out_statistics_of_other_tensors(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", {"w": np.ones(3)})
    await round_.update("site-c", statistics(10) | {"more": np.zeros(200_000)})  # and more than a segment
    _, answer = await round_.aggregate()
    assert {each["participant"]: each["reason"] for each in answer["leftOut"]} == {
        "site-b": "WrongSchema",
        "site-c": "WrongSchema",
    }


async def test_statistics_with_different_centres_give_no_result(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Statistics")
    await round_.update("site-a", statistics(10))
    await round_.update("site-b", statistics(32, shift=2.0))
    code, answer = await round_.aggregate()
    assert (code, answer["reason"]) == (65, "SchemasDiffer")
