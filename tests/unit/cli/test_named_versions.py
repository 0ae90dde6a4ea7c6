"""A person who names a version that somebody deleted reads that it is gone, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.plans_model.world import World, trained
from wardround.cli import named_versions
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.extras import model_pull
from wardround.wire import codec

FIRST, SECOND = "heart-v1-0123abcd", "heart-v2-0123abcd"
EXPLAIN = "`kubectl wardround explain federatedmodel/heart -n federation`."
BEGIN = "`kubectl wardround begin federatedmodel/heart -n federation`."
OTHERS = "Name one of its versions: 2 (federatedmodel/heart@VERSION)."


@dataclass
class Hub:
    """An API server with one model. A command that has found its version creates a ModelTransfer, and stops here."""

    world: World
    server: str = "https://hub.example"

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        model, versions = self.world.model, self.world.versions
        if kind == "Namespace":
            return {"kind": kind}
        known: dict[str, dict[str, Any]] = {
            "FederatedModel": {model.metadata.name: model},
            "ModelVersion": {**versions},
        }
        live = known.get(kind, {})
        return {"kind": kind, **codec.dump(live[name])} if name in live else None

    def list(self, kind: str, namespace: str, labels: str) -> list[dict[str, Any]]:
        return [{"kind": kind, **codec.dump(each)} for each in self.world.versions.values()]

    def user(self) -> str:
        return "rita"

    def create(self, item: dict[str, Any]) -> dict[str, Any]:
        raise CommandError(f"asked for {item['spec']['versionName']}")


def two_versions() -> World:
    """Version 1 is the current one."""
    return trained("Worse", rounds=1)


def refusal(world: World, kind: str, name: str) -> str:
    """The message of `model pull`."""
    with pytest.raises(CommandError) as refused:
        model_pull.pull(cast(Cluster, Hub(world)), kind, name, "federation", Path("absent"), "sha256:" + "0" * 64, 1.0)
    return str(refused.value)


@pytest.mark.parametrize("target", ["heart", "heart@1"])
def test_a_version_that_exists_is_pulled(target: str) -> None:
    assert refusal(two_versions(), "FederatedModel", target) == f"asked for {FIRST}"


def test_a_deleted_current_version_is_said_to_be_gone() -> None:
    world = two_versions()
    del world.versions[FIRST]
    message = refusal(world, "FederatedModel", "heart")
    assert message.startswith(
        f"ModelVersion {FIRST}, the current version of FederatedModel heart, is gone: somebody deleted it. {OTHERS}"
    )
    assert message.endswith(EXPLAIN)


def test_a_deleted_version_of_a_number_is_not_said_to_have_never_existed() -> None:
    world = two_versions()
    del world.versions[FIRST]
    message = refusal(world, "FederatedModel", "heart@1")
    assert message.startswith(
        "FederatedModel heart has no version 1 any more: somebody deleted it, or the hub operator"
    )
    assert message.endswith(OTHERS)
    assert refusal(world, "FederatedModel", "heart@7") == f"FederatedModel heart has no version 7. {OTHERS}"


def test_a_model_without_any_version_can_begin_a_series() -> None:
    world = two_versions()
    world.versions.clear()
    assert refusal(world, "FederatedModel", "heart@1").endswith(BEGIN)


def test_a_modelversion_that_is_gone_is_named_before_the_hub_is_asked() -> None:
    world = two_versions()
    del world.versions[SECOND]
    message = refusal(world, "ModelVersion", SECOND)
    assert f"There is no ModelVersion {SECOND} in namespace federation" in message
    assert "kubectl get modelversions -n federation" in message


@pytest.mark.parametrize(("kind", "name"), [("FederatedModel", "heart@1"), ("ModelVersion", FIRST)])
def test_a_version_whose_round_somebody_deleted_says_it(kind: str, name: str) -> None:
    world = two_versions()
    del world.rounds[world.versions[FIRST].spec.round_name]
    world.settle()
    message = refusal(world, kind, name)
    assert "The hub operator does not give you this model. Somebody deleted or replaced round" in message
    assert BEGIN in message


def test_a_model_without_a_current_version_has_none_to_name() -> None:
    world = two_versions()
    model = replace(world.model, status=replace(world.model.status, current=None))
    assert named_versions.current(model, list(world.versions.values())) is None
