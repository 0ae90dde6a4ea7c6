"""Builds the FederatedRounds and ModelVersions of a FederatedModel. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wardround.api import federatedmodel, federatedround, modelversion, names
from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import (
    Base,
    Card,
    Delivery,
    Exchange,
    FederatedRound,
    FederatedRoundSpec,
    Gate,
    Initial,
    Participants,
    Quorum,
    Resources,
)
from wardround.api.meta import API_VERSION, OwnerReference, owner
from wardround.api.modelversion import (
    ModelVersion,
    ModelVersionSpec,
    ModelVersionStatus,
    VersionCard,
    VersionTest,
    VersionVerdict,
)
from wardround.documents.assignments import assigned_quorum, assigned_resources
from wardround.documents.measurements import measurement
from wardround.plans.model.aggregation import aggregation
from wardround.plans.model.series import parameters
from wardround.plans.model.types import (
    CreateDelivery,
    CreateRound,
    CreateTest,
    CreateVersion,
    OwnVersion,
    ReportTest,
)
from wardround.wire import codec
from wardround.wire.assignment import EVALUATE_TEST, AssignedModel, AssignedSchedule, AssignedSeries, AssignedStep
from wardround.wire.strategy_terms import evaluated

# All that the hub operator makes for a series.
TASKS_OF_SERIES = ("Statistics", "Train", "Evaluate Validation")
# Pushed weights bring their standardisation with them.
TASKS_WITHOUT_STATISTICS = TASKS_OF_SERIES[1:]


def assigned_series(model: FederatedModel, federated_round_name: str) -> AssignedSeries | None:
    """What a hospital hears of the series that this round belongs to. None for a round of an earlier series: the model
    no longer holds its terms."""
    place = _place(model, federated_round_name)
    if place is None:
        return None
    series, number = place
    template, planned = model.spec.round, model.spec.series
    asks = AssignedModel(
        name=model.metadata.name,
        uid=model.metadata.uid,
        series=series,
        round=number,
        rounds=planned.rounds,
        tasks=_tasks(model),
        image=template.image,
        command=template.command,
        parameters=planned.parameters,
        schedules=tuple(
            AssignedSchedule(each.parameter, tuple(AssignedStep(step.from_round, step.value) for step in each.steps))
            for each in planned.schedules
        ),
        frozen=template.exchange.frozen,
        metrics=template.metrics,
        quorum=assigned_quorum(template.quorum, template.aggregation),
        evaluation_quorum=assigned_quorum(model.spec.evaluation.quorum or template.quorum),
        resources=assigned_resources(template.resources),
        compression=template.aggregation.compression,
    )
    return AssignedSeries(asks, model.spec.evaluation.every)


def _place(model: FederatedModel, federated_round_name: str) -> tuple[int, int] | None:
    """The number of the round's series, and of its Train round."""
    series, testing = model.status.series, model.status.testing
    if testing is not None and testing.round == federated_round_name:
        return None if testing.number is None else (testing.series, testing.number)
    entries = series.rounds if series else ()
    entry = next((each for each in entries if each.name == federated_round_name), None)
    return (series.number, entry.number) if series and entry else None


def _tasks(model: FederatedModel) -> tuple[str, ...]:
    tasks = TASKS_OF_SERIES if model.spec.initial.pushed is None else TASKS_WITHOUT_STATISTICS
    return (*tasks, EVALUATE_TEST) if model.spec.evaluation.test_rows else tasks


def federated_round(model: FederatedModel, action: CreateRound) -> dict[str, Any]:
    """The object of a round. It has no label or annotation of the model, or GitOps tools would take it for theirs."""
    template, series, entry = model.spec.round, model.spec.series, action.round
    quorum = template.quorum
    if entry.task == "Evaluate" and model.spec.evaluation.quorum:
        quorum = model.spec.evaluation.quorum
    common = FederatedRoundSpec(
        task=entry.task,
        dataset_name=template.dataset_name,
        schema_name=model.spec.schema_name,
        participants=template.participants,
        quorum=quorum,
        deadlines=template.deadlines,
        resources=Resources(threads=template.resources.threads),
        aggregation=aggregation(template.aggregation, entry.task, initial=action.initial),
        retry_limit=template.retry_limit,
        release=model.spec.release,
    )
    if entry.task == "Statistics":
        return _object(model, entry.name, common)
    spec = replace(
        common,
        image=template.image,
        command=template.command,
        exchange=template.exchange if entry.task == "Train" else Exchange(),
        metrics=template.metrics if entry.task == "Train" else evaluated(template.metrics),
        resources=template.resources,
        parameters=parameters(series, entry.number),
        seed=model.spec.initial.seed if entry.task == "Train" else 0,
        card=model.spec.card if entry.task == "Train" else Card(),
        initial=Initial(statistics_round_name=action.base) if action.initial else None,
        base=_base(action),
        references=entry.references,
        gate=Gate(min_events=model.spec.gate.min_events) if entry.references else None,
    )
    return _object(model, entry.name, spec)


