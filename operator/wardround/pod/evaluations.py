"""Counts the evaluations of a Dataset, and refuses more of them than the hospital allows; must not know how.

The count lies on the claim `state`, in the folder that only `prepare` mounts, in a file with the Dataset's name. So
nobody resets it by deleting objects. Every answer is on the side of the patients: a clock that goes backwards gives
nothing back, and without a readable count nobody evaluates.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from wardround import durable
from wardround.api.times import parse_time, to_seconds
from wardround.pod.outcome import PodError
from wardround.wire import canonical, codec, digests
from wardround.wire.layouts import Rows
from wardround.wire.outcome import EvaluationBudget
from wardround.wire.training import RequestedModel, RequestedTask

FOLDER = "evaluations"
# An evaluation counts for this time.
WINDOW = timedelta(days=30)
# Older entries are removed, but for the newest: after a clock was far ahead for a while, nothing is given back.
KEPT = timedelta(days=90)
# One counted evaluation lets this number of pods see the rows: attempts, evicted pods, and rounds that ask again. Not
# more, because code can answer differently each time, for example by the clock.
MOST_PODS = 10


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One counted evaluation. `work`: digest of models and rows. `pods`: how many pods it has let see the rows.
    `models`: as how many evaluations it counts, one for the model and one for each reference."""

    at: str
    rows: Rows
    work: str
    pods: int
    models: int = 1


@dataclass(frozen=True)
class Count:
    """The document of one Dataset, oldest evaluation first."""

    evaluations: tuple[Evaluation, ...] = ()


def work_digest(request: RequestedTask, view: str, labels: str) -> str:
    """Digest of what an evaluation asks: the models and all that decides their predictions, and the rows.

    The same models give the same digest in any order. Another set of models gives another one, because the differences
    of two models tell what the numbers of each do not. `view`: digest of the features. `labels`: digest of labels and
    patients, because corrected labels give other numbers too.
    """
    models = sorted(canonical.dumps(_model(each)).decode() for each in request.models)
    return digests.digest(canonical.dumps({"models": models, "view": view, "labels": labels}))


def _model(model: RequestedModel) -> Mapping[str, object]:
    return {
        "baseDigest": model.base_digest,
        "imageDigest": model.image_digest,
        "command": list(model.command),
        "parameters": dict(model.parameters),
        "stateRound": model.state_round,
    }


def counted(count: Count, rows: Rows, work: str, models: int, limit: int, now: datetime) -> Count | None:
    """The count with one more pod that evaluates `work` on `rows`. None if the hospital allows no more evaluations."""
    valid = _valid(count, rows, now)
    for each in valid:
        if each.work == work and each.pods < MOST_PODS:
            more = replace(each, pods=each.pods + 1)
            return Count(tuple(more if other is each else other for other in count.evaluations))
    if _used(valid) + models > limit:
        return None
    kept = _kept(count, limit, now)
    # Never before an older entry: after a clock is corrected, what it counted while it was behind still counts.
    at = max([to_seconds(now), *(each.at for each in kept)], key=parse_time)
    return Count((*kept, Evaluation(at=at, rows=rows, work=work, pods=1, models=models)))


def _kept(count: Count, limit: int, now: datetime) -> tuple[Evaluation, ...]:
    """The entries of the last 90 days, and for each side of the split the newest, twice as many as the limit."""
    newest = {id(each) for rows in get_args(Rows) for each in _of_rows(count, rows)[-2 * limit :]}
    return tuple(each for each in count.evaluations if id(each) in newest or parse_time(each.at) > now - KEPT)


def _of_rows(count: Count, rows: Rows) -> list[Evaluation]:
    return [each for each in count.evaluations if each.rows == rows]


def budgets(count: Count, limit: int, now: datetime) -> tuple[EvaluationBudget, ...]:
    """What is used and left of each side of the split."""
    return tuple(_budget(count, rows, limit, now) for rows in get_args(Rows))


