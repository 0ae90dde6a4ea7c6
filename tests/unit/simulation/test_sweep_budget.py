"""A sweep and the evaluation budget of the hospitals, played by all of Wardround in one process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_evaluations import HOSPITALS, small
from tests.unit.simulation.test_model import ALL_TASKS, FEDERATION
from wardround.cli import sweeps
from wardround.ports import Object

# One model fewer than the sweep has.
ALLOWED, STEPS = 1, ("1", "2")
LIMITED = replace(ALL_TASKS, policy={**ALL_TASKS.policy, "maxEvaluations": ALLOWED})


@dataclass(frozen=True)
class Played:
    """`rounds`: of all models of the sweep. `budgets`: of each hospital's Dataset, by the side of its split. `ranked`:
    as the command `sweep` ranks the models."""

    rounds: list[Object]
    budgets: list[dict[str, Any]]
    ranked: tuple[sweeps.RankedModel, ...]

    def rounds_with(self, task: str) -> list[Object]:
        return [each for each in self.rounds if each["spec"]["task"] == task]


@cache
def played() -> Played:
    """Each model has two Train rounds, and one Evaluate round after them."""
    members = sweeps.members(small(0), {"steps": STEPS}, FEDERATION)

    async def main(loop: VirtualLoop, folder: Path) -> Played:
        federation = Federation(loop, folder, LIMITED, 1, hospitals=HOSPITALS)

        def stages() -> set[str | None]:
            models = federation.hub.select("FederatedModel", FEDERATION)
            return {((each.get("status") or {}).get("series") or {}).get("stage") for each in models}

        async with federation.running(demo_data.tables()):
            federation.apply(*(each.item for each in members))
            await federation.until("all series have ended", lambda: stages() == {"Ended"})
            datasets = [site.read(Place("Dataset", SITE_NAMESPACE, "breast")) for site in federation.sites.values()]
            budgets = [{each["rows"]: each for each in dataset["status"]["evaluations"]} for dataset in datasets]
            live = {each["metadata"]["name"]: each for each in federation.hub.select("FederatedModel", FEDERATION)}
            ranked = sweeps.ranking(members, live, federation.hub.select("ModelVersion", FEDERATION))
            return Played(federation.hub.select("FederatedRound", FEDERATION), budgets, ranked)

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


def test_each_model_of_a_sweep_counts_in_the_evaluation_budget_of_the_hospitals() -> None:
    """The hospitals allow one evaluation fewer than the sweep has models, so one model stays without its Evaluate
    round."""
    evaluations = played().rounds_with("Evaluate")
    assert len(evaluations) == len(STEPS)
    [refused] = [each for each in evaluations if not is_true(each, "Complete")]
    assert {each["reason"] for each in refused["status"]["attention"]} == {"EvaluationsUsedUp"}
    for budget in played().budgets:
        assert (budget["Validation"]["used"], budget["Validation"]["left"]) == (ALLOWED, 0)
        assert budget["Test"]["used"] == 0


def test_the_losses_of_the_train_rounds_of_a_sweep_count_in_no_budget() -> None:
    """Each Train round measures its base on validation rows, and these are more models than the hospitals allow."""
    trainings = played().rounds_with("Train")
    assert len(trainings) == 2 * len(STEPS)
    for each in trainings:
        assert is_true(each, "Complete")
        measured_rows = {one["rows"] for one in each["status"]["result"]["metrics"] if one["name"] == "loss"}
        assert measured_rows == {"Validation"}


def test_a_model_without_its_evaluate_round_is_ranked_by_an_earlier_round() -> None:
    """Nobody measured the model of its last Train round. This Train round measured the model of the one before."""
    assert all(each.compared for each in played().ranked)
    measured = {each.loss.model.split("-")[-2] for each in played().ranked if each.loss}
    assert measured == {"r1", "r2"}
