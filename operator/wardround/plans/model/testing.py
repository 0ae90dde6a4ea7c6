"""Decides when the current version of a model is measured on test rows, and what the status says of it. Pure.

The hub operator measures each version at most once, for the report: when it has become the current version, and after
its delivery. The gate never reads these numbers. The status names the Evaluate round before the round is created. A
round that has failed is made again only if it has asked no hospital: otherwise hospitals would open their test rows a
second time. The version itself remembers that it was measured, so a version that becomes current again is not measured
again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from wardround.api import conditions
from wardround.api.federatedmodel import FederatedModel, FederatedModelStatus, MeasurementStatus
from wardround.api.federatedround import FederatedRound, Quorum
from wardround.api.modelversion import ModelVersion, TestOutcome, VersionTest
from wardround.api.timeline import reached
from wardround.api.times import to_seconds
from wardround.plans.model import delivery
from wardround.plans.model import series as rounds
from wardround.plans.model.refusal import hopeless
from wardround.plans.model.suspension import once_resumed
from wardround.plans.model.types import CreateTest, Observation, ReportTest, SuspendRound
from wardround.plans.round.status import DISPATCHED, is_over
from wardround.reasons.registry import REASONS

TESTED = "Tested"
# No event of a hospital wakes the model.
LOOK = timedelta(hours=1)
REPLACED = (
    "The version has no numbers about test rows: its round has failed, and another version became the current one "
    "before the hub operator made a new one."
)
OPENED = "The hub operator makes no further round, because hospitals may have opened their test rows in this one."
Action = CreateTest | ReportTest | SuspendRound


@dataclass(frozen=True, kw_only=True)
class MeasurementPlan:
    """`testing`: what the status says of the measurement afterwards. `requeue_at`: when to look again without an
    event."""

    testing: MeasurementStatus | None
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None


def is_wanted(model: FederatedModel) -> bool:
    return model.spec.evaluation.test_rows and not model.spec.suspend


def is_open(model: FederatedModel) -> bool:
    """Whether the status names a round that is not over yet, as far as the status says."""
    testing = model.status.testing
    return testing is not None and testing.outcome == "Running"


def decide(seen: Observation, made: FederatedModelStatus) -> MeasurementPlan:
    """`made`: the status so far."""
    testing = seen.model.status.testing
    if testing is not None and is_open(seen.model):
        if seen.test is not None and not _is_in_the_way(seen, testing, seen.test, made):
            return _live(seen, testing, seen.test, made)
        if testing.begun:
            return _failed(
                seen,
                testing,
                f"The version has no numbers about test rows: somebody deleted round {testing.round}, which measured "
                "it.",
            )
        if testing.version == made.current:
            return _to_create(seen, testing)
        if testing.attempt > 1:
            return _failed(seen, testing, REPLACED)
    version = seen.versions.get(made.current or "")
    if version is None or not is_wanted(seen.model) or _is_known(testing, version):
        return MeasurementPlan(testing=testing)
    if delivery.is_under_way(seen, made):
        return MeasurementPlan(testing=testing)
    return MeasurementPlan(testing=_named(seen, version))


def _is_in_the_way(
    seen: Observation, testing: MeasurementStatus, live: FederatedRound, made: FederatedModelStatus
) -> bool:
    """Whether somebody else's round has the name, and another version is the current one by now: it does not wait."""
    return testing.version != made.current and not rounds.controls(seen.model.metadata, live.metadata)


def _is_known(testing: MeasurementStatus | None, version: ModelVersion) -> bool:
    """Whether the version was measured, or its measurement has failed for good."""
    over = testing is not None and testing.version == version.metadata.name and testing.outcome != "Running"
    return over or version.status.test is not None


def _named(seen: Observation, version: ModelVersion) -> MeasurementStatus:
    series, spec = seen.model.status.series, version.spec
    entries = series.rounds if series is not None and series.number == spec.series else ()
    return MeasurementStatus(
        version=version.metadata.name,
        round=rounds.test_name(seen.model.metadata, spec.version, 1),
        series=spec.series,
        number=next((each.number for each in entries if each.name == spec.round_name), None),
    )


