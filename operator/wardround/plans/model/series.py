"""Decides about the rounds of a series: names, parameters, losses, which round comes next, and when the series ends."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from wardround.api import conditions
from wardround.api.federatedmodel import KIND, FederatedModel, Series, SeriesRound, SeriesStatus, SeriesTrigger, Stage
from wardround.api.federatedround import FederatedRound, ResultMetric, Task
from wardround.api.meta import Meta, controller
from wardround.api.times import read_time, to_seconds
from wardround.plans.model.comparable import usual_number
from wardround.plans.round.status import is_over
from wardround.plans.schedules import evaluation_follows, scheduled

# Names of a round and of a version: so much of the model's name, then numbers, then so much of its UID. A model that is
# made again under its name gets other names.
NAME_LENGTH, UID_DIGITS = 30, 8
NAME = re.compile(r".+-s(?P<series>\d+)-(?P<letter>[rec])(?P<number>\d+)(-t(?P<attempt>\d+))?-[0-9a-f]{8}")
LOSS = "loss"
RETRY = timedelta(seconds=30)


def round_name(meta: Meta, series: int, task: Task, number: int, attempt: int, *, compares: bool = False) -> str:
    """At most 63 characters. A Statistics round is number 0. An Evaluate round has the letter e, and c if it compares
    the candidate with other versions."""
    letter = "c" if compares else "e" if task == "Evaluate" else "r"
    place = f"{letter}{number}"
    again = f"-t{attempt}" if attempt > 1 else ""
    return f"{_prefix(meta)}-s{series}-{place}{again}-{_suffix(meta)}"


def read_name(name: str) -> tuple[int, SeriesRound] | None:
    """The series, and the round without generation and outcome, of a name that `round_name` has made; None for another
    name. The references of a comparison are not in its name."""
    parts = NAME.fullmatch(name)
    if parts is None:
        return None
    letter, number = parts["letter"], int(parts["number"])
    task: Task = "Evaluate" if letter in "ec" else "Train" if number else "Statistics"
    entry = SeriesRound(
        name=name,
        task=task,
        number=number,
        attempt=int(parts["attempt"] or 1),
        generation=0,
        references=(name,) if letter == "c" else (),
    )
    return int(parts["series"]), entry


def controls(model: Meta, federated_round: Meta) -> bool:
    """Whether the round with this metadata names the model as its controller. Only the hub operator can write that, so
    the round is this model's."""
    owner = controller(federated_round, KIND)
    return owner is not None and owner.uid == model.uid


def version_name(meta: Meta, version: int) -> str:
    return f"{_prefix(meta)}-v{version}-{_suffix(meta)}"


def newest_version(series: SeriesStatus | None, *, result_gone: bool = False) -> int:
    """The number of the last series that has made its version, or makes none. `result_gone`: whether the series, if it
    has ended without a version, makes none because the result of its best model is gone."""
    if series is None:
        return 0
    over = series.version is not None or series.skipped or (series.stage == "Ended" and result_gone)
    return series.number if over else series.number - 1


def delivery_name(meta: Meta, number: int) -> str:
    """The name of a Deliver round."""
    return f"{_prefix(meta)}-d{number}-{_suffix(meta)}"


def test_name(meta: Meta, version: int, attempt: int) -> str:
    """The name of a round that measures a version on test rows."""
    again = f"-t{attempt}" if attempt > 1 else ""
    return f"{_prefix(meta)}-t{version}{again}-{_suffix(meta)}"


def _prefix(meta: Meta) -> str:
    return meta.name[:NAME_LENGTH].rstrip("-.")


def _suffix(meta: Meta) -> str:
    return meta.uid.replace("-", "")[:UID_DIGITS]


def begin(
    model: FederatedModel, number: int, now: datetime, trigger: SeriesTrigger, base: str | None = None
) -> SeriesStatus:
    """A new series. Its first round computes statistics, or trains the model of the round `base` or a pushed model."""
    started = to_seconds(now)
    pushed = model.spec.initial.pushed if base is None else None
    if base is None and pushed is None:
        first = _round(model, number, "Statistics", 0)
        return SeriesStatus(number=number, stage="Statistics", started=started, trigger=trigger, rounds=(first,))
    return SeriesStatus(
        number=number,
        stage="Training",
        started=started,
        trigger=trigger,
        base=base,
        pushed=pushed,
        round=1,
        rounds=(_round(model, number, "Train", 1),),
    )


