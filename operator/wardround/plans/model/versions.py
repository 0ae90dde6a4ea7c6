"""Decides about the versions of a model: the current and the best one, those that stay, what the gate says. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from wardround.api import conditions, federatedround, modelversion
from wardround.api.conditions import Condition
from wardround.api.federatedmodel import SeriesStatus
from wardround.api.federatedround import (
    FederatedRound,
    HospitalVerdicts,
    Outcome,
    Result,
    ResultDifference,
    ResultMetric,
    RoundVerdict,
)
from wardround.api.modelversion import ModelVersion, Parent, VersionVerdict
from wardround.plans.model import compared
from wardround.plans.model import series as rounds
from wardround.plans.model.comparable import usual_number
from wardround.plans.model.types import Delete, Observation
from wardround.reasons.registry import REASONS

LOSS = "loss"
# So many hospitals' names a sentence of a verdict says.
NAMED = 16
# Why no round has measured a version, in its condition `Ready`.
WITHOUT_NUMBERS = ("NumbersWithheld", "VersionNotMeasured")
# A version shows the own verdicts of so many hospitals or more.
FEWEST_HOSPITALS = 2


def own(seen: Observation) -> list[ModelVersion]:
    """The live versions of this model that the status lists, in order."""
    listed = set(seen.model.status.versions)
    return sorted((each for name, each in seen.versions.items() if name in listed), key=_number)


def with_rounds(seen: Observation) -> list[ModelVersion]:
    """Those of which the hub has the model, as far as the rounds of the model are known."""
    return [each for each in own(seen) if seen.rounds.get(each.spec.round_name) == each.spec.round_uid]


def pinned_name(seen: Observation) -> str:
    """The name of the version in spec.current; empty without one."""
    pinned = seen.model.spec.current
    return rounds.version_name(seen.model.metadata, pinned.version) if pinned else ""


def current(seen: Observation) -> ModelVersion | None:
    """The current version, if it exists."""
    return seen.versions.get(seen.model.status.current or "")


def waits_for_choice(seen: Observation) -> bool:
    """Whether people have to say which version the next series trains further: the current one is deleted, and others
    exist. A series from new weights would drop what they have learnt, and nobody has asked for that."""
    deleted = bool(seen.model.status.current) and current(seen) is None
    return deleted and seen.model.spec.series.start == "Current" and bool(own(seen))


def is_gone(seen: Observation, version: ModelVersion) -> bool:
    """Whether the hub has no model of a version, because the round that made it is deleted or replaced."""
    return version.metadata.name in seen.gone


def best(seen: Observation) -> ModelVersion | None:
    """The version with the lowest loss among those that are or were current, and whose losses are over equally many
    hospitals. Among equals, the earlier. A version whose round is gone has no model to compare with.

    Others do not count: a model of flipped labels has a low loss at the hospital that flipped them.
    """
    served = [each for each in own(seen) if each.metadata.name in seen.model.status.served and not is_gone(seen, each)]
    measured = [(each, loss) for each in served if (loss := _loss(each)) is not None]
    usual = usual_number(loss.hospitals for _, loss in measured)
    known = [(Decimal(loss.value), _number(each), each) for each, loss in measured if loss.hospitals == usual]
    return min(known, key=lambda entry: entry[:2])[2] if known else None


def references(seen: Observation) -> tuple[str, ...]:
    """The rounds of the current version and of the best one so far, with which the gate compares a candidate."""
    rounds = (each.spec.round_name for each in (current(seen), best(seen)) if each is not None)
    return tuple(dict.fromkeys(rounds))


def parents(seen: Observation, series: SeriesStatus) -> tuple[Parent, ...]:
    """The version from which the first Train round of a series that has ended started; none if it had none."""
    name = series.base or series.pushed
    if name is None:
        return ()
    version = next((each for each in seen.versions.values() if each.spec.round_name == name), None)
    if version is None:
        return (Parent(round_name=name),)
    return (Parent(round_name=name, version_name=version.metadata.name, digest=version.spec.digest),)


def not_compared(seen: Observation) -> str | None:
    """Why the gate compares nothing, or None if it has to compare. Without the model of the current version, people
    decide: the best other one may be worse than the current one."""
    if not seen.model.status.served:
        return "NoCurrentVersion" if own(seen) else "FirstVersion"
    counts = current(seen)
    if counts is not None and is_gone(seen, counts):
        return "ReferencesGone"
    compared = [each for each in (current(seen), best(seen)) if each is not None]
    if not compared:
        return "ReferencesGone"
    result = seen.best.status.result if seen.best else None
    made_with = result.schema_digest if result else None
    return "SchemaChanged" if any(each.spec.schema_digest != made_with for each in compared) else None


def verdict(seen: Observation, series: SeriesStatus) -> VersionVerdict:
    """What the gate says of the candidate of a series that has ended."""
    if series.not_compared is not None:
        outcome: Outcome = "Accepted" if series.not_compared in ("FirstVersion", "NoCurrentVersion") else "Undecided"
        waits = _undecided(seen, series) if series.not_compared == "NoCurrentVersion" else ""
        message = " ".join(filter(None, (_words(series.not_compared), waits)))
        return VersionVerdict(outcome=outcome, reason=series.not_compared, message=message)
    result = seen.round.status.result if seen.round and rounds.last(series).references else None
    if result is None:
        return VersionVerdict(outcome="Undecided", reason="ComparisonFailed", message=_failure(seen, series))
    decided = result.verdict or RoundVerdict(outcome="Undecided", reason="NotMeasured")
    hospitals = (_hospitals(seen, each) for each in result.hospital_verdicts)
    measured = (_measured(seen, result, each) for each in result.differences)
    sentences = (_words(decided.reason), _reference(seen, decided.reference), *measured, *_unseen(decided), *hospitals)
    return VersionVerdict(outcome=decided.outcome, reason=decided.reason, message=" ".join(filter(None, sentences)))


def result_gone(seen: Observation) -> bool:
    """Whether a series that compares or has ended can make no version: nobody can restore the result of its best
    model."""
    return seen.best is None or seen.best.status.result is None


def readiness(seen: Observation, series: SeriesStatus) -> tuple[str, str]:
    """Reason and message of the condition `Ready` of the version of a series that has ended. A version without metrics
    says why: otherwise it looks as if it were good."""
    if seen.measuring is not None:
        return "VersionReady", REASONS["VersionReady"].meaning
    name, live = rounds.last(series).name, seen.round
    if live is None:
        why, reason = "does not exist any more", "VersionNotMeasured"
    elif failed := conditions.find_true(live.status.conditions, "Failed"):
        why, reason = f"has failed ({failed.reason})", failed.reason
    else:
        why, reason = "is Complete, but no number covers enough people or hospitals", "VersionNotMeasured"
    where = f"federatedround/{name} -n {seen.model.metadata.namespace}"
    message = (
        f"The version has no metrics, because no round has measured its model. Round {name}, the last one of the "
        f"series, {why}. To see more: `kubectl wardround explain {where}`."
    )
    return reason if reason in WITHOUT_NUMBERS else "VersionNotMeasured", message


def without_numbers(version: ModelVersion | None) -> Condition | None:
    """The condition `Ready` of a version that no round has measured; None of another one."""
    ready = conditions.find_true(version.status.conditions, "Ready") if version else None
    return ready if ready is not None and ready.reason in WITHOUT_NUMBERS else None


def waiting(seen: Observation) -> ModelVersion | None:
    """The newest version, if people have to decide about it: nobody has made it the current one, and the gate has not
    found it worse."""
    listed = own(seen)
    newest = listed[-1] if listed else None
    if newest is None or newest.metadata.name in seen.model.status.served:
        return None
    verdict = newest.status.verdict
    return newest if verdict is not None and verdict.outcome != "Worse" else None


def superfluous(seen: Observation, series: SeriesStatus) -> tuple[Delete, ...]:
    """Versions and rounds that nothing needs any more. Versions go first.

    A version needs its round, whose result it is. The series that has ended needs its rounds until the next one has
    ended. The newest Deliver round stays, because it says which hospitals have the model. The newest round on test rows
    stays, because it says why numbers are missing. The record of a result names the states from which training
    continues, so no round is needed for a state.
    """
    kept = _kept_versions(seen)
    listed = own(seen)
    # A finalizer of somebody else can keep an object that is being deleted. Nothing is left to do about it.
    versions = (
        Delete(kind=modelversion.KIND, name=each.metadata.name, uid=each.metadata.uid)
        for each in listed
        if each.metadata.name not in kept and each.metadata.deletion_timestamp is None
    )
    needed = _needed_rounds(seen, series) | {each.spec.round_name for each in listed if each.metadata.name in kept}
    unneeded = (
        Delete(kind=federatedround.KIND, name=name, uid=uid)
        for name, uid in sorted(seen.rounds.items())
        if name not in needed
    )
    return (*versions, *unneeded)


def _undecided(seen: Observation, series: SeriesStatus) -> str:
    """Which earlier versions wait for people, as the new one of the series does."""
    others = [str(_number(each)) for each in own(seen) if _number(each) != series.number and not _is_worse(each)]
    return f"These earlier versions wait for a person's decision too: {', '.join(others)}." if others else ""


def _is_worse(version: ModelVersion) -> bool:
    return version.status.verdict is not None and version.status.verdict.outcome == "Worse"


def _kept_versions(seen: Observation) -> frozenset[str]:
    """The newest versions, as many as spec.history says, and each one that counts or that people have named."""
    newest = own(seen)[-seen.model.spec.history.versions :]
    counting = (each for each in (current(seen), best(seen)) if each is not None)
    return frozenset({pinned_name(seen), *(each.metadata.name for each in (*newest, *counting))})


def _needed_rounds(seen: Observation, series: SeriesStatus) -> frozenset[str]:
    """The rounds that are needed without regard to versions."""
    delivery, testing = seen.model.status.delivery, seen.model.status.testing
    return frozenset(each.name for each in series.rounds) | {each.round for each in (delivery, testing) if each}


def _number(version: ModelVersion) -> int:
    return version.spec.version


def _loss(version: ModelVersion) -> ResultMetric | None:
    return next((each for each in version.status.metrics if each.name == LOSS), None)


def _words(reason: str) -> str:
    return REASONS[reason].meaning


def _reference(seen: Observation, round_name: str) -> str:
    """Which version decided. One round can be that of the current and of the best version."""
    version = next((each for each in own(seen) if each.spec.round_name == round_name), None)
    return f"The reference is version {version.spec.version}." if version else ""


def _measured(seen: Observation, result: Result, each: ResultDifference) -> str:
    """Both losses and the bound. A number over one hospital is that hospital's own, and a version has more readers than
    a round."""
    if each.hospitals < FEWEST_HOSPITALS:
        return ""
    words = compared.sentences(result, each, "this model", _name(seen, each.reference))
    return f"{words} {compared.bound_of_gate(each)}"


def _unseen(verdict: RoundVerdict) -> tuple[str, ...]:
    """Which hospitals trained the model and are not in the comparison, and why."""
    absent = tuple(name for name in verdict.unseen if name not in verdict.too_few_people)
    return (
        _without_numbers("have fewer than minCell people in a class", verdict.too_few_people),
        _without_numbers("did not take part in the comparison, or failed in it", absent),
    )


def _without_numbers(cause: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (
        f"The comparison has no numbers of these hospitals, which trained the model and {cause}: "
        f"{', '.join(names[:NAMED])}{more}."
    )


def _hospitals(seen: Observation, each: HospitalVerdicts) -> str:
    """What hospitals say of their own people. People read it: it is no part of the outcome. A count over one hospital
    is that hospital's verdict, and a version has more readers than a round."""
    if each.hospitals < FEWEST_HOSPITALS:
        return ""
    return (
        f"{each.hospitals} hospitals compared this model with {_name(seen, each.reference)} on their own people: "
        f"{each.better} found this model better, {each.worse} found it worse, and {each.undecided} could not decide."
    )


def _name(seen: Observation, round_name: str) -> str:
    """What people call the model of a round."""
    version = next((each for each in own(seen) if each.spec.round_name == round_name), None)
    return f"version {version.spec.version}" if version else f"round {round_name}"


def _failure(seen: Observation, series: SeriesStatus) -> str:
    """A round that measures the model may follow the comparison. Then nothing shows the comparison's reason here."""
    name, namespace = [each.name for each in series.rounds if each.references][-1], seen.model.metadata.namespace
    compares = seen.round is not None and seen.round.metadata.name == name
    condition = conditions.find(_conditions(seen.round), "Failed") if compares else None
    why = f" ({condition.reason})" if condition else ""
    return (
        f"The comparison of the models has failed: round {name} has failed{why}. To see why: `kubectl wardround "
        f"explain federatedround/{name} -n {namespace}`."
    )


def _conditions(federated_round: FederatedRound | None) -> conditions.Conditions:
    return federated_round.status.conditions if federated_round else ()