def _to_create(seen: Observation, testing: MeasurementStatus) -> MeasurementPlan:
    """The round waits until the hub may ask enough hospitals: a round that waits for them itself would fail."""
    version = seen.versions.get(testing.version)
    if version is None or not is_wanted(seen.model):
        return MeasurementPlan(testing=testing)
    if not _is_quorum_askable(seen):
        return MeasurementPlan(testing=testing, requeue_at=seen.now + LOOK)
    if seen.tested is None or seen.tested.metadata.uid != version.spec.round_uid:
        return _failed(
            seen,
            testing,
            "The hub operator cannot measure the version on test rows, because somebody deleted round "
            f"{version.spec.round_name}, which made the version.",
        )
    create = CreateTest(name=testing.round, version=version, made_by=seen.tested)
    # At once: no event of the round tells before its end that it was made.
    return MeasurementPlan(testing=testing, actions=(create,), requeue_at=seen.now)


def _quorum(seen: Observation) -> Quorum:
    return seen.model.spec.evaluation.quorum or seen.model.spec.round.quorum


def _is_quorum_askable(seen: Observation) -> bool:
    quorum = _quorum(seen)
    return len(seen.askable) >= quorum.min and seen.askable.issuperset(quorum.required)


def _live(
    seen: Observation, testing: MeasurementStatus, live: FederatedRound, made: FederatedModelStatus
) -> MeasurementPlan:
    if not rounds.controls(seen.model.metadata, live.metadata):
        return MeasurementPlan(testing=testing)
    begun, suspend = replace(testing, begun=True), seen.model.spec.suspend
    if not is_over(live):
        changed = live.spec.suspend != suspend
        return MeasurementPlan(
            testing=begun, actions=(SuspendRound(name=live.metadata.name, suspend=suspend),) if changed else ()
        )
    if live.status.result is not None:
        return _over(seen, replace(begun, outcome="Complete"), live, _without_numbers(live))
    return _after_failure(seen, begun, live, made)


def _after_failure(
    seen: Observation, testing: MeasurementStatus, live: FederatedRound, made: FederatedModelStatus
) -> MeasurementPlan:
    """Another attempt, if one is allowed and can help. Else no round measures the version."""
    spec, version = seen.model.spec, seen.versions.get(testing.version)
    is_wanted_again = testing.version == made.current and spec.evaluation.test_rows
    opened = _may_have_opened(live)
    is_over_for_good = opened or testing.attempt > spec.series.on_failure.retries or bool(hopeless(live))
    if version is None or not is_wanted_again or is_over_for_good:
        message = f"{_failure(live)} {OPENED}" if opened else _failure(live)
        return _without_test_rows(seen, testing, live) or _failed(seen, testing, message)
    due = rounds.retry_at(live, testing.attempt)
    if spec.suspend or seen.now < due:
        return MeasurementPlan(testing=testing, requeue_at=None if spec.suspend else due)
    attempt = testing.attempt + 1
    name = rounds.test_name(seen.model.metadata, version.spec.version, attempt)
    return MeasurementPlan(testing=replace(testing, round=name, attempt=attempt, begun=False))


def _may_have_opened(live: FederatedRound) -> bool:
    """Whether a hospital may have opened its test rows. A site that the hub has asked can lose its connection and
    measure all the same, so the hub does not wait to hear of it. A round whose status could not be written in time has
    asked hospitals and says it only in its counts."""
    counts = live.status.participants
    return reached(live.status.timeline, DISPATCHED) is not None or (counts is not None and counts.accepted > 0)


def _without_numbers(live: FederatedRound) -> str:
    if live.status.result is not None and live.status.result.metrics:
        return ""
    return (
        f"The version has no numbers about test rows: round {live.metadata.name} is Complete, but no number covers "
        "enough people or hospitals."
    )


def _without_test_rows(seen: Observation, testing: MeasurementStatus, live: FederatedRound) -> MeasurementPlan | None:
    """The decision about a round that failed because hospitals withhold their numbers. The hub does not learn whether a
    hospital has no test rows or too few people in them."""
    failed = conditions.find(live.status.conditions, "Failed")
    if failed is None or failed.reason != "NumbersWithheld":
        return None
    message = f"{REASONS['NoTestRows'].meaning} {_failure(live)}"
    return _over(seen, replace(testing, outcome="Withheld"), None, message)


def _failed(seen: Observation, testing: MeasurementStatus, message: str) -> MeasurementPlan:
    """No further round measures this version on test rows."""
    return _over(seen, replace(testing, outcome="Failed"), None, message)


def _over(
    seen: Observation, testing: MeasurementStatus, measured_by: FederatedRound | None, message: str
) -> MeasurementPlan:
    """First the version says it, then the status of the model."""
    version = seen.versions.get(testing.version)
    if version is None or version.status.test is not None:
        return MeasurementPlan(testing=testing)
    assert testing.outcome != "Running"
    report = ReportTest(
        version=version,
        round_name=testing.round,
        outcome=testing.outcome,
        measured_by=measured_by,
        message=message,
    )
    return MeasurementPlan(testing=testing, actions=(report,))