def makes_first_weights(series: SeriesStatus) -> bool:
    """Whether the last round of the series is a Train round without a base."""
    newest = last(series)
    return newest.task == "Train" and newest.number == 1 and series.base is None and series.pushed is None


def starts_from_pushed(series: SeriesStatus) -> bool:
    """Whether the last round of the series is a Train round that starts from a pushed ModelVersion."""
    newest = last(series)
    return newest.task == "Train" and newest.number == 1 and series.pushed is not None


def last(series: SeriesStatus) -> SeriesRound:
    return series.rounds[-1]


def base(series: SeriesStatus) -> str:
    """The round that the last round of the series starts from, or the pushed ModelVersion; empty for a Statistics
    round."""
    newest = last(series)
    if starts_from_pushed(series):
        return series.pushed or ""
    if newest.task == "Train" and newest.number == 1 and series.base is not None:
        return series.base
    number = newest.number if newest.task == "Evaluate" else newest.number - 1
    return next((each.name for each in series.rounds if _makes(each, number)), "")


def _makes(each: SeriesRound, number: int) -> bool:
    """Whether a round has made the model, or the statistics, with this number."""
    return each.number == number and each.task != "Evaluate" and each.outcome == "Complete"


def parameters(series: Series, number: int) -> dict[str, str]:
    """The parameters of a Train round."""
    return scheduled(series.parameters, series.schedules, number)


def measured(series: SeriesStatus, federated_round: FederatedRound) -> SeriesStatus:
    """The series with the losses that a round has measured, and the best model so far. Among equals, the earlier.

    The loss that came first stays: an Evaluate round and the Train round after it may measure the same model.
    """
    losses = _losses(federated_round)
    rounds = tuple(
        replace(each, loss=losses[each.name].value, hospitals=losses[each.name].hospitals)
        if each.name in losses and each.task == "Train" and each.loss is None
        else each
        for each in series.rounds
    )
    known = [(loss, place, each) for place, (each, loss) in enumerate(_comparable(rounds))]
    if not known:
        return replace(series, rounds=rounds)
    _, _, best = min(known, key=lambda entry: entry[:2])
    return replace(series, rounds=rounds, best=best.name, loss=best.loss)


def _losses(federated_round: FederatedRound) -> Mapping[str, ResultMetric]:
    """By the name of the round that made the model."""
    result = federated_round.status.result
    return {each.model: each for each in result.metrics if each.name == LOSS} if result else {}


def _comparable(rounds: Sequence[SeriesRound]) -> list[tuple[SeriesRound, Decimal]]:
    """The rounds with the losses of their models, of those whose losses are over equally many hospitals."""
    measured = [(each, Decimal(each.loss), each.hospitals or 0) for each in rounds if each.loss is not None]
    usual = usual_number(hospitals for _, _, hospitals in measured)
    return [(each, loss) for each, loss, hospitals in measured if hospitals == usual]


def trend(series: SeriesStatus) -> Decimal | None:
    """By how much the loss changed between the last two models that are measured. None with fewer models."""
    losses = [loss for _, loss in _comparable(series.rounds)]
    return losses[-1] - losses[-2] if len(losses) > 1 else None


def ended(series: SeriesStatus, outcome: FederatedRound) -> SeriesStatus:
    """The series with the last round over."""
    assert is_over(outcome)
    complete = outcome.status.result is not None
    newest = replace(last(series), outcome="Complete" if complete else "Failed")
    return replace(series, rounds=(*series.rounds[:-1], newest))


def again(model: FederatedModel, series: SeriesStatus) -> SeriesStatus:
    """The series with another attempt at the round that has failed. A changed FederatedModel counts attempts anew, so
    the numbers in names go on, and failed attempts that were made before the change leave the list: its length in the
    status is limited, and the number of changes is not."""
    failed, generation = last(series), model.metadata.generation
    kept = (each for each in series.rounds if _place(each) != _place(failed) or each.generation == generation)
    attempt = _round(model, series.number, failed.task, failed.number, failed.attempt + 1, failed.references)
    return replace(series, rounds=(*kept, attempt))


def failures(series: SeriesStatus, generation: int) -> int:
    """How many rounds in a row have failed in the place of the last one that were made from this generation of the
    FederatedModel."""
    place = _place(last(series))
    count = 0
    for each in reversed(series.rounds):
        if each.outcome != "Failed" or each.generation != generation or _place(each) != place:
            break
        count += 1
    return count


def _place(each: SeriesRound) -> tuple[object, ...]:
    return each.task, each.number, each.references


