"""Decides what to do next about a FederatedModel, and what to say of it. Pure: knows no API server and no clock.

A plan is the first rule of RULES that has something to say. The status names a round before the round is created: after
a crash, the operator finds it under its name.
"""

from collections.abc import Callable
from dataclasses import replace

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.federatedmodel import KIND, SeriesRound, SeriesStatus, Stage
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import Meta
from wardround.api.times import to_seconds
from wardround.plans.model import series as rounds
from wardround.plans.model.types import (
    CreateRound,
    CreateVersion,
    KeepRound,
    Observation,
    Plan,
    ReportVersion,
    SuspendRound,
    Verdict,
)
from wardround.plans.round.status import is_over
from wardround.reasons.registry import REASONS

FIRST_SERIES = FIRST_VERSION = 1
PROGRESS: dict[Stage, str] = {
    "Statistics": "SeriesStatistics",
    "Training": "SeriesTraining",
    "Evaluating": "SeriesEvaluating",
}

Rule = Callable[[Observation, SeriesStatus], Verdict | None]


def plan(seen: Observation) -> Plan:
    """The actions, the status afterwards, and when to look again."""
    series = seen.model.status.series
    if series is None:
        verdict = _progressing(rounds.begin(seen.model, FIRST_SERIES, seen.now), at_once=True)
    else:
        verdict = next(each for rule in RULES if (each := rule(seen, series)))
    status = replace(
        seen.model.status,
        observed_generation=seen.model.metadata.generation,
        conditions=_conditions(seen, verdict),
        series=verdict.series,
        current=verdict.current or seen.model.status.current,
    )
    wait = (verdict.again - seen.now).total_seconds() if verdict.again else None
    return Plan(actions=verdict.actions, status=status, requeue_after=0.0 if verdict.at_once else wait)


