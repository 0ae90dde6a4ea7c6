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
from wardround.pod.outcome import Failure
from wardround.wire import canonical, codec, digests
from wardround.wire.layouts import Rows
from wardround.wire.outcome import EvaluationBudget
from wardround.wire.training import RequestedTask

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
    """One counted evaluation. `work`: digest of model and rows. `pods`: how many pods it has let see the rows."""

    at: str
    rows: Rows
    work: str
    pods: int


@dataclass(frozen=True)
class Count:
    """The document of one Dataset, oldest evaluation first."""

    evaluations: tuple[Evaluation, ...] = ()


def work_digest(request: RequestedTask, view: str, labels: str) -> str:
    """Digest of what an evaluation asks: the model and all that decides its predictions, and the rows.

    `view`: digest of the features. `labels`: digest of labels and patients, because corrected labels give other
    numbers too.
    """
    work: Mapping[str, object] = {
        "baseDigest": request.base_digest,
        "imageDigest": request.image_digest,
        "command": list(request.command),
        "parameters": dict(request.parameters),
        "stateRound": request.state_round,
        "view": view,
        "labels": labels,
    }
    return digests.digest(canonical.dumps(work))


def counted(count: Count, rows: Rows, work: str, limit: int, now: datetime) -> Count | None:
    """The count with one more pod that evaluates `work` on `rows`. None if the hospital allows no more evaluations."""
    valid = _valid(count, rows, now)
    for each in valid:
        if each.work == work and each.pods < MOST_PODS:
            more = replace(each, pods=each.pods + 1)
            return Count(tuple(more if other is each else other for other in count.evaluations))
    if len(valid) >= limit:
        return None
    kept = _kept(count, limit, now)
    # Never before an older entry: after a clock is corrected, what it counted while it was behind still counts.
    at = max([to_seconds(now), *(each.at for each in kept)], key=parse_time)
    return Count((*kept, Evaluation(at=at, rows=rows, work=work, pods=1)))


def _kept(count: Count, limit: int, now: datetime) -> tuple[Evaluation, ...]:
    """The entries of the last 90 days, and for each side of the split the newest, twice as many as the limit."""
    newest = {id(each) for rows in get_args(Rows) for each in _of(count, rows)[-2 * limit :]}
    return tuple(each for each in count.evaluations if id(each) in newest or parse_time(each.at) > now - KEPT)


def _of(count: Count, rows: Rows) -> list[Evaluation]:
    return [each for each in count.evaluations if each.rows == rows]


def budgets(count: Count, limit: int, now: datetime) -> tuple[EvaluationBudget, ...]:
    """What is used and left of each side of the split."""
    return tuple(_budget(count, rows, limit, now) for rows in get_args(Rows))


def hold(
    folder: Path, dataset: str, rows: Rows, work: str, limit: int, now: datetime
) -> tuple[tuple[EvaluationBudget, ...], str]:
    """Counts one more pod. Returns the budgets, and the fault in words if no more evaluations are allowed.

    `folder`: that of secrets. Raises Failure (EvaluationsUnreadable, PodFailed).
    """
    path = folder / FOLDER / f"{dataset}.json"
    place = f"{folder.name}/{FOLDER}/{path.name}"
    try:
        with _locked(path.parent):
            before = _read(path, place)
            after = counted(before, rows, work, limit, now)
            if after is not None:
                durable.write(path, codec.write_document(after), 0o600)
    except OSError as error:
        message = f"the state volume's {place} cannot be written: {type(error).__name__}"
        raise Failure("PodFailed", message) from None
    told = budgets(after or before, limit, now)
    return told, "" if after else _used_up(dataset, next(each for each in told if each.rows == rows), limit)


def _valid(count: Count, rows: Rows, now: datetime) -> Sequence[Evaluation]:
    """The evaluations that count now, also those at a time that this clock has not reached."""
    return [each for each in _of(count, rows) if parse_time(each.at) > now - WINDOW]


def _budget(count: Count, rows: Rows, limit: int, now: datetime) -> EvaluationBudget:
    valid = _valid(count, rows, now)
    # The evaluation whose end lets one more evaluation begin. None has an end if none are allowed.
    ending = valid[max(0, len(valid) - limit) :][:1]
    until = to_seconds(parse_time(ending[0].at) + WINDOW) if ending else None
    return EvaluationBudget(rows=rows, used=len(valid), left=max(0, limit - len(valid)), until=until)


def _used_up(dataset: str, budget: EvaluationBudget, limit: int) -> str:
    if limit == 0:
        return (
            "policy.maxEvaluations of the Site is 0, so no model is evaluated here: to allow evaluations, raise it in "
            "the values of the site chart"
        )
    return (
        f"Dataset {dataset} allows {limit} evaluations on {budget.rows} rows in {WINDOW.days} days, and "
        f"{budget.used} are used. Another model can be evaluated after {budget.until}. To allow more evaluations, "
        "raise policy.maxEvaluations in the values of the site chart"
    )


def _read(path: Path, place: str) -> Count:
    """Raises Failure (EvaluationsUnreadable)."""
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
        raise Failure("EvaluationsUnreadable", message) from None
    return count


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Of several pods, one at a time reads and writes. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The lock is a file of its own, because the count's file is replaced by each write.
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
