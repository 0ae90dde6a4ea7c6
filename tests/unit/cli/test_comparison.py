"""A comparison shows the numbers of the round that the command means, and of no other round of its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from tests.integration.api import objects
from tests.unit.cli import reported
from tests.unit.cli.required import RESULT
from tests.unit.cli.rounds import condition, task
from tests.unit.plans_model.world import World, model, trained
from wardround import kubectl as program
from wardround.api.federatedround import Aggregation
from wardround.api.modelversion import ModelVersion
from wardround.cli.cluster import Cluster
from wardround.cli.commands import sweep as command
from wardround.cli.comparison import check, federated_round
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.wire import codec

ROUND: dict[str, Any] = objects.federated_round(
    "compare-1a2b3c4d", task="Evaluate", initial=None, base={"roundName": "one"}, references=["other"]
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base", {"roundName": "eve"}),
        ("references", ["eve"]),
        ("participants", {"names": ["site-a"]}),
        ("rows", "Test"),
        ("image", "registry.example/eve@sha256:" + "e" * 64),
        ("parameters", {"epochs": "7"}),
    ],
)
def test_a_round_of_the_name_that_measures_something_else_is_refused(field: str, value: Any) -> None:
    with pytest.raises(CommandError, match=f"its {field} differs from the {field} of this comparison"):
        check({**ROUND, "spec": {**ROUND["spec"], field: value}}, ROUND)


def test_the_round_of_an_earlier_command_is_shown() -> None:
    check({**ROUND, "spec": {**ROUND["spec"], "deadlines": {"totalSeconds": 7200}}}, ROUND)


def shown(world: World) -> ModelObjects:
    return ModelObjects(world.model, tuple(world.versions.values()), tuple(world.rounds.values()))


def compared(one: World) -> Any:
    """The spec of the round that compares a model with another one that was trained alike."""
    other = trained(rounds=1)
    version = other.versions["heart-v1-0123abcd"]
    other.versions = {"other": with_round_uid(version, "other")}
    return federated_round(shown(one), shown(other))["spec"]


def test_a_comparison_declares_no_metric_that_only_training_reports() -> None:
    """The API server refuses an Evaluate round with `steps`."""
    one = trained(rounds=1)
    template = one.model.spec.round
    one.edit(round=replace(template, metrics=("loss", "steps"), aggregation=Aggregation(strategy="FedNova")))
    spec = compared(one)
    assert spec["metrics"] == ["loss"]
    assert spec["aggregation"]["strategy"] == "FedAvg"


def test_a_comparison_has_the_code_that_made_the_version_whatever_the_spec_says_now() -> None:
    """The best model of three rounds is the first one, and a schedule has changed the parameters after it."""
    schedule = {"parameter": "rate", "steps": [{"fromRound": 2, "value": "0.001"}]}
    one = World(
        model(rounds=3, parameters={"epochs": "5", "rate": "0.1"}, schedules=[schedule]), losses=["0.3", "0.4", "0.5"]
    )
    one.run()
    one.change(parameters={"epochs": "9", "rate": "0.5"})
    one.edit(round=replace(one.model.spec.round, image="registry.example/new@sha256:" + "e" * 64, command=("new",)))
    spec = compared(one)
    made_by = one.rounds["heart-s1-r1-0123abcd"].spec
    assert spec["base"] == {"roundName": "heart-s1-r1-0123abcd"}
    assert (spec["image"], spec["parameters"]) == (made_by.image, {"epochs": "5", "rate": "0.1"})
    assert tuple(spec["command"]) == made_by.command


@pytest.mark.parametrize("replaced", [False, True])
def test_a_version_whose_round_is_gone_is_not_measured_with_other_code(replaced: bool) -> None:
    one = trained(rounds=1)
    name = one.versions["heart-v1-0123abcd"].spec.round_name
    live = one.rounds.pop(name)
    if replaced:
        one.rounds[name] = replace(live, metadata=replace(live.metadata, uid="eve"))
    with pytest.raises(CommandError, match=f"deleted round {name}, which .* name it: federatedmodel/heart@VERSION"):
        compared(one)


def test_a_comparison_measures_the_versions_that_a_person_names() -> None:
    """Also two of one model: nobody has to make a version current for it, which would deliver the version."""
    models = shown(trained("Worse", rounds=1))
    made_by = {each.spec.version: each.spec.round_name for each in models.versions}
    spec = federated_round(models, models, ("2", "1"))["spec"]
    assert (spec["base"], spec["references"]) == ({"roundName": made_by[2]}, [made_by[1]])
    spec = federated_round(models, models, ("2", ""))["spec"]
    assert spec["references"] == [made_by[1]], "the current version"


def test_a_version_that_does_not_exist_is_refused_with_those_that_do() -> None:
    models = shown(trained("Worse", rounds=1))
    with pytest.raises(CommandError, match=r"has no version 7\. Name one of its versions: 1, 2 \(fed"):
        federated_round(models, models, ("7", "1"))
    with pytest.raises(CommandError, match="nothing to compare"):
        federated_round(models, models)


def test_a_deleted_current_version_is_not_replaced_by_another_one() -> None:
    """The person would read the numbers of a version that nobody named."""
    world = trained("Worse", rounds=1)
    del world.versions["heart-v1-0123abcd"]
    models = shown(world)
    with pytest.raises(CommandError, match=r"heart-v1-0123abcd, the current version of FederatedModel heart, is gone"):
        federated_round(models, models, ("", "2"))


def test_models_of_two_schemas_are_not_compared() -> None:
    """Their rows have other columns. The message names the field."""
    one = reported.parsed(reported.objects()).model
    other = replace(one, model=replace(one.model, spec=replace(one.model.spec, schema_name="heart-v2")))
    other = replace(other, versions=tuple(with_round_uid(each, "another") for each in other.versions))
    with pytest.raises(
        CommandError, match=r"because their schemaName differs\. Name two models with the same schemaName\."
    ):
        federated_round(one, other)


def with_round_uid(version: ModelVersion, uid: str) -> ModelVersion:
    return replace(version, spec=replace(version.spec, round_uid=uid))


@dataclass
class Hub:
    """An API server with two models. `statuses`: of the round that compares them, at each look at it; `tasks`: its
    RoundTasks."""

    worlds: dict[str, World]
    statuses: Iterator[dict[str, Any]]
    tasks: list[dict[str, Any]]
    made: dict[str, Any] = field(default_factory=dict)
    default_namespace: str = "federation"

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        if kind == "FederatedModel":
            return dumped(kind, self.worlds[name].model)
        if self.made:
            self.made["status"] = next(self.statuses)
        return self.made or None

    def list(self, kind: str, namespace: str = "", labels: str = "") -> list[dict[str, Any]]:
        if kind == "RoundTask":
            return self.tasks
        [world] = [each for each in self.worlds.values() if each.model.metadata.uid in labels]
        items = world.versions if kind == "ModelVersion" else world.rounds
        return [dumped(kind, each) for each in items.values()]

    def create(self, item: dict[str, Any]) -> dict[str, Any]:
        self.made = {**item, "metadata": {**item["metadata"], "uid": "compared"}}
        return self.made


def dumped(kind: str, item: Any) -> dict[str, Any]:
    return {"kind": kind, **codec.dump(item)}


def renamed(world: World, name: str) -> World:
    metadata = replace(world.model.metadata, name=name, uid=name)
    world.model = replace(world.model, metadata=metadata)
    return world


def test_a_comparison_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output has the numbers alone."""
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    waiting = task("site-a", {"conditions": [condition("Stalled", "True", "WaitingForApproval")]})
    runs = {"timeline": [{"stage": "Dispatched", "time": "2026-11-27T12:00:00Z"}]}
    over = {"conditions": [condition("Complete", "True", "Complete")], "result": {**RESULT, "samples": 9}}
    worlds = {each: renamed(trained(rounds=1), each) for each in ("one", "two")}
    worlds["two"].versions = {name: with_round_uid(each, name) for name, each in worlds["two"].versions.items()}
    hub = Hub(worlds, iter([runs, runs, over]), [waiting])
    options = program.parser().parse_args(["compare", "fm/one@1", "fm/two"])
    assert command.run_compare(cast(Cluster, hub), options) == 0
    output = capsys.readouterr()
    assert output.err.splitlines()[1:] == [
        "site-a: waits for approval",
        "round: waits for the hub operator",
        "round: waits for the hospitals",
    ]
    assert "waits" not in output.out
