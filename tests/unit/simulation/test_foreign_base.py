"""A base with the tensors of another image, in a training pod: the container refuses it, and the hospital reads why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data
from tests.conditions import condition, is_true
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.kubelet import Node
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_evaluations import HOSPITALS
from wardround.ports import Object
from wardround.simulate.containers import Container
from wardround.simulate.trainers import run_reference

OTHER = "registry.example/wardround/other@sha256:" + "c" * 64
# The round that starts from the model of another image.
FOREIGN = "train-2"
BUILT_IN = ["python", "-m", "wardround_trainer"]
BOTH = replace(
    OWN,
    policy={
        **OWN.policy,
        "images": [OWN.reference, OTHER],
        "commands": [*OWN.policy["commands"], BUILT_IN],
    },
)


class TwoImages(Federation):
    """The image of examples/own-image makes the base, and the built-in trainer gets it."""

    def _node(self, name: str, server: Any) -> Node:
        node = super()._node(name, server)
        images = {**node.programs.images, OTHER: run_reference}
        return replace(node, programs=replace(node.programs, images=images))


@dataclass
class Played:
    """`round`: the one with the foreign base. `tasks`: its SiteTask of each hospital. `codes`: what its training
    containers wrote into error.json, and `checked`: how many updates a hospital checked before it would send them."""

    round: Object = field(default_factory=dict)
    tasks: list[Object] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    checked: int = 0

    def see(self, container: Container) -> None:
        if container.job["metadata"]["labels"].get("wardround.io/round") != FOREIGN:
            return
        self.checked += container.command[-1] == "check"
        error = container.folder / "out" / "error.json"
        if container.image == OTHER:
            self.codes.append(json.loads(error.read_text())["code"] if error.exists() else "none")


def chain() -> list[Object]:
    """Statistics, a Train round of one image, and one of the other image that starts from the model of the first."""
    rounds = documents(OWN)[:3]
    for each in rounds:
        each["spec"] |= {"participants": {"names": [each.name for each in HOSPITALS]}, "quorum": {"min": 2}}
    rounds[2]["spec"] |= {"image": OTHER, "command": BUILT_IN, "parameters": {}, "exchange": {}}
    return rounds


@pytest.fixture(scope="module")
def played() -> Played:
    made = Played()

    async def main(loop: VirtualLoop, folder: Path) -> Played:
        federation = TwoImages(loop, folder, BOTH, 1, made.see, hospitals=HOSPITALS)
        async with federation.running(demo_data.tables()):
            federation.apply(*chain())
            made.round = await federation.over(FOREIGN)
            made.tasks = [
                each
                for site in federation.sites.values()
                for each in site.select("SiteTask", SITE_NAMESPACE)
                if each["metadata"]["name"].startswith(f"{FOREIGN}-")
            ]
            return made

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


def test_the_training_container_refuses_a_base_with_the_tensors_of_another_image(played: Played) -> None:
    assert played.codes == ["BaseDiffers"] * len(HOSPITALS)
    assert played.checked == 0
    assert is_true(played.round, "Failed")
    assert played.round["status"].get("result") is None


def test_a_hospital_reads_that_the_training_code_failed_and_which_log_says_why(played: Played) -> None:
    """The log has the words of tests/unit/trainer/test_base.py. It stays at the hospital."""
    assert len(played.tasks) == len(HOSPITALS)
    for each in played.tasks:
        failed = condition(each, "Failed")
        assert failed is not None
        assert (failed.status, failed.reason) == ("True", "TrainerFailed")
        log = rf"kubectl logs {FOREIGN}-\S+ -n {SITE_NAMESPACE} -c train"
        assert re.fullmatch(f"Container train ended with exit code 1: {log}", failed.message)


def test_the_author_of_the_round_hears_the_reason_and_not_the_log(played: Played) -> None:
    reasons = {each["participant"]: each["reason"] for each in played.round["status"]["attention"]}
    assert reasons == {each.name: "TrainerFailed" for each in HOSPITALS}
    assert "BaseDiffers" not in json.dumps(played.round)
