"""Evaluations added through a real store: metrics, differences, and the verdict of the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.players import courier
from tests.players.hub import Hub
from tests.players.store import Server
from tests.players.stored_round import Round
from wardround.metrics import estimates, sums
from wardround.metrics.differences import difference
from wardround.metrics.digits import end_text, text
from wardround.store.transfer import StoreClient
from wardround.wire import layouts

# An aggregation of evaluations reads its digest alone.
MODEL = Hub().seal_model(b"model", "base").model


@pytest.fixture
def evaluation(server: Server, store: StoreClient, tmp_path: Path) -> Round:
    return Round(server, store, tmp_path, task="Evaluate", base=MODEL, metrics=("auc", "loss", "people", "rows"))


def evaluated(people: int) -> dict[str, Any]:
    """The tensors of an Evaluate update."""
    return {**courier.sums_over(people, seed=people), "salt": np.arange(32.0)}


NOTHING = {name: np.zeros(shape) for name, shape in layouts.EVALUATE.items()}
WITHHELD = {"withheld": True, "samples": 0}


async def test_an_evaluation_adds_sums_and_tells_what_follows_from_them(evaluation: Round) -> None:
    for name, people in (("site-a", 40), ("site-b", 60)):
        await evaluation.update(name, evaluated(people))
    await evaluation.update("site-c", evaluated(50) | {"people": np.zeros(4)})
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "WrongSchema"}]
    assert (answer["aggregated"], answer["withheld"]) == (["site-a", "site-b"], 0)
    both = sums.add([evaluated(40), evaluated(60)])
    result = await evaluation.result(answer)
    assert {name: each.tolist() for name, each in result.items()} == {
        name: each.tolist() for name, each in both.items()
    }
    expected = estimates.estimates(both, 11)
    for name in evaluation.metrics:
        estimate, metric = expected[name], answer["metrics"][name]
        assert estimate is not None
        assert (metric["value"], metric["people"], metric["hospitals"]) == (text(estimate.value, 40), 100, 2)
    assert answer["byHospital"] == {}


def compared(people: int, references: int = 2) -> dict[str, Any]:
    """The tensors of an Evaluate update of a round with references."""
    labels, patients = np.arange(people) % 2, np.arange(people)
    model, *others = np.random.default_rng(people).uniform(0.1, 0.9, (1 + references, people))
    counted = sums.count(labels, model, patients) | sums.compare(labels, model, others, patients)
    return {**counted, "salt": np.arange(32.0)}


async def test_paired_sums_add_up_to_the_difference_from_each_reference(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1", "heart-2"))
    for name, people in (("site-a", 40), ("site-b", 60)):
        await round_.update(name, compared(people))
    await round_.update("site-c", compared(50, references=1))
    await round_.update("site-d", evaluated(50))
    lie = compared(50)
    lie["differences"][1, 2] /= 100
    await round_.update("site-e", lie)
    nothing = {name: np.zeros(shape) for name, shape in layouts.evaluation(2).items()}
    await round_.update("site-f", nothing, claims=WITHHELD)
    _, answer = await round_.aggregate()
    refused = {each["participant"]: each["reason"] for each in answer["leftOut"]}
    assert refused == {"site-c": "WrongSchema", "site-d": "WrongSchema", "site-e": "CountsInvalid"}
    assert (answer["aggregated"], answer["withheld"]) == (["site-a", "site-b"], 1)
    result = await round_.result(answer)
    assert result["differences"] == pytest.approx(compared(40)["differences"] + compared(60)["differences"], abs=1e-9)
    for place, number in enumerate(answer["differences"]):
        expected = difference([compared(40), compared(60)], place, 11)
        assert expected is not None
        assert number["reference"] == f"heart-{place + 1}"
        assert number["value"] == text(expected.value, 40)
        assert (number["low"], number["high"]) == (
            end_text(expected.low or 0, 40, upper=False),
            end_text(expected.high or 0, 40, upper=True),
        )
        assert (number["people"], number["events"], number["hospitals"]) == (100, 50, 2)
    assert len(answer["differences"]) == 2


async def test_a_gate_decides_inside_the_job_and_only_its_verdict_leaves(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    gate = {"minEvents": 20, "trained": {"site-a": 400, "site-b": 600, "site-c": 100}}
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1", "heart-2"), gate=gate)
    for name, people in (("site-a", 40), ("site-b", 60)):
        await round_.update(name, compared(people))
    nothing = {name: np.zeros(shape) for name, shape in layouts.evaluation(2).items()}
    await round_.update("site-c", nothing, claims=WITHHELD)
    _, answer = await round_.aggregate()
    # All three models guess: nobody knows which is better.
    expected = {"outcome": "Undecided", "reason": "NotShown", "reference": "heart-1", "unseen": ["site-c"]}
    assert answer["verdict"] == expected


def rated(people: int, positive: int, model: float, reference: float) -> dict[str, Any]:
    """The tensors of an Evaluate update. `model`, `reference`: the mean log odds that they give to right labels."""
    draw = np.random.default_rng(people)
    labels, patients = (np.arange(people) < positive).astype(int), np.arange(people)
    noise = draw.normal(size=people)
    chances, others = (1 / (1 + np.exp((noise + each) * (1 - 2 * labels))) for each in (model, reference))
    counted = sums.count(labels, chances, patients) | sums.compare(labels, chances, [others], patients)
    return {**counted, "salt": np.arange(32.0)}


@pytest.mark.parametrize(
    ("small", "tells", "limit"),
    [({"site-b": 40, "site-c": 44}, False, None), ({"site-c": 44}, True, None), ({"site-c": 44}, True, 500)],
    ids=["three", "two", "two and maxSamples"],
)
async def test_a_hospital_that_states_few_people_gets_no_candidate_accepted_that_is_worse_at_a_large_one(
    server: Server, store: StoreClient, tmp_path: Path, small: dict[str, int], tells: bool, limit: int | None
) -> None:
    """Sixty of the large hospital's 3,000 people have a positive row. Ten times the middle number are 440 people."""
    gate = {"minEvents": 20, "trained": {"site-a": 3000, "site-b": 40, "site-c": 15000}}
    round_ = Round(server, store, tmp_path, task="Evaluate", base=MODEL, references=("heart-1",), gate=gate)
    round_.max_samples = {"site-a": limit} if limit else {}
    await round_.update("site-a", rated(3000, 60, 1.0, 2.0))
    for name, people in small.items():
        lie = rated(people, people // 2, 6.0, 1.0)
        await round_.update(name, lie, claims={"tells": tells})
    _, answer = await round_.aggregate()
    assert answer["leftOut"] == []
    assert answer["verdict"]["outcome"] != "Accepted"


async def test_a_large_hospital_counts_with_all_its_people_among_small_ones(evaluation: Round) -> None:
    hospitals = {"site-a": (3000, 60), "site-b": (44, 20), "site-c": (40, 20)}
    for name, (people, positive) in hospitals.items():
        made = rated(people, positive, 2.0, 1.0)
        await evaluation.update(name, {key: each for key, each in made.items() if key != layouts.DIFFERENCES})
    _, answer = await evaluation.aggregate()
    assert {each["hospitals"] for each in answer["metrics"].values()} == {3}
    assert (await evaluation.result(answer))["people"].tolist() == [3084.0, 100.0, 2984.0]


async def test_a_hospital_that_tells_has_numbers_of_its_own(evaluation: Round) -> None:
    for name, people in (("site-a", 40), ("site-b", 60), ("site-c", 50)):
        await evaluation.update(name, evaluated(people), claims={"tells": name == "site-a"})
    _, answer = await evaluation.aggregate()
    assert set(answer["byHospital"]) == {"site-a"}
    assert answer["byHospital"]["site-a"]["people"] == "40"


async def test_a_withheld_evaluation_is_skipped_counted_and_no_failure(evaluation: Round) -> None:
    for name in ("site-a", "site-b"):
        await evaluation.update(name, evaluated(40))
    await evaluation.update("site-c", NOTHING, claims=WITHHELD)
    code, answer = await evaluation.aggregate()
    assert (code, answer["leftOut"], answer["aggregated"]) == (0, [], ["site-a", "site-b"])
    assert (answer["withheld"], answer["uncounted"]) == (1, ["site-c"])
    assert answer["metrics"]["people"]["value"] == "80"
    assert answer["samples"] == 20


async def test_without_any_sums_there_is_no_result_and_the_answer_says_how_many_are_withheld(evaluation: Round) -> None:
    for name in ("site-a", "site-b"):
        await evaluation.update(name, NOTHING, claims=WITHHELD)
    code, answer = await evaluation.aggregate()
    assert (code, answer["reason"], answer["withheld"], answer["leftOut"]) == (65, "NothingToAggregate", 2, [])


@pytest.mark.parametrize("tensor", sorted(layouts.EVALUATE))
async def test_a_withheld_evaluation_with_any_number_is_left_out(evaluation: Round, tensor: str) -> None:
    await evaluation.update("site-a", evaluated(40))
    one = NOTHING[tensor].copy()
    one.flat[-1] = 1.0
    await evaluation.update("site-b", NOTHING | {tensor: one}, claims=WITHHELD)
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]
    assert (answer["aggregated"], answer["withheld"]) == (["site-a"], 0)