def hold(
    folder: Path, dataset: str, rows: Rows, work: str, models: int, limit: int, now: datetime
) -> tuple[tuple[EvaluationBudget, ...], str]:
    """Counts one more pod. Returns the budgets, and the fault in words if no more evaluations are allowed.

    `folder`: that of secrets. `models`: how many are measured. Raises PodError (EvaluationsUnreadable, PodFailed).
    """
    path = folder / FOLDER / f"{dataset}.json"
    place = f"{folder.name}/{FOLDER}/{path.name}"
    try:
        with _locked(path.parent):
            before = _read(path, place)
            after = counted(before, rows, work, models, limit, now)
            if after is not None:
                durable.write(path, codec.write_document(after), 0o600)
    except OSError as error:
        message = (
            f"{place} on the claim `state` cannot be written ({type(error).__name__}): check that the volume is "
            "writable and not full"
        )
        raise PodError("PodFailed", message) from None
    left = budgets(after or before, limit, now)
    if after:
        return left, ""
    until = _allowed_from(_valid(before, rows, now), models, limit)
    return left, _used_up(dataset, next(each for each in left if each.rows == rows), models, limit, until)


def _valid(count: Count, rows: Rows, now: datetime) -> Sequence[Evaluation]:
    """The evaluations that count now, also those at a time that this clock has not reached."""
    return [each for each in _of_rows(count, rows) if parse_time(each.at) > now - WINDOW]


def _budget(count: Count, rows: Rows, limit: int, now: datetime) -> EvaluationBudget:
    valid = _valid(count, rows, now)
    used = _used(valid)
    left = max(0, limit - used)
    return EvaluationBudget(rows=rows, used=used, left=left, until=_allowed_from(valid, left + 1, limit))


def _used(valid: Sequence[Evaluation]) -> int:
    return sum(each.models for each in valid)


def _allowed_from(valid: Sequence[Evaluation], models: int, limit: int) -> str | None:
    """The time after which the hospital allows so many models: the end of an evaluation that counts now. None if no
    end of one is enough."""
    counting = _used(valid)
    for each in valid:
        counting -= each.models
        if counting + models <= limit:
            return to_seconds(parse_time(each.at) + WINDOW)
    return None


def _used_up(dataset: str, budget: EvaluationBudget, models: int, limit: int, until: str | None) -> str:
    if limit == 0:
        return (
            "policy.maxEvaluations of the Site is 0, so this hospital allows no evaluations. To allow evaluations, "
            "the hospital's administrator raises policy.maxEvaluations in the values of the site chart"
        )
    counts = (
        f"This round needs {models} evaluations, one for each model that the round measures. " if models > 1 else ""
    )
    next_one = "Another model can" if models == 1 else "These models can"
    waits = f"{next_one} be evaluated after {until}. " if until else ""
    return (
        f"The hospital allows {limit} evaluations on {budget.rows} rows of Dataset {dataset} in {WINDOW.days} days, "
        f"and rounds have used {budget.used}. {counts}{waits}To allow more evaluations, the hospital's administrator "
        "raises policy.maxEvaluations in the values of the site chart"
    )


def _read(path: Path, place: str) -> Count:
    """Raises PodError (EvaluationsUnreadable)."""
    try:
        count = codec.read_document(Count, path.read_bytes())
        for each in count.evaluations:
            parse_time(each.at)
    except FileNotFoundError:
        return Count()
    except (OSError, ValueError) as error:
        message = (
            f"{place} on the claim `state` cannot be read ({type(error).__name__}), so nobody knows how many "
            "evaluations of this Dataset are left. The hospital's administrator restores the file, or removes it on "
            f"the volume, as root: rm {place}. Without the file, the count begins again at zero"
        )
        raise PodError("EvaluationsUnreadable", message) from None
    return count


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one pod at a time reads and writes the count. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The lock is a file of its own, because the count's file is replaced by each write.
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
