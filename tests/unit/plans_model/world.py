"""A FederatedModel and its rounds as an API server holds them, for tests of the model's plan. No I/O."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wardround.api import federatedmodel, federatedround, modelversion
from wardround.api.conditions import Condition
from wardround.api.federatedmodel import FederatedModel, SeriesStatus
from wardround.api.federatedround import INITIAL_WEIGHTS, FederatedRound, FederatedRoundStatus, Result, ResultMetric
from wardround.api.meta import OwnerReference
from wardround.api.modelversion import ModelVersion
from wardround.api.times import to_seconds
from wardround.documents import models
from wardround.plans.model import plan as model_plan
from wardround.plans.model import series as rounds
from wardround.plans.model.types import (
    Action,
    CreateRound,
    CreateVersion,
    KeepRound,
    Observation,
    Plan,
    ReportVersion,
    SuspendRound,
)

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
UID = "0123abcd-0000-4000-8000-000000000001"
IMAGE = "registry.example/trainer@sha256:" + "a" * 64
Object = dict[str, Any]


def model(name: str = "heart", **series: Any) -> FederatedModel:
    return federatedmodel.parse(
        {
            "metadata": {"name": name, "namespace": "federation", "uid": UID, "generation": 1},
            "spec": {
                "initial": {"seed": 7},
                "round": {
                    "image": IMAGE,
                    "datasetName": "breast",
                    "schemaName": "breast-v1",
                    "participants": {"names": ["site-a", "site-b"]},
                    "quorum": {"min": 2},
                },
                "series": {"rounds": 3, "parameters": {"epochs": "5"}, **series},
            },
        }
    )


@dataclass
class World:
    """`losses`: of the models of the Train rounds, in order; None for a loss that nobody told."""

    model: FederatedModel
    losses: list[str | None] = field(default_factory=lambda: ["0.5", "0.4", "0.3"])
    rounds: dict[str, FederatedRound] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    now: datetime = NOW

    @property
    def series(self) -> SeriesStatus:
        assert self.model.status.series is not None
        return self.model.status.series

    def observe(self) -> Observation:
        series = self.model.status.series
        if series is None:
            return Observation(model=self.model, now=self.now)
        return Observation(
            model=self.model,
            round=self.rounds.get(rounds.last(series).name),
            best=self.rounds.get(model_plan.best_name(series)) if series.stage == "Ended" else None,
            measuring=self.rounds.get(model_plan.measuring_name(series)) if series.stage == "Ended" else None,
            version=self.versions.get(rounds.version_name(self.model.metadata, 1)),
            now=self.now,
        )

    def step(self, *, writes: int | None = None) -> Plan:
        """Plan, act, write the status. `writes`: the operator dies after so many writes."""
        self.now += timedelta(seconds=1)
        plan = model_plan.plan(self.observe())
        for number, action in enumerate(plan.actions):
            if writes == number:
                return plan
            self.perform(action)
        if writes is None or writes > len(plan.actions):
            self.model = replace(self.model, status=plan.status)
        return plan

    def settle(self, most: int = 200) -> None:
        """Step until nothing changes. Rounds that are created stay as they are."""
        for _ in range(most):
            before = self.model.status, dict(self.rounds), dict(self.versions)
            plan = self.step()
            if (self.model.status, self.rounds, self.versions) == before:
                if plan.requeue_after is None:
                    return
                self.now += timedelta(seconds=plan.requeue_after)
        raise AssertionError("the plan does not settle")

    def run(self, most: int = 600) -> None:
        """Let every round complete, until nothing changes."""
        for _ in range(most):
            self.settle()
            under_way = [each for each in self.rounds.values() if not each.status.conditions]
            if not under_way:
                return
            self.complete(under_way[0].metadata.name)
        raise AssertionError("the series does not end")

    def perform(self, action: Action) -> None:
        match action:
            case CreateRound():
                self.add(models.federated_round(self.model, action))
            case SuspendRound():
                live = self.rounds[action.name]
                self.rounds[action.name] = replace(live, spec=replace(live.spec, suspend=action.suspend))
            case CreateVersion():
                item = models.model_version(self.model, action)
                item["metadata"]["uid"] = f"version-{len(self.versions)}"
                self.versions.setdefault(action.name, modelversion.parse(item))
            case KeepRound():
                owners = tuple(OwnerReference(**_snake(each)) for each in models.kept_for(action.round, action.version))
                live = self.rounds[action.round.metadata.name]
                self.rounds[live.metadata.name] = replace(
                    live, metadata=replace(live.metadata, owner_references=owners)
                )
            case ReportVersion():
                ready = Condition(type="Ready", status="True", reason="VersionReady")
                status = replace(models.measured(action.version, action.measured_by), conditions=(ready,))
                self.versions[action.version.metadata.name] = replace(action.version, status=status)

    def add(self, item: Object) -> None:
        name = item["metadata"]["name"]
        if name in self.rounds:
            return
        item["metadata"]["uid"] = f"round-{len(self.created)}"
        self.created.append(name)
        self.rounds[name] = federatedround.parse(item)

    def complete(self, name: str) -> None:
        """A round ends with a result. Train and Evaluate measure their base."""
        live = self.rounds[name]
        result = Result(
            digest="sha256:" + "d" * 64, location="models/x", bytes=9, samples=20, metrics=self._metrics(live)
        )
        self._end(live, "Complete", result)

    def fail(self, name: str) -> None:
        self._end(self.rounds[name], "Failed", None)

    def change(self, **series: Any) -> None:
        """Somebody changes the series of the spec."""
        self.model = replace(
            self.model,
            metadata=replace(self.model.metadata, generation=self.model.metadata.generation + 1),
            spec=replace(self.model.spec, series=replace(self.model.spec.series, **series)),
        )

    def suspend(self, value: bool) -> None:
        self.model = replace(
            self.model,
            metadata=replace(self.model.metadata, generation=self.model.metadata.generation + 1),
            spec=replace(self.model.spec, suspend=value),
        )

    def _end(self, live: FederatedRound, kind: str, result: Result | None) -> None:
        reason = "Complete" if result else "QuorumNotMet"
        ended = Condition(type=kind, status="True", reason=reason, last_transition_time=to_seconds(self.now))
        status = FederatedRoundStatus(conditions=(ended,), result=result)
        self.rounds[live.metadata.name] = replace(live, status=status)

    def _metrics(self, live: FederatedRound) -> tuple[ResultMetric, ...]:
        if live.spec.task == "Statistics":
            return ()
        base = live.spec.base.round_name if live.spec.base else INITIAL_WEIGHTS
        loss = self.loss_of(base)
        if loss is None:
            return ()
        return (ResultMetric(name="loss", value=loss, people=90, hospitals=2, rows="Validation", model=base),)

    def loss_of(self, base: str) -> str | None:
        if base == INITIAL_WEIGHTS:
            return "0.69"
        number = next(each.number for each in self.series.rounds if each.name == base)
        return self.losses[number - 1]


def _snake(reference: Object) -> Object:
    return {
        "api_version": reference["apiVersion"],
        "kind": reference["kind"],
        "name": reference["name"],
        "uid": reference["uid"],
        "controller": reference.get("controller", False),
    }