def _failure(live: FederatedRound) -> str:
    condition = conditions.find(live.status.conditions, "Failed")
    why = f" ({condition.reason})" if condition else ""
    where = f"federatedround/{live.metadata.name} -n {live.metadata.namespace}"
    return (
        f"The measurement of the version on test rows has failed: round {live.metadata.name} has failed{why}. To "
        f"see why: `kubectl wardround explain {where}`."
    )


def condition(seen: Observation, made: FederatedModelStatus) -> FederatedModelStatus:
    """The status with the condition `Tested`, which is about the current version. Absent before the first round."""
    version = seen.versions.get(made.current or "")
    before = conditions.find(made.conditions, TESTED)
    if version is None or (made.testing is None and before is None and version.status.test is None):
        return made
    holds, reason, message = _outcome(seen, made, version)
    generation = seen.model.metadata.generation
    known = conditions.set_condition(
        made.conditions, TESTED, holds, reason, message, now=seen.now, generation=generation
    )
    return replace(made, conditions=known)


def _outcome(seen: Observation, made: FederatedModelStatus, version: ModelVersion) -> tuple[bool, str, str]:
    """Whether the current version is measured on test rows, reason and message."""
    testing, name = made.testing, f"version {version.spec.version}"
    own = testing if testing is not None and testing.version == version.metadata.name else None
    outcome = _known_outcome(own, version.status.test)
    if outcome != "Running":
        return _final(version, outcome)
    if not seen.model.spec.evaluation.test_rows:
        return False, "TestRowsOff", ""
    if own is not None and seen.test is not None and own.round == seen.test.metadata.name:
        return _runs(seen, own, seen.test)
    if own is not None and own == seen.model.status.testing and not _is_quorum_askable(seen):
        return _shortfall(seen, name)
    makes = f"the hub operator makes a round that measures {name} on test rows"
    return False, "VersionTesting", once_resumed(makes, suspended=seen.model.spec.suspend)


def _final(version: ModelVersion, outcome: TestOutcome) -> tuple[bool, str, str]:
    see = f"See status.test of ModelVersion {version.metadata.name}."
    match outcome:
        case "Complete":
            return True, "VersionTested", see
        case "Withheld":
            return False, "NoTestRows", see
        case "Failed":
            message = f"The hub operator no longer tries to measure version {version.spec.version} on test rows."
            return False, "TestFailed", f"{message} {REASONS['TestFailed'].advice}"


def _shortfall(seen: Observation, name: str) -> tuple[bool, str, str]:
    """The hub may ask too few hospitals for the round. `name`: of the version, in words."""
    quorum = _quorum(seen)
    required = f", and needs {', '.join(quorum.required)}" if quorum.required else ""
    message = (
        f"The hub operator has not made the round that measures {name} on test rows yet. This round "
        f"needs at least {quorum.min} hospitals that the hub may ask{required}. Now the hub may ask "
        f"{len(seen.askable)}."
    )
    return False, "TooFewForTest", f"{message} {REASONS['TooFewForTest'].advice}"


def _known_outcome(testing: MeasurementStatus | None, test: VersionTest | None) -> TestOutcome | Literal["Running"]:
    if test is not None:
        return test.outcome
    return testing.outcome if testing is not None else "Running"


def _runs(seen: Observation, testing: MeasurementStatus, live: FederatedRound) -> tuple[bool, str, str]:
    if not rounds.controls(seen.model.metadata, live.metadata):
        message = (
            f"The hub operator cannot measure the version on test rows by FederatedRound {testing.round}, because "
            "this name is taken by a round that does not belong to this FederatedModel."
        )
        return False, "NameTaken", f"{message} {REASONS['NameTaken'].advice}"
    where = f"federatedround/{testing.round} -n {seen.model.metadata.namespace}"
    if is_over(live):
        due = to_seconds(rounds.retry_at(live, testing.attempt))
        event = f"the hub operator makes another round in its place at {due}"
        message = f"{_failure(live)} {once_resumed(event, suspended=seen.model.spec.suspend)}"
        return False, "VersionTesting", message
    if seen.model.spec.suspend:
        measures = f"round {testing.round} measures the version on test rows"
        return False, "VersionTesting", once_resumed(measures, suspended=True)
    message = (
        f"The measurement of the version on test rows is under way: round {testing.round} waits or runs. To see how "
        f"far it is: `kubectl wardround explain {where}`."
    )
    return False, "VersionTesting", message