def series_over(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """The best model of a series becomes a version."""
    if series.stage != "Ended":
        return None
    best = seen.best
    if best is None or best.status.result is None:
        message = f"Round {best_name(series)}, which made the best model of the series, is gone or has no result."
        return Verdict(course="Stalled", reason="ResultGone", message=message, series=series)
    name = rounds.version_name(seen.model.metadata, FIRST_VERSION)
    version = seen.version
    if version is None:
        create = CreateVersion(name=name, version=FIRST_VERSION, round=best)
        return Verdict(course="Progressing", reason="SeriesEnded", series=series, actions=(create,), at_once=True)
    if version.spec.round_uid != best.metadata.uid:
        return _name_taken(f"ModelVersion {name}", series)
    actions: list[KeepRound | ReportVersion] = []
    if not any(each.uid == version.metadata.uid for each in best.metadata.owner_references):
        actions.append(KeepRound(round=best, version=version))
    if not conditions.is_true(version.status.conditions, "Ready"):
        actions.append(ReportVersion(version=version, measured_by=seen.measuring))
    return Verdict(course="Settled", reason="SeriesEnded", series=series, actions=tuple(actions), current=name)


def name_taken(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """Another object has the name of the next round."""
    if seen.round is None or owned(seen.round, seen.model.metadata):
        return None
    return _name_taken(f"FederatedRound {rounds.last(series).name}", series)


def to_create(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """The last round of the series does not exist yet."""
    if seen.round is not None:
        return None
    if seen.model.spec.suspend:
        return _suspended(series)
    newest = rounds.last(series)
    generation = seen.model.metadata.generation
    if newest.generation != generation:
        # It is made from the spec as it is now, and the status says so before.
        named = replace(series, rounds=(*series.rounds[:-1], replace(newest, generation=generation)))
        return _progressing(named, at_once=True)
    return replace(_progressing(series), actions=(CreateRound(round=newest, base=rounds.base(series)),))


def running(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """The last round is under way. It is suspended with its model."""
    if seen.round is None or is_over(seen.round):
        return None
    suspend = seen.model.spec.suspend
    verdict = _suspended(series) if suspend else _progressing(series)
    if seen.round.spec.suspend == suspend:
        return verdict
    return replace(verdict, actions=(SuspendRound(name=seen.round.metadata.name, suspend=suspend),))


def failed(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """The last round has failed. It is tried again as often as the spec says, and anew when the spec changes.

    An Evaluate round that fails for good ends the series all the same: the trained models are there.
    """
    if seen.round is None or seen.round.status.result is not None:
        return None
    over, model = rounds.ended(series, seen.round), seen.model
    newest, generation = rounds.last(over), model.metadata.generation
    failures = rounds.failures(over, generation)
    if failures > model.spec.series.on_failure.retries:
        if newest.task == "Evaluate":
            return _progressing(replace(over, stage="Ended"), at_once=True)
        return Verdict(course="Stalled", reason="SeriesRoundFailed", message=_failure(newest, seen.round), series=over)
    due = rounds.retry_at(seen.round, failures)
    if seen.now < due:
        waiting = f"Round {newest.name} has failed. The hub operator makes another one at {to_seconds(due)}."
        return Verdict(course="Progressing", reason="SeriesRetrying", message=waiting, series=over, again=due)
    return _progressing(rounds.again(model, over), at_once=True)


def complete(seen: Observation, series: SeriesStatus) -> Verdict | None:
    """The last round is Complete: its losses count, and another round follows."""
    assert seen.round is not None
    over = rounds.measured(rounds.ended(series, seen.round), seen.round)
    return _progressing(rounds.following(seen.model, over, seen.now), at_once=True)


RULES: tuple[Rule, ...] = (series_over, name_taken, to_create, running, failed, complete)


def owned(federated_round: FederatedRound, model: Meta) -> bool:
    """Whether the round is this model's: made by the hub operator for the model with this UID."""
    return any(
        each.controller and each.kind == KIND and each.uid == model.uid
        for each in federated_round.metadata.owner_references
    )


def best_name(series: SeriesStatus) -> str:
    """The round of the best model. Where nobody told a loss, the last Train round."""
    trained = [each.name for each in series.rounds if each.task == "Train" and each.outcome == "Complete"]
    return series.best or (trained[-1] if trained else "")


def measuring_name(series: SeriesStatus) -> str:
    """The round that has measured the best model: the first one after it that is Complete. Empty if there is none."""
    names = [each.name for each in series.rounds if each.outcome == "Complete"]
    following = names[names.index(best_name(series)) + 1 :]
    return following[0] if following else ""


def _progressing(series: SeriesStatus, *, at_once: bool = False) -> Verdict:
    if series.stage == "Ended":
        return Verdict(course="Progressing", reason="SeriesEnded", series=series, at_once=at_once)
    newest = rounds.last(series)
    message = f"Round {newest.name} waits or runs."
    reason = PROGRESS[series.stage]
    return Verdict(course="Progressing", reason=reason, message=message, series=series, at_once=at_once)


def _suspended(series: SeriesStatus) -> Verdict:
    return Verdict(course="Suspended", reason="Suspended", message=REASONS["Suspended"].meaning, series=series)


def _name_taken(other: str, series: SeriesStatus) -> Verdict:
    message = f"{other} exists, but does not belong to this model. {REASONS['NameTaken'].advice}"
    return Verdict(course="Stalled", reason="NameTaken", message=message, series=series)


def _failure(newest: SeriesRound, federated_round: FederatedRound) -> str:
    condition = conditions.find(federated_round.status.conditions, "Failed")
    why = f" ({condition.reason})" if condition else ""
    namespace = federated_round.metadata.namespace
    return (
        f"Round {newest.name} has failed{why}, and so have the earlier rounds that it replaces. Read why: `kubectl "
        f"wardround explain federatedround/{newest.name} -n {namespace}`. {REASONS['SeriesRoundFailed'].advice}"
    )


def _conditions(seen: Observation, verdict: Verdict) -> Conditions:
    now, generation = seen.now, seen.model.metadata.generation
    result = seen.model.status.conditions
    current = verdict.current or seen.model.status.current
    result = conditions.set_condition(
        result, "Ready", bool(current), "VersionCurrent" if current else "NoVersionYet", now=now, generation=generation
    )
    suspended = verdict.course == "Suspended"
    if suspended or conditions.find(result, "Suspended") is not None:
        reason = "Suspended" if suspended else "Resumed"
        result = conditions.set_condition(result, "Suspended", suspended, reason, now=now, generation=generation)
    if verdict.course == "Progressing":
        return conditions.progressing(result, verdict.reason, verdict.message, now=now, generation=generation)
    if verdict.course == "Stalled":
        return conditions.stalled(result, verdict.reason, verdict.message, now=now, generation=generation)
    return conditions.settled(result, verdict.reason, now=now, generation=generation)