def retry_at(failed: FederatedRound, failures: int) -> datetime:
    """When another round takes the place of one that has failed. Each failure in a row doubles the time."""
    since = conditions.since(failed.status.conditions, "Failed")
    assert since is not None
    return since + RETRY * (1 << max(failures - 1, 0))


def following(model: FederatedModel, series: SeriesStatus, now: datetime) -> SeriesStatus:
    """The series with the round that comes after its last one, which is Complete; or the series at its next stage."""
    newest = last(series)
    if newest.task == "Evaluate":
        return after_evaluation(model, series, now)
    if newest.task == "Train" and stops(model.spec.series, series, now):
        # The only model of a series is the candidate. So the comparison, if there is one, measures it too.
        trained = [each for each in series.rounds if each.task == "Train" and each.outcome == "Complete"]
        return evaluate_last(model, series) if len(trained) > 1 else replace(series, stage="Comparing")
    stopped = series.evaluations_stopped == model.metadata.generation
    if newest.task == "Train" and not stopped and evaluation_follows(model.spec.evaluation.every, newest.number):
        return _evaluating(model, series, "Training")
    return _training(model, series)


def after_evaluation(model: FederatedModel, series: SeriesStatus, now: datetime) -> SeriesStatus:
    """The series after its last round, an Evaluate round that is Complete or has failed for good. Between Train rounds,
    the series trains further, unless it stops now: then this round has been the one that measures the last model.

    A comparison that fails for good may leave the only model of the series without numbers, and people are to compare
    them. So a round of its own then measures this model. It asks hospitals for less than the comparison."""
    if last(series).references and last(series).outcome == "Failed" and _only_compared(series):
        return evaluate_last(model, series)
    if any(each.references for each in series.rounds):
        return replace(series, stage="Ended")
    if series.stage == "Evaluating" or stops(model.spec.series, series, now):
        return replace(series, stage="Comparing")
    return _training(model, series)


def _only_compared(series: SeriesStatus) -> bool:
    """Whether no round but the comparison, which is the last one, was to measure the model that it compares."""
    number = last(series).number
    measuring = (("Train", number + 1), ("Evaluate", number))
    return not any((each.task, each.number) in measuring and not each.references for each in series.rounds)


def _training(model: FederatedModel, series: SeriesStatus) -> SeriesStatus:
    """The series with another Train round."""
    number = last(series).number + 1
    added = _round(model, series.number, "Train", number)
    return replace(series, stage="Training", round=number, rounds=(*series.rounds, added))


def evaluate_last(model: FederatedModel, series: SeriesStatus) -> SeriesStatus:
    """The series with the round that measures its last model, after which no Train round follows."""
    return _evaluating(model, series, "Evaluating")


def _evaluating(model: FederatedModel, series: SeriesStatus, stage: Stage) -> SeriesStatus:
    """The series with a round that measures its last model. `stage`: Evaluating if no Train round follows."""
    added = _round(model, series.number, "Evaluate", last(series).number)
    return replace(series, stage=stage, rounds=(*series.rounds, added))


def compare(model: FederatedModel, series: SeriesStatus, candidate: str, references: tuple[str, ...]) -> SeriesStatus:
    """The series with the round that compares the candidate with these rounds' models."""
    number = next(each.number for each in series.rounds if each.name == candidate)
    added = _round(model, series.number, "Evaluate", number, references=references)
    return replace(series, rounds=(*series.rounds, added))


def stops(spec: Series, series: SeriesStatus, now: datetime) -> bool:
    """Whether no further Train round follows."""
    if last(series).number >= spec.rounds:
        return True
    started = read_time(series.started)
    if spec.stop.seconds and started and now - started >= timedelta(seconds=spec.stop.seconds):
        return True
    return bool(spec.stop.patience) and _rounds_without_gain(spec, series) >= spec.stop.patience


def _rounds_without_gain(spec: Series, series: SeriesStatus) -> int:
    """How many of the last measured models in a row are no better than the best one before them by more than
    `minDelta`."""
    best: Decimal | None = None
    count = 0
    for _, loss in _comparable(series.rounds):
        if best is None or loss < best - Decimal(spec.stop.min_delta):
            best, count = loss, 0
        else:
            count += 1
    return count


def _round(
    model: FederatedModel,
    series: int,
    task: Task,
    number: int,
    attempt: int = 1,
    references: tuple[str, ...] = (),
) -> SeriesRound:
    meta = model.metadata
    return SeriesRound(
        name=round_name(meta, series, task, number, attempt, compares=bool(references)),
        task=task,
        number=number,
        attempt=attempt,
        generation=meta.generation,
        references=references,
    )
