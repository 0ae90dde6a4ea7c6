"""Decides what to do next about a FederatedModel, and its status. Pure: knows no API server and no clock.

A plan is the first rule of RULES that has something to say. The status names a round before the round is created: after
a crash, the operator finds it under its name.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from wardround.api import conditions
from wardround.api.federatedmodel import FederatedModelStatus, SeriesRound, SeriesStatus, SeriesTrigger, Stage
from wardround.api.federatedround import FederatedRound
from wardround.api.modelversion import ModelVersion
from wardround.api.times import read_time, sooner, to_seconds
from wardround.plans.model import delivery, patients, schedule, testing, versions
from wardround.plans.model import request as requests
from wardround.plans.model import series as rounds
from wardround.plans.model import status as statuses
from wardround.plans.model.refusal import base_gone, hopeless
from wardround.plans.model.suspension import once_resumed
from wardround.plans.model.types import (
    Action,
    Added,
    CreateRound,
    CreateVersion,
    Creation,
    KeepRound,
    Observation,
    Plan,
    ReportVersion,
    Ruling,
    SuspendRound,
)
from wardround.plans.round.base import named_base
from wardround.plans.round.rulings import sentences
from wardround.plans.round.status import ATTENTION_LIMIT, is_over
from wardround.reasons.registry import REASONS

FIRST_SERIES = 1
# A sleep that is much longer would not notice that the clock was set.
LONGEST_SLEEP = timedelta(hours=1)
# While the pushed version is missing from which the next series starts.
PUSH_WAIT = timedelta(minutes=1)
# After the API server has refused a round, or while another object has a name that the model needs.
REFUSED_SECONDS = 60.0
PROGRESS: dict[Stage, str] = {
    "Statistics": "SeriesStatistics",
    "Training": "SeriesTraining",
    "Evaluating": "SeriesEvaluating",
    "Comparing": "SeriesComparing",
}

Rule = Callable[[Observation, SeriesStatus], Ruling | None]


def plan(seen: Observation) -> Plan:
    """The actions, the status afterwards, and `requeue_after`."""
    series = seen.model.status.series
    if series is None:
        first = rounds.begin(seen.model, FIRST_SERIES, seen.now, "Created")
        first = replace(first, training_patients=seen.patients, request=requests.request(seen.model))
        ruling = replace(_progressing(first, at_once=True), begins=True)
    else:
        ruling = next(each for rule in RULES if (each := rule(seen, series)))
    made = delivery.condition(seen, delivery.named(seen, statuses.status(seen, ruling)))
    tested = testing.decide(seen, made)
    made = testing.condition(seen, replace(made, testing=tested.testing))
    actions: tuple[Action, ...] = (
        *statuses.ownership(seen, made),
        *statuses.losses(seen),
        *ruling.actions,
        *delivery.actions(seen, made),
        *tested.actions,
    )
    look = (tested.requeue_at - seen.now).total_seconds() if tested.requeue_at else None
    after = 0.0 if _names_a_round(seen, made) else sooner(_requeue_after(seen.now, ruling, made), look)
    return Plan(actions=actions, status=made, requeue_after=after, added=ruling.added, begins=ruling.begins)


def _names_a_round(seen: Observation, made: FederatedModelStatus) -> bool:
    """Whether the status names a round that is to be made, beside those of the series."""
    before = seen.model.status
    known = before.testing.round if before.testing else None
    return made.delivery != before.delivery or (made.testing is not None and made.testing.round != known)


def refused(seen: Observation, planned: Plan, action: Creation, words: str) -> Plan:
    """The plan after the API server has refused a round, with its `words`. The operator tries again, because a quota or
    a policy may change without an event of the model. What the ruling says of versions and series holds all the same:
    the actions before the refused one are done."""
    series = planned.status.series
    assert series is not None, "a round is created only for a series"
    name = action.round.name if isinstance(action, CreateRound) else action.name
    message = conditions.fitting(f"The API server refuses round {name}: {words}", REASONS["RoundRefused"].advice)
    ruling = Ruling(
        course="Stalled",
        reason="RoundRefused",
        message=message,
        series=series,
        added=planned.added,
        begins=planned.begins,
    )
    return Plan(actions=(), status=statuses.status(seen, ruling), requeue_after=REFUSED_SECONDS)


def _requeue_after(now: datetime, ruling: Ruling, made: FederatedModelStatus) -> float | None:
    if ruling.at_once:
        return 0.0
    start = read_time(made.next.at) if made.next and ruling.series.stage == "Ended" else None
    # No event of an object of somebody else wakes the model.
    taken = any(each.reason == "NameTaken" for each in made.conditions)
    freed = now + timedelta(seconds=REFUSED_SECONDS) if taken else None
    times = [each for each in (ruling.requeue_at, start, freed) if each]
    # A start that is due waits for a change of the model.
    future = [each for each in times if each > now]
    return (min(*future, now + LONGEST_SLEEP) - now).total_seconds() if future else None


def next_series(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The next series begins, once what the last one has left is in order, and if there is what it starts from. Series
    never overlap."""
    trigger = _due(seen, series) if series.stage == "Ended" else None
    if trigger is None or not _in_order(seen, series) or statuses.start_fault(seen):
        return None
    if seen.model.spec.suspend:
        return _suspended(series)
    current = versions.current(seen) if seen.model.spec.series.start == "Current" else None
    base = current.spec.round_name if current else None
    begun = rounds.begin(seen.model, series.number + 1, seen.now, trigger, base)
    asked = requests.request(seen.model) or series.request
    begun = replace(begun, training_patients=seen.patients, request=asked)
    return replace(_progressing(begun, at_once=True), begins=True)