@pytest.mark.parametrize(
    "claims",
    [
        {"withheld": True, "samples": 10},  # it would count as samples
        {"withheld": False, "samples": 0},
        {"withheld": False, "sums": courier.validation_sums()},  # only Train sends sums in its manifest
        {"min_cell": 0},
        {"min_cell": 10},  # no Site has less than 11
    ],
)
async def test_claims_that_no_site_makes_of_an_evaluation_leave_it_out(
    evaluation: Round, claims: dict[str, Any]
) -> None:
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", NOTHING if claims.get("withheld") else evaluated(40), claims=claims)
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]


@pytest.mark.parametrize(
    "lie",
    [
        {"people": [1e300, 20.0, 20.0]},
        {"people": [40.0, -20.0, 60.0]},
        {"people": [40.0, 20.5, 19.5]},
        {"people": [40.0, 20.0, float("nan")]},
        {"rows": [2.0**53 + 2]},
        {"loss": [1e300, 1.0]},
        {"pairs": [400.0, 401.0, 0.0]},
    ],
)
async def test_an_evaluation_is_not_moved_by_sums_that_no_people_give(evaluation: Round, lie: dict[str, Any]) -> None:
    for name in ("site-a", "site-c"):
        await evaluation.update(name, evaluated(40))
    lying = {name: np.array(elements, float) for name, elements in lie.items()}
    await evaluation.update("site-b", evaluated(40) | lying)
    _, answer = await evaluation.aggregate()
    reason = "NotFinite" if any(np.isnan(each).any() for each in lie.values()) else "CountsInvalid"
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]
    assert answer["metrics"]["people"]["value"] == "80"


async def test_a_hospital_whose_class_is_below_its_least_number_of_people_is_left_out(evaluation: Round) -> None:
    """An honest one withholds its sums."""
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", evaluated(40), claims={"min_cell": 21})
    _, answer = await evaluation.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "CountsInvalid"}]


async def test_an_evaluation_counts_a_participants_people_up_to_its_maximum(evaluation: Round) -> None:
    evaluation.max_samples = {"site-b": 40}
    powers = {"pairs": 2, "salt": 0}
    copies = {name: each * 1000.0 ** powers.get(name, 1) for name, each in evaluated(40).items()}
    await evaluation.update("site-a", evaluated(40))
    await evaluation.update("site-b", copies)
    _, answer = await evaluation.aggregate()
    assert answer["metrics"]["people"]["value"] == "80"
    result = await evaluation.result(answer)
    assert result["pairs"][:2].tolist() == pytest.approx((2 * evaluated(40)["pairs"][:2]).tolist())
    assert result["people"].tolist() == [80.0, 40.0, 40.0]
