"""Decides what the status of a FederatedModel says after a ruling: its versions, the next start and the conditions."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.federatedmodel import FederatedModelStatus, NextStart, SeriesStatus, Summary
from wardround.api.federatedround import ResultMetric
from wardround.api.meta import Meta
from wardround.api.modelversion import ModelVersion
from wardround.api.times import read_time, to_seconds
from wardround.plans.model import patients, schedule, versions
from wardround.plans.model import request as requests
from wardround.plans.model import series as rounds
from wardround.plans.model.suspension import once_resumed
from wardround.plans.model.types import Observation, OwnVersion, ReportLoss, Ruling
from wardround.plans.round.rulings import sentences
from wardround.reasons.registry import REASONS

ROUND_GONE = "VersionRoundGone"
# A reason, and a message for people.
Fault = tuple[str, str]


def status(seen: Observation, ruling: Ruling) -> FederatedModelStatus:
    """The whole status."""
    made, before = _without_conditions(seen, ruling), seen.model.status.series
    # Only a series that has ended already shows whether its result is gone.
    lost = before is not None and before.stage == "Ended" and versions.result_gone(seen)
    after = _after(seen, made)
    return replace(made, conditions=_conditions(after, ruling, version_gone(after, result_gone=lost)))


def ownership(seen: Observation, made: FederatedModelStatus) -> tuple[OwnVersion, ...]:
    """The current version belongs to nobody, so that it outlives its model. The others go with the model."""
    uid = seen.model.metadata.uid
    return tuple(
        OwnVersion(version=each, owned=wanted)
        for each in versions.own(_after(seen, made))
        if (wanted := each.metadata.name != made.current) != any(o.uid == uid for o in each.metadata.owner_references)
    )


def losses(seen: Observation) -> tuple[ReportLoss, ...]:
    """Each version of which the hub has no model says so, once."""
    return tuple(
        ReportLoss(
            version=each,
            message=f"Somebody deleted or replaced round {each.spec.round_name}, which made this version. So the hub "
            f"has no model of it any more. {advice_for(seen.model.metadata, ROUND_GONE)}",
        )
        for each in versions.own(seen)
        if versions.is_gone(seen, each) and not _says_loss(each)
    )


def _says_loss(version: ModelVersion) -> bool:
    ready = conditions.find(version.status.conditions, "Ready")
    return ready is not None and ready.reason == ROUND_GONE


def version_gone(seen: Observation, *, result_gone: bool = False) -> Fault | None:
    """Why the version that should count does not: it does not exist, its round does not, or nobody can have seen it
    before pinning it. `result_gone`: as of `newest_version`."""
    pinned, current = seen.model.spec.current, seen.model.status.current
    listed, meta = seen.model.status.versions, seen.model.metadata
    advice, early = (advice_for(meta, name) for name in ("VersionGone", "VersionPinnedEarly"))
    if pinned and pinned.version > rounds.newest_version(seen.model.status.series, result_gone=result_gone):
        message = (
            f"spec.current names version {pinned.version}, which does not exist yet. When it exists, it does not "
            "become the current one, because nobody can have seen its metrics."
        )
        return "VersionPinnedEarly", f"{message} {early}"
    if pinned and versions.pinned_name(seen) not in listed:
        cause = f"spec.current names version {pinned.version}, which does not exist."
        return "VersionGone", sentences(cause, "" if versions.current(seen) else _goes_on_from(seen), advice)
    if pinned and _is_noted_early(seen):
        message = (
            f"Version {pinned.version} does not become the current one: spec.current named it before it existed, so "
            "nobody can have seen its metrics."
        )
        return "VersionPinnedEarly", f"{message} {early}"
    if not pinned and current and current not in listed:
        return _current_gone(seen)
    return round_gone(seen)


def _current_gone(seen: Observation) -> Fault:
    message = sentences(
        f"ModelVersion {seen.model.status.current} was the current one, and somebody deleted it.",
        _goes_on_from(seen),
        advice_for(seen.model.metadata, "VersionGone"),
    )
    return "VersionGone", message


def _goes_on_from(seen: Observation) -> str:
    """What the next series of a model without its current version starts from."""
    if versions.waits_for_choice(seen):
        others = ", ".join(str(each.spec.version) for each in versions.own(seen))
        return f"No further series begins until spec.current.version names one of these versions: {others}."
    return f"The next series starts from {_anew(seen)}."


def _anew(seen: Observation) -> str:
    """What a series starts from that does not train the current version further."""
    pushed = seen.model.spec.initial.pushed
    return f"the pushed ModelVersion {pushed}" if pushed else "new weights"


def round_gone(seen: Observation) -> Fault | None:
    """Why the hub has no model of the current version."""
    current = versions.current(seen)
    if current is None or not versions.is_gone(seen, current):
        return None
    others = [str(each.spec.version) for each in versions.with_rounds(seen) if each is not current]
    message = sentences(
        f"Somebody deleted or replaced round {current.spec.round_name}, which made version {current.spec.version}, the "
        "current one. So the hub has no model of this version any more, and no series starts from it.",
        f"The hub has the models of these versions: {', '.join(others)}." if others else "",
        advice_for(seen.model.metadata, ROUND_GONE),
    )
    return ROUND_GONE, message


def start_fault(seen: Observation) -> Fault | None:
    """Why the next series would have nothing to start from. Known once a series has ended."""
    spec = seen.model.spec
    if spec.series.start == "Current" and versions.current(seen) is not None:
        return round_gone(seen)
    if versions.waits_for_choice(seen):
        return _current_gone(seen)
    if not seen.pushed_gone:
        return None
    message = (
        f"The next series starts from the pushed ModelVersion {spec.initial.pushed} (initial.pushed), which does not "
        f"exist. {advice_for(seen.model.metadata, 'SeriesBaseGone')}"
    )
    return "SeriesBaseGone", message


def advice_for(meta: Meta, reason: str) -> str:
    """What people have to do, with the names of the FederatedModel."""
    return REASONS[reason].about(federation=meta.namespace, model=meta.name).advice


def trigger_fault(seen: Observation) -> Fault | None:
    """Whether the trigger names no time."""
    trigger = seen.model.spec.trigger
    if trigger is None:
        return None
    try:
        schedule.following(trigger, seen.model.status.next, seen.now)
    except schedule.TriggerInvalid as fault:
        return fault.reason, f"{fault} {REASONS[fault.reason].advice}"
    return None


def _is_noted_early(seen: Observation) -> bool:
    """Whether the status says that the present spec named its version before people could see it."""
    return seen.model.status.pinned_early == seen.model.metadata.generation


def _is_ready(seen: Observation, name: str) -> bool:
    """Whether people can see the metrics of a version. This can be before the status lists it."""
    version = seen.versions.get(name)
    return version is not None and conditions.is_true(version.status.conditions, "Ready")


def _after(seen: Observation, made: FederatedModelStatus) -> Observation:
    return replace(seen, model=replace(seen.model, status=made))


def _without_conditions(seen: Observation, ruling: Ruling) -> FederatedModelStatus:
    generation = seen.model.metadata.generation
    added = (ruling.added.name,) if ruling.added else ()
    listed, is_early = (*_listed(seen), *added), _is_pinned_early(seen)
    current = _current(seen, ruling, listed, is_early=is_early)
    newest = listed[-1] if listed else None
    return replace(
        seen.model.status,
        observed_generation=generation,
        current=current,
        candidate=newest if newest != current else None,
        versions=listed,
        served=_served(seen, current),
        pinned_early=generation if is_early else None,
        next=_next_start(seen, ruling),
        series=ruling.series,
        summary=_summary(seen.versions.get(current or ""), ruling.series),
    )


def _listed(seen: Observation) -> tuple[str, ...]:
    """The versions that the status lists, without those that somebody has deleted."""
    return tuple(name for name in seen.model.status.versions if name in seen.versions)


def _is_pinned_early(seen: Observation) -> bool:
    """Whether the present spec named its version before people could see it."""
    pinned = versions.pinned_name(seen)
    return bool(pinned) and (_is_noted_early(seen) or not (pinned in _listed(seen) or _is_ready(seen, pinned)))


def _current(seen: Observation, ruling: Ruling, listed: Collection[str], *, is_early: bool) -> str | None:
    """The version that the spec names. Else the one that the gate has just promoted, or the one before."""
    pinned, added = versions.pinned_name(seen), ruling.added
    if pinned in listed and not is_early:
        return pinned
    return added.name if added is not None and added.promoted else seen.model.status.current


def _served(seen: Observation, current: str | None) -> tuple[str, ...]:
    """The versions that are or were current. The last one stays, so that a model whose versions were deleted is not
    taken for a new one."""
    before = seen.model.status.served
    served = tuple(name for name in before if name in seen.versions) or before[-1:]
    return (*served, current) if current and current not in served else served


def _summary(current: ModelVersion | None, series: SeriesStatus) -> Summary | None:
    """A version that no round has measured shows the reason where people look for the loss."""
    metrics = {each.name: each for each in current.status.metrics} if current else {}
    unmeasured = versions.without_numbers(current)
    change = rounds.trend(series)
    made = Summary(
        loss=_with_interval(metrics.get("loss")) or (unmeasured.reason if unmeasured else None),
        auc=_with_interval(metrics.get("auc")),
        trend=None if change is None else f"{change:+}",
    )
    return made if made != Summary() else None


def _with_interval(metric: ResultMetric | None) -> str | None:
    if metric is None:
        return None
    known = metric.low is not None and metric.high is not None
    return f"{metric.value} ({metric.low} to {metric.high})" if known else metric.value


def _next_start(seen: Observation, ruling: Ruling) -> NextStart | None:
    trigger, known = seen.model.spec.trigger, seen.model.status.next
    if trigger is None:
        return None
    try:
        return schedule.following(trigger, None if ruling.begins else known, seen.now)
    except schedule.TriggerInvalid:
        return None


def _conditions(after: Observation, ruling: Ruling, gone: Fault | None) -> Conditions:
    """`after`: with the status as it will be. `gone`: why the version that should count does not."""
    now, generation = after.now, after.model.metadata.generation
    current = after.model.status.current
    unmeasured = versions.without_numbers(versions.current(after))
    known = (unmeasured.reason, unmeasured.message) if unmeasured else ("VersionCurrent", _against_the_gate(after))
    reason, message = gone or (known if current else _not_chosen(after))
    result = conditions.set_condition(
        after.model.status.conditions,
        "Ready",
        bool(current) and not gone,
        reason,
        message,
        now=now,
        generation=generation,
    )
    for kind, value, reason, message in (_suspended(ruling), _waits(after), _scheduled(after, ruling)):
        # One that has never held, and of which there is nothing to say, is not written.
        if value or message or conditions.find(result, kind) is not None:
            result = conditions.set_condition(result, kind, value, reason, message, now=now, generation=generation)
    if ruling.course == "Progressing":
        return conditions.progressing(result, ruling.reason, ruling.message, now=now, generation=generation)
    if ruling.course == "Stalled":
        return conditions.stalled(result, ruling.reason, ruling.message, now=now, generation=generation)
    return conditions.settled(result, ruling.reason, now=now, generation=generation)


def _against_the_gate(after: Observation) -> str:
    """What the gate says about the current version, if only people have made it the current one."""
    version = versions.current(after)
    verdict = version.status.verdict if version else None
    if version is None or verdict is None or verdict.outcome == "Accepted":
        return ""
    return f"{_outcome(version)} It is the current version because spec.current has named it."


def _not_chosen(after: Observation) -> Fault:
    """Why no version has ever been the current one."""
    version = versions.waiting(after)
    return ("PeopleDecide", _decide(after, version)) if version else ("NoVersionYet", "")


_Condition = tuple[str, bool, str, str]


def _suspended(ruling: Ruling) -> _Condition:
    suspended = ruling.course == "Suspended"
    return "Suspended", suspended, "Suspended" if suspended else "Resumed", ""


def _waits(after: Observation) -> _Condition:
    version = versions.waiting(after)
    message = _decide(after, version) if version else ""
    return "VersionWaits", version is not None, "PeopleDecide" if version else "NoVersionWaits", message


def _decide(after: Observation, version: ModelVersion) -> str:
    number = version.spec.version
    without = not after.model.status.current and after.model.spec.series.start == "Current"
    return sentences(
        _outcome(version),
        f"To make version {number} the current one, set spec.current.version to {number}.",
        f"Until then, no version is current, and each series starts from {_anew(after)}." if without else "",
    )


def _outcome(version: ModelVersion) -> str:
    verdict = version.status.verdict
    return f"Version {version.spec.version} is {verdict.outcome}. {verdict.message}" if verdict else ""


def _asked(after: Observation, series: SeriesStatus) -> str:
    begins = "at once" if series.stage == "Ended" else f"when series {series.number} has ended"
    text = f"series {series.number + 1}, for which a person has asked, begins {begins}"
    return once_resumed(text, suspended=after.model.spec.suspend)


def _at(start: NextStart, series: SeriesStatus, now: datetime) -> str:
    """When the trigger begins the next series. Series never overlap, so it can be due while another one runs."""
    due = read_time(start.at)
    if series.stage == "Ended" or due is None or due > now:
        return f"at {start.at}"
    return f"when series {series.number} has ended (due since {start.at})"


def _scheduled(after: Observation, ruling: Ruling) -> _Condition:
    start, fault, trigger = after.model.status.next, trigger_fault(after), after.model.spec.trigger
    more = trigger.new_patients if trigger and not fault else None
    asked = requests.pending(after.model, ruling.series)
    if fault or (start is None and more is None and not asked):
        reason, message = fault or ("NoTrigger", "")
        return "Scheduled", False, reason, message
    if ruling.series.stage == "Ended" and (stuck := start_fault(after)):
        reason, message = stuck
        return "Scheduled", False, reason, f"Series {ruling.series.number + 1} does not begin. {message}"
    if asked:
        return "Scheduled", True, "NextSeries", _asked(after, ruling.series)
    ways = [_at(start, ruling.series, after.now)] if start is not None else []
    if more is not None:
        known = ruling.series.training_patients
        than = (
            f"{known}"
            if known is not None
            else ("at the time when a hospital first tells its number (policy.tellNewPatients)")
        )
        begin = patients.earliest(ruling.series)
        not_before = f" (not before {to_seconds(begin)})" if begin else ""
        ways.append(f"when the hospitals together have at least {more} more training patients than {than}{not_before}")
    return (
        "Scheduled",
        True,
        "NextSeries",
        once_resumed(
            f"series {ruling.series.number + 1} begins {', or '.join(ways)}", suspended=after.model.spec.suspend
        ),
    )