def _due(seen: Observation, series: SeriesStatus) -> SeriesTrigger | None:
    """By what the next series is due: a person's request, new patients, or else its time. A cron line that has just
    changed is not due."""
    if requests.pending(seen.model, series):
        return "Requested"
    trigger, known = seen.model.spec.trigger, seen.model.status.next
    if trigger is None or statuses.trigger_fault(seen):
        return None
    if patients.enough(seen.model, series, seen.patients, seen.now):
        return "NewPatients"
    timely = schedule.due(known, seen.now) and schedule.following(trigger, known, seen.now) == known
    return "Cron" if timely else None


def _in_order(seen: Observation, series: SeriesStatus) -> bool:
    """Whether the version of the series is listed and nothing is left to be deleted, or there will be no version."""
    if series.version is None and not series.skipped:
        return versions.result_gone(seen)
    return not versions.superfluous(seen, series)


def series_over(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The best model of a series becomes a version, and the gate says whether it becomes the current one."""
    if series.stage != "Ended":
        return None
    if series.skipped:
        return _at_rest(seen, series)
    best, name = seen.best, rounds.version_name(seen.model.metadata, series.number)
    if best is None or versions.result_gone(seen):
        if series.version is not None:
            return _at_rest(seen, series)
        message = (
            f"The series makes no version, because round {best_name(series)}, which made its best model, is deleted "
            f"or has no result. {statuses.advice_for(seen.model.metadata, 'ResultGone')}"
        )
        return Ruling(course="Stalled", reason="ResultGone", message=message, series=series)
    version = seen.versions.get(name)
    if version is not None and version.spec.round_uid != best.metadata.uid:
        return _name_taken(f"ModelVersion {name}", series)
    if series.version is not None:
        return _at_rest(seen, series)
    if version is None:
        parents = versions.parents(seen, series)
        create = CreateVersion(name=name, version=series.number, round=best, parents=parents)
        return Ruling(course="Progressing", reason="SeriesEnded", series=series, actions=(create,), at_once=True)
    return _listed(seen, series, best, version)


def _listed(seen: Observation, series: SeriesStatus, best: FederatedRound, version: ModelVersion) -> Ruling:
    """The version keeps its round, says what the gate says, and is listed from now on."""
    actions: list[KeepRound | ReportVersion] = []
    verdict = version.status.verdict or versions.verdict(seen, series)
    if not any(each.uid == version.metadata.uid for each in best.metadata.owner_references):
        actions.append(KeepRound(round=best, version=version))
    if not conditions.is_true(version.status.conditions, "Ready"):
        reason, message = versions.readiness(seen, series)
        actions.append(
            ReportVersion(version=version, measured_by=seen.measuring, verdict=verdict, reason=reason, message=message)
        )
    automatic = seen.model.spec.gate.promote == "Automatic" and seen.model.spec.current is None
    name = version.metadata.name
    return Ruling(
        course="Progressing",
        reason="SeriesEnded",
        series=replace(series, version=name),
        actions=tuple(actions),
        added=Added(name, promoted=verdict.outcome == "Accepted" and automatic),
        at_once=True,
    )


def _at_rest(seen: Observation, series: SeriesStatus) -> Ruling:
    """Nothing but what is superfluous is left to do, until the next series is due."""
    left = versions.superfluous(seen, series)
    if left:
        return Ruling(course="Progressing", reason="SeriesEnded", series=series, actions=left, at_once=True)
    lost = _ended_without_base(seen, series)
    if fault := statuses.version_gone(seen) or statuses.trigger_fault(seen) or statuses.start_fault(seen):
        reason, message = fault
        stalled = Ruling(course="Stalled", reason=reason, message=sentences(lost, message), series=series)
        # No event of a ModelVersion that somebody pushes wakes the model.
        return replace(stalled, requeue_at=seen.now + PUSH_WAIT if seen.pushed_gone else None)
    series = replace(series, training_patients=patients.first_number(series, seen.patients))
    if lost and seen.model.spec.trigger is None:
        message = sentences(lost, statuses.advice_for(seen.model.metadata, "SeriesBaseGone"))
        return Ruling(course="Stalled", reason="SeriesBaseGone", message=message, series=series)
    ended = ("SeriesBaseGone" if lost else "SeriesSkipped") if series.skipped else "SeriesEnded"
    return Ruling(course="Settled", reason=ended, series=series, requeue_at=_requeue_at(seen))


def _ended_without_base(seen: Observation, series: SeriesStatus) -> str:
    """A sentence about a series that has ended because nobody can bring back what its last round had to start from;
    empty of another series."""
    own = seen.round is not None and rounds.controls(seen.model.metadata, seen.round.metadata)
    reason = base_gone(seen.round) if series.skipped and seen.round is not None and own else None
    if seen.round is None or reason is None:
        return ""
    return (
        f"Series {series.number} has ended without a version: its round {seen.round.metadata.name} has failed "
        f"({reason.reason}), because {named_base(seen.round)} is gone."
    )


def _requeue_at(seen: Observation) -> datetime | None:
    """When to look again for new patients and new hospitals: no event of a Participant names a model."""
    trigger = seen.model.spec.trigger
    counts = trigger is not None and trigger.new_patients is not None
    return seen.now + LONGEST_SLEEP if counts or delivery.is_wanted(seen.model) else None


def name_taken(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """Another object has the name of the next round."""
    if seen.round is None or rounds.controls(seen.model.metadata, seen.round.metadata):
        return None
    return _name_taken(f"FederatedRound {rounds.last(series).name}", series)


def to_create(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The last round of the series does not exist yet."""
    if seen.round is not None:
        return None
    if seen.model.spec.suspend:
        return _suspended(series)
    newest = rounds.last(series)
    if seen.absence is not None and seen.absence.blocks:
        # No round is made: it could only fail, and each failure uses up one of the retries.
        message = (
            f"{seen.absence.message} The hub operator makes round {newest.name} of the series when enough hospitals "
            "can take part."
        )
        return Ruling(course="Stalled", reason=seen.absence.reason, message=message, series=series)
    generation = seen.model.metadata.generation
    if newest.generation != generation:
        # It is made from the spec as it is now, and the status says so before.
        named = replace(series, rounds=(*series.rounds[:-1], replace(newest, generation=generation)))
        return _progressing(named, at_once=True)
    create = CreateRound(
        round=newest,
        base=rounds.base(series),
        initial=rounds.makes_first_weights(series),
        pushed=rounds.starts_from_pushed(series),
    )
    return replace(_under_way(seen, series), actions=(create,))


def running(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The last round is under way. It is suspended with its model."""
    if seen.round is None or is_over(seen.round):
        return None
    suspend = seen.model.spec.suspend
    ruling = _suspended(series) if suspend else _waits_for_people(seen.round, series) or _goes_on(seen, series)
    if seen.round.spec.suspend == suspend:
        return ruling
    return replace(ruling, actions=(SuspendRound(name=seen.round.metadata.name, suspend=suspend),))


def failed(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The last round has failed. It is tried again as often as the spec says, unless each further attempt would fail
    too, and anew when the spec changes.

    If what a Train round starts from is gone, the series ends, whatever the spec says: no change of the spec gives this
    series another base.

    An Evaluate round that fails for good does not end the series: the trained models are there. If it is between Train
    rounds, the next Train round measures the same model. If further attempts would fail too, so would the Evaluate
    rounds after further Train rounds, for example because hospitals allow no more evaluations.
    """
    if seen.round is None or seen.round.status.result is not None:
        return None
    over, model = rounds.ended(series, seen.round), seen.model
    newest, generation = rounds.last(over), model.metadata.generation
    failures = rounds.failures(over, generation)
    if newest.task != "Evaluate" and base_gone(seen.round):
        return _progressing(replace(over, stage="Ended", skipped=True), at_once=True)
    why_hopeless = hopeless(seen.round) if newest.generation == generation else ""
    if why_hopeless or failures > model.spec.series.on_failure.retries:
        if newest.task == "Evaluate":
            over = replace(over, evaluations_stopped=generation) if why_hopeless else over
            return _progressing(rounds.after_evaluation(model, over, seen.now), at_once=True)
        if model.spec.series.on_failure.then == "Skip":
            return _progressing(replace(over, stage="Ended", skipped=True), at_once=True)
        return Ruling(
            course="Stalled",
            reason="SeriesRoundFailed",
            message=_failure(newest, seen.round, why_hopeless),
            series=over,
        )
    due = rounds.retry_at(seen.round, failures)
    if seen.now < due:
        waiting = _retrying(seen, seen.round, due)
        return Ruling(course="Progressing", reason="SeriesRetrying", message=waiting, series=over, requeue_at=due)
    return _progressing(rounds.again(model, over), at_once=True)


def complete(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The last round is Complete: its losses count, and another round follows."""
    assert seen.round is not None
    over = rounds.measured(rounds.ended(series, seen.round), seen.round)
    return _progressing(rounds.following(seen.model, over, seen.now), at_once=True)


def to_compare(seen: Observation, series: SeriesStatus) -> Ruling | None:
    """The candidate is known. The gate compares it with the current version and the best one so far."""
    if series.stage != "Comparing" or rounds.last(series).references:
        return None
    why_not = versions.not_compared(seen)
    if why_not or versions.result_gone(seen):
        if rounds.last(series).task == "Train":
            return _progressing(rounds.evaluate_last(seen.model, series), at_once=True)
        return _progressing(replace(series, stage="Ended", not_compared=why_not), at_once=True)
    compared = rounds.compare(seen.model, series, best_name(series), versions.references(seen))
    return _progressing(compared, at_once=True)


RULES: tuple[Rule, ...] = (
    next_series,
    series_over,
    to_compare,
    name_taken,
    to_create,
    running,
    failed,
    complete,
)


def best_name(series: SeriesStatus) -> str:
    """The round of the best model. If no round has a loss, the last Train round."""
    trained = [each.name for each in series.rounds if each.task == "Train" and each.outcome == "Complete"]
    return series.best or (trained[-1] if trained else "")


def measuring_names(series: SeriesStatus) -> tuple[str, ...]:
    """The rounds that may have measured the best model: Evaluate rounds of this model, also the one that compares it,
    and then the Train round after it. Only an Evaluate round can have a calibration curve."""
    complete, best = [each for each in series.rounds if each.outcome == "Complete"], best_name(series)
    made = next((each for each in complete if each.name == best), None)
    if made is None:
        return ()
    evaluations = (each for each in complete if (each.task, each.number) == ("Evaluate", made.number))
    following = (each for each in complete if (each.task, each.number) == ("Train", made.number + 1))
    return tuple(each.name for each in (*evaluations, *following))


def measuring(candidates: Iterable[FederatedRound], model: str) -> FederatedRound | None:
    """The round whose numbers of the model that the round `model` made are over the most hospitals: of equals, the
    first. None if no round has numbers of it: a result over one hospital has none."""
    measured = [(each, hospitals) for each in candidates if (hospitals := _measured_at(each, model))]
    return max(measured, key=lambda entry: entry[1])[0] if measured else None


def _measured_at(federated_round: FederatedRound, model: str) -> int:
    """At how many hospitals the round has measured the model."""
    result = federated_round.status.result
    return max((each.hospitals for each in result.metrics if each.model == model), default=0) if result else 0


def _progressing(series: SeriesStatus, *, at_once: bool = False) -> Ruling:
    if series.stage == "Ended":
        return Ruling(course="Progressing", reason="SeriesEnded", series=series, at_once=at_once)
    newest = rounds.last(series)
    message = f"The series is under way: its round {newest.name} waits or runs."
    between = series.stage == "Training" and newest.task == "Evaluate"
    reason = PROGRESS["Evaluating" if between else series.stage]
    return Ruling(course="Progressing", reason=reason, message=message, series=series, at_once=at_once)


def _under_way(seen: Observation, series: SeriesStatus) -> Ruling:
    """The message names hospitals that the round cannot ask: a wrong name is the author's to correct."""
    ruling = _progressing(series)
    absent = seen.absence.message if seen.absence else ""
    return replace(ruling, message=sentences(ruling.message, _no_evaluations(seen, series), absent))


def _goes_on(seen: Observation, series: SeriesStatus) -> Ruling:
    """The message names hospitals for which the round waits, also if it is an Evaluate round, which has no absence."""
    ruling = _under_way(seen, series)
    stalled = conditions.find_true(seen.round.status.conditions, "Stalled") if seen.round else None
    if stalled is None or seen.absence is not None:
        return ruling
    return replace(ruling, message=sentences(ruling.message, stalled.message))


def _no_evaluations(seen: Observation, series: SeriesStatus) -> str:
    """Why no Evaluate rounds follow the next Train rounds, as long as the series trains."""
    if series.stage != "Training" or series.evaluations_stopped != seen.model.metadata.generation:
        return ""
    failed_rounds = [each.name for each in series.rounds if each.task == "Evaluate" and each.outcome == "Failed"]
    where = f"federatedround/{failed_rounds[-1]} -n {seen.model.metadata.namespace}"
    return (
        f"Round {failed_rounds[-1]} has failed, and further Evaluate rounds would fail too. So this series makes no "
        f"Evaluate round before its last Train round. To see why: `kubectl wardround explain {where}`."
    )


def _waits_for_people(federated_round: FederatedRound, series: SeriesStatus) -> Ruling | None:
    """The model shows why its round waits: people look at the model, and did not make the round. The round's message
    says who has to act. The series goes on as soon as the round does. A round that continues without the hospitals for
    which it waits needs nobody."""
    stalled = conditions.find_true(federated_round.status.conditions, "Stalled")
    if stalled is None or _continues(federated_round, stalled.reason):
        return None
    waits = f"Round {federated_round.metadata.name} of the series waits for people ({stalled.reason})."
    return Ruling(course="Stalled", reason=stalled.reason, message=sentences(waits, stalled.message), series=series)


def _continues(federated_round: FederatedRound, reason: str) -> bool:
    """Whether a round that has asked nobody waits, for this reason, only for hospitals without which it has its quorum.
    A round with a selector waits for a quorum alone. A full list of attention may lack hospitals: then nobody knows."""
    quorum, absent = federated_round.spec.quorum, federated_round.status.attention
    present = set(federated_round.spec.participants.names or ()).difference(each.participant for each in absent)
    has_quorum = len(present) >= quorum.min and present.issuperset(quorum.required)
    return len(absent) < ATTENTION_LIMIT and has_quorum and any(each.reason == reason for each in absent)


def _suspended(series: SeriesStatus) -> Ruling:
    return Ruling(course="Suspended", reason="Suspended", message=REASONS["Suspended"].meaning, series=series)


def _name_taken(other: str, series: SeriesStatus) -> Ruling:
    message = (
        f"The hub operator has to make {other}. But an object of this name exists already, and does not belong to "
        f"this FederatedModel. {REASONS['NameTaken'].advice}"
    )
    return Ruling(course="Stalled", reason="NameTaken", message=message, series=series)


def _retrying(seen: Observation, federated_round: FederatedRound, due: datetime) -> str:
    """Which round has failed, why, and when the hub operator makes another one."""
    name, namespace = federated_round.metadata.name, federated_round.metadata.namespace
    condition = conditions.find_true(federated_round.status.conditions, "Failed")
    why, words = (f" ({condition.reason})", condition.message) if condition else ("", "")
    event = f"the hub operator makes another round in its place at {to_seconds(due)}"
    message = sentences(
        f"Round {name} of the series has failed{why}.",
        once_resumed(event, suspended=seen.model.spec.suspend),
        f"To see why it failed: `kubectl wardround explain federatedround/{name} -n {namespace}`.",
    )
    return conditions.fitting(message, f"The round says: {words}") if words else message


def _failure(newest: SeriesRound, federated_round: FederatedRound, why_hopeless: str) -> str:
    condition = conditions.find(federated_round.status.conditions, "Failed")
    why = f" ({condition.reason})" if condition else ""
    stopped = REASONS["SeriesRoundFailed"].about(federation=federated_round.metadata.namespace, round_name=newest.name)
    tries = (
        f". Each further attempt would fail too. {why_hopeless}"
        if why_hopeless
        else ", and the rounds that the hub operator tried before it have failed, too."
    )
    return conditions.fitting(f"Round {newest.name} has failed{why}{tries}", stopped.advice)
