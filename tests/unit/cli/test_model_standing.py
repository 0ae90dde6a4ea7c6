"""A person who pulls a model reads what the gate found of it, and whether it is the current version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest

from tests.unit.plans_model.world import World, trained
from wardround.api.federatedround import Outcome
from wardround.card import folder
from wardround.cli.cluster import Cluster
from wardround.cli.errors import ForbiddenError
from wardround.extras import model_pull, model_standing
from wardround.extras.model_standing import Standing
from wardround.wire import codec


@dataclass
class Hub:
    """An API server with one model."""

    world: World
    readable: bool = True

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        model = self.world.model
        return {"kind": kind, **codec.dump(model)} if name == model.metadata.name else None

    def user(self) -> str:
        return "rita"

    def create(self, item: dict[str, Any]) -> dict[str, Any]:
        return item

    def delete(self, kind: str, name: str, namespace: str) -> bool:
        return True

    def list(self, kind: str, namespace: str, labels: str) -> list[dict[str, Any]]:
        if not self.readable:
            raise ForbiddenError("You may not list modelversions in federation.")
        return [{"kind": kind, **codec.dump(each)} for each in self.world.versions.values()]


def lines(world: World, number: int, *, readable: bool = True) -> list[str]:
    """About the model of the version with this number."""
    uid = next(each.spec.round_uid for each in world.versions.values() if each.spec.version == number)
    return [each.line for each in standings(world, uid, readable=readable)]


def standings(world: World, uid: str, *, readable: bool = True) -> list[Standing]:
    return model_standing.standings(cast(Cluster, Hub(world, readable)), "federation", uid)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, "version 1 of federatedmodel/heart: Accepted, the current version"),
        (
            2,
            "version 2 of federatedmodel/heart: Worse, not the current version (1). To see why: kubectl wardround "
            "explain modelversion/heart-v2-0123abcd -n federation",
        ),
    ],
)
def test_a_model_that_the_gate_refused_is_not_given_without_its_verdict(number: int, line: str) -> None:
    assert lines(trained("Worse", rounds=1), number) == [line]


def test_a_version_that_people_made_current_is_told_with_its_verdict() -> None:
    world = trained("Worse", rounds=1)
    world.pin(2)
    world.settle()
    assert lines(world, 2)[0].startswith("version 2 of federatedmodel/heart: Worse, the current version. To see why:")


def test_a_new_model_of_the_same_name_has_no_say_about_the_version() -> None:
    world = trained("Worse", rounds=1)
    world.model = replace(world.model, metadata=replace(world.model.metadata, uid="another"))
    assert "Worse, and somebody deleted its FederatedModel" in lines(world, 2)[0]


def test_a_round_that_made_no_version_has_no_verdict() -> None:
    assert standings(trained(rounds=1), "another") == []


def test_a_person_who_may_not_read_versions_learns_that_the_verdict_is_missing() -> None:
    [line] = lines(trained("Worse", rounds=1), 2, readable=False)
    assert line == (
        "The command cannot tell what the gate found of this model: You may not list modelversions in federation."
    )


@pytest.mark.parametrize("outcome", ["Accepted", "Worse", "Undecided"])
def test_only_a_model_that_the_gate_did_not_accept_gets_a_warning(outcome: Outcome) -> None:
    world = trained(outcome, rounds=1)
    [standing] = standings(world, world.versions["heart-v2-0123abcd"].spec.round_uid)
    assert standing.refused is (outcome != "Accepted")
    assert standing.warning == f"When this model was pulled, the gate did not accept it: {standing.line}"


@pytest.mark.parametrize(("number", "warned"), [(1, False), (2, True)])
def test_a_pulled_folder_keeps_what_the_gate_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, warned: bool
) -> None:
    """`wardround predict` shows it later, without the hub."""
    world = trained("Worse", rounds=1)
    spec = next(each.spec for each in world.versions.values() if each.spec.version == number)
    card = Mock(round_uid=spec.round_uid, round_name=spec.round_name, hospitals=2, people=400, metrics=(), revision=1)

    def write(answer: object, own: object, path: Path) -> Mock:
        path.mkdir()
        return card

    monkeypatch.setattr("wardround.card.pull.pull", write)
    monkeypatch.setattr(model_pull, "wait_for", Mock())
    place, hub = tmp_path / "model", cast(Cluster, Hub(world))
    _, line = model_pull.pull(hub, "FederatedRound", spec.round_name, "federation", place, "sha256:" + "0" * 64, 1.0)
    kept = f"When this model was pulled, the gate did not accept it: {line}"
    assert folder.warnings(place) == ([kept] if warned else [])
