"""The sealed sums of validation rows that come with the update of a Train round."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.store.updates import BASE, weights
from tests.players import courier
from tests.players.stored_round import Round
from wardround.metrics import estimates, sums
from wardround.metrics.digits import text
from wardround.sealing import manifests
from wardround.wire import canonical


async def test_train_tells_the_numbers_of_the_base_over_validation_people(train: Round) -> None:
    train.metrics = ("loss", "auc", "own")
    await train.with_base(BASE)
    for seed, (name, people) in enumerate({"site-a": 40, "site-b": 60, "site-c": 50}.items()):
        sent = courier.validation_sums({"own": repr(float(seed))}, people=people, seed=seed)
        await train.update(name, weights(seed + 1), people, claims={"sums": sent, "tells": True})
    # Too few validation people: its weights count, and it has no sums.
    await train.update("site-d", weights(9), 20, claims={"withheld": True})
    _, answer = await train.aggregate()
    assert (answer["aggregated"], answer["leftOut"]) == (["site-a", "site-b", "site-c", "site-d"], [])
    assert (answer["withheld"], answer["uncounted"], answer["samples"]) == (1, [], 170)
    both = sums.add([courier.sums_over(people, seed=seed) for seed, people in enumerate((40, 60, 50))])
    expected = estimates.estimates(both, 11)
    for name in ("loss", "auc"):
        estimate, metric = expected[name], answer["metrics"][name]
        assert estimate is not None
        assert (metric["value"], metric["people"], metric["hospitals"]) == (text(estimate.value, 90), 150, 3)
    assert answer["metrics"]["own"]["value"] == text((0 * 40 + 60 + 2 * 50) / 150, 40 + 50)
    assert set(answer["byHospital"]) == {"site-a", "site-b", "site-c"}
    assert "threshold" not in answer["metrics"]


async def test_a_number_that_would_leave_nothing_of_a_mean_is_left_out_and_its_hospital_is_named(train: Round) -> None:
    train.metrics = ("own",)
    await train.with_base(BASE)
    for name, value in (("site-a", "0.5"), ("site-b", "1e308"), ("site-c", "0.1")):
        sent = canonical.dumps({"people": 40, "sums": {}, "reported": {"own": value}})
        await train.update(name, weights(1), 40, claims={"sums": sent})
    _, answer = await train.aggregate()
    assert (answer["aggregated"], answer["leftOut"]) == (["site-a", "site-b", "site-c"], [])
    own = answer["metrics"]["own"]
    assert (own["value"], own["people"], own["hospitals"]) == ("0.3", 80, 2)
    assert answer["numbersTooLarge"] == ["site-b"]


async def test_train_counts_validation_people_up_to_the_maximum(train: Round) -> None:
    train.metrics, train.max_samples = ("people",), {"site-b": 40}
    await train.with_base(BASE)
    for name, people in (("site-a", 40), ("site-b", 80)):
        await train.update(name, weights(1), 10, claims={"sums": courier.validation_sums(people=people)})
    _, answer = await train.aggregate()
    assert answer["metrics"]["people"]["value"] == "80"


def with_sums(**changes: Any) -> bytes:
    document = json.loads(courier.validation_sums())
    return canonical.dumps(document | changes)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"withheld": True, "sums": courier.validation_sums()}, "CountsInvalid"),
        ({"sums": with_sums(people=41)}, "CountsInvalid"),
        ({"sums": with_sums(reported={"loss": "nan"})}, "CountsInvalid"),
        ({"sums": with_sums(reported={"loss": "low"})}, "CountsInvalid"),
        ({"sums": with_sums(sums={"people": ["40.0", "20.0", "20.0"]})}, "CountsInvalid"),
        ({"sums": courier.validation_sums(people=20)}, "CountsInvalid"),  # ten in a class, and minCell is 11
    ],
)
async def test_validation_sums_that_no_site_sends_leave_the_update_out(
    train: Round, claims: dict[str, Any], reason: str
) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), claims=claims)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]


async def test_sums_that_were_sealed_for_another_update_leave_the_update_out(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1), claims={"sums": courier.validation_sums()})
    sent = train.sent["site-a"].status.update
    assert sent is not None
    theirs = manifests.open_update(sent.manifest, train.hospitals["site-a"].signing.public_key()).sealed_sums
    await train.update("site-b", weights(2), manifest={"sealed_sums": theirs})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "Altered"}]