def _base(action: CreateRound) -> Base | None:
    if action.initial:
        return None
    return Base(version_name=action.base) if action.pushed else Base(round_name=action.base)


def delivery(model: FederatedModel, action: CreateDelivery) -> dict[str, Any]:
    """The object of a Deliver round. One hospital is enough for it: nothing is combined."""
    template, version = model.spec.round, action.version.spec
    spec = FederatedRoundSpec(
        task="Deliver",
        dataset_name=template.dataset_name,
        schema_name=model.spec.schema_name,
        participants=Participants(names=action.recipients) if action.recipients else template.participants,
        quorum=Quorum(min=1),
        deadlines=template.deadlines,
        retry_limit=template.retry_limit,
        base=Base(round_name=version.round_name),
        delivery=Delivery(
            model_name=model.metadata.name,
            model_uid=model.metadata.uid,
            version=version.version,
            versions=model.spec.history.versions,
        ),
    )
    return _object(model, action.name, spec)


def test(model: FederatedModel, action: CreateTest) -> dict[str, Any]:
    """The object of a round that measures a version on test rows."""
    return _object(model, action.name, replace(measurement(model, action.made_by), rows="Test"))


def model_version(model: FederatedModel, action: CreateVersion) -> dict[str, Any]:
    """The object of a version. The current version belongs to nobody, so that it outlives its model."""
    result = action.round.status.result
    assert result is not None
    series = model.status.series
    assert series is not None
    meta = action.round.metadata
    spec = ModelVersionSpec(
        model_name=model.metadata.name,
        version=action.version,
        series=series.number,
        round_name=meta.name,
        round_uid=meta.uid,
        digest=result.digest,
        columns_digest=result.columns_digest,
        schema_digest=result.schema_digest,
        parents=action.parents,
        release=action.round.spec.release,
    )
    return {
        "apiVersion": API_VERSION,
        "kind": modelversion.KIND,
        "metadata": {
            "name": action.name,
            "namespace": model.metadata.namespace,
            "labels": {names.MODEL_UID: model.metadata.uid},
        },
        "spec": codec.dump(spec),
    }


def kept_for(federated_round: FederatedRound, version: ModelVersion) -> list[Any]:
    """The owners of a round, with the version as one more. Kubernetes deletes an object when all its owners are gone,
    so the round stays when its model is deleted, and goes when the version is deleted too."""
    reference = OwnerReference(
        api_version=API_VERSION, kind=modelversion.KIND, name=version.metadata.name, uid=version.metadata.uid
    )
    return [codec.dump(each) for each in (*federated_round.metadata.owner_references, reference)]


def owners(model: FederatedModel, action: OwnVersion) -> list[Any]:
    """The owners of a version, with the model or without it. The model is no controller: it may lose the version."""
    meta = model.metadata
    others = [each for each in action.version.metadata.owner_references if each.uid != meta.uid]
    own = OwnerReference(api_version=API_VERSION, kind=federatedmodel.KIND, name=meta.name, uid=meta.uid)
    return [codec.dump(each) for each in (*others, *([own] if action.owned else ()))]


def measured(
    version: ModelVersion, measured_by: FederatedRound | None, verdict: VersionVerdict, card: VersionCard | None = None
) -> ModelVersionStatus:
    """The version's status, with what a round says of its model and what the gate says. It has no condition yet."""
    result = measured_by.status.result if measured_by else None
    own = tuple(each for each in result.metrics if each.model == version.spec.round_name) if result else ()
    calibration = result.calibration if result and own else ()
    return ModelVersionStatus(
        observed_generation=version.metadata.generation,
        metrics=own,
        calibration=calibration,
        verdict=verdict,
        card=card,
    )


def tested(action: ReportTest) -> VersionTest:
    """What a version's status says of its measurement on test rows."""
    result = action.measured_by.status.result if action.measured_by else None
    if result is None:
        return VersionTest(round_name=action.round_name, outcome=action.outcome, message=action.message)
    metrics = tuple(each for each in result.metrics if each.model == action.version.spec.round_name)
    return VersionTest(
        round_name=action.round_name,
        outcome=action.outcome,
        message=action.message,
        metrics=metrics,
        calibration=result.calibration if metrics else (),
    )


def _object(model: FederatedModel, name: str, spec: FederatedRoundSpec) -> dict[str, Any]:
    meta = model.metadata
    return {
        "apiVersion": API_VERSION,
        "kind": federatedround.KIND,
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {names.MODEL_UID: meta.uid},
            "ownerReferences": [codec.dump(owner(federatedmodel.KIND, meta))],
        },
        "spec": codec.dump(spec),
    }
