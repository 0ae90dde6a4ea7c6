"""A FederatedModel whose models are evaluated between its Train rounds, played by all of Wardround in one process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_model import ALL_TASKS, FEDERATION, model
from wardround.cli import approvals
from wardround.plans import approval as plans
from wardround.ports import Object

HOSPITALS = demo_data.HOSPITALS[:2]
MANUAL = HOSPITALS[0].name
MODEL = Place("FederatedModel", FEDERATION, "breast")


@dataclass
class Trained:
    """`rounds`: of the series, in order. `tasks`: their SiteTasks of the hospital where people approve the model once,
    and `approval` their Approval."""

    model: Object
    rounds: list[Object]
    tasks: list[Object]
    approval: Object

    @property
    def places(self) -> list[str]:
        return [f"{each['task']} {each['number']}" for each in self.model["status"]["series"]["rounds"]]

    def digests(self) -> list[str]:
        """Of the trained models."""
        return [each["status"]["result"]["digest"] for each in self.rounds if each["spec"]["task"] == "Train"]


def small(every: int) -> Object:
    """The smallest training, of two rounds."""
    item = model()
    spec = item["spec"]
    spec["round"] |= {"participants": {"names": [each.name for each in HOSPITALS]}, "quorum": {"min": 2}}
    spec["series"]["parameters"]["steps"] = "1"
    return {**item, "spec": {**spec, "evaluation": {"every": every}}}


@cache
def trained(every: int) -> Trained:
    async def main(loop: VirtualLoop, folder: Path) -> Trained:
        federation = Federation(loop, folder, ALL_TASKS, 1, hospitals=HOSPITALS)
        site = federation.sites[MANUAL]
        async with federation.running(demo_data.tables()):
            federation.set_approval(MANUAL, "Manual")
            federation.apply(small(every))
            await federation.until("people are asked", lambda: bool(site.select("SiteTask", SITE_NAMESPACE)))
            [first] = site.select("SiteTask", SITE_NAMESPACE)
            known = approvals.reviewed(first, ())
            site.create(
                approvals.approve_model(
                    known, rounds=None, evaluations=None, until=None, author="carla", now=loop.clock()
                )
            )
            await federation.until("the series has ended", lambda: is_true(federation.hub.read(MODEL), "Ready"))
            ended = federation.hub.read(MODEL)
            rounds = [federation.round(each["name"]) for each in ended["status"]["series"]["rounds"]]
            [approval] = site.select("Approval", SITE_NAMESPACE)
            # The site may have the task already that measures the new version on test rows. The series has ended then.
            prefixes = tuple(f"{each['name']}-" for each in ended["status"]["series"]["rounds"])
            tasks = [
                each
                for each in site.select("SiteTask", SITE_NAMESPACE)
                if each["metadata"]["name"].startswith(prefixes)
            ]
            return Trained(ended, rounds, tasks, approval)

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


def test_each_model_is_evaluated_before_the_next_train_round() -> None:
    made = trained(1)
    assert made.places == ["Statistics 0", "Train 1", "Evaluate 1", "Train 2", "Evaluate 2"]
    assert all(is_true(each, "Complete") for each in made.rounds)
    measured = [each.get("loss") for each in made.model["status"]["series"]["rounds"] if each["task"] == "Train"]
    evaluated = [
        next(one["value"] for one in each["status"]["result"]["metrics"] if one["name"] == "loss")
        for each in made.rounds
        if each["spec"]["task"] == "Evaluate"
    ]
    assert measured == evaluated
    assert len(evaluated) == 2


def test_an_evaluate_round_changes_nothing_in_the_training() -> None:
    """The state that training code leaves at a hospital goes on from one Train round to the next."""
    assert trained(0).places == ["Statistics 0", "Train 1", "Train 2", "Evaluate 2"]
    assert trained(1).digests() == trained(0).digests()


def test_one_approval_covers_all_evaluations_of_the_series_and_counts_them() -> None:
    for every, evaluations in ((0, 1), (1, 2)):
        made = trained(every)
        status, uids = made.approval["status"], {each["metadata"]["uid"] for each in made.rounds}
        assert status["rounds"] == 3
        # The Approval may have counted the task already that measures the new version on test rows.
        assert len([each for each in status["evaluationTasks"] if each.partition("/")[0] in uids]) == evaluations
        assert status["evaluations"] == len(status["evaluationTasks"])
        assert {each["status"]["decision"]["by"] for each in made.tasks} == {"carla"}
        assert len(made.tasks) == 3 + evaluations
        asked = [approvals.reviewed(each, ()).assignment for each in made.tasks]
        assert {each.evaluation_every for each in asked} == {every}
        assert [plans.deviations(each) for each in asked if plans.deviations(each)] == []
