"""Shows a model while its series runs: for each round a row with its outcome, and the numbers of its model.

Pure: makes rows, tables and lines from objects. The caller fetches the objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rich.table import Table
from rich.text import Text

from wardround.api.conditions import find_true, is_over, is_true
from wardround.api.federatedmodel import FederatedModelSpec, SeriesRound, SeriesStatus
from wardround.api.federatedround import FederatedRound, ResultMetric
from wardround.api.times import read_time
from wardround.cli.model_objects import ModelObjects, interval, task_and_number
from wardround.cli.objects import began, seconds, stages
from wardround.cli.watch import COMPLETE, DELETED, FAILED, GONE, View
from wardround.plans.model.suspension import once_resumed
from wardround.plans.schedules import evaluations_before

COLOURS = {"Running": "cyan", "Complete": "green", "Failed": "red"}
BEST = "lowest"
# How the hub's message about the next series begins.
NOBODY_ACTS = once_resumed("", suspended=False).removesuffix(".")


@dataclass(frozen=True)
class Row:
    """`place`: `Train 3`, or `Train 3, attempt 2`. `outcome`: with the reason of a failure. `loss`, `auc`: of the model
    that the round made, on validation rows, with 95 % intervals; empty as long as nobody has measured it. `over`: over
    how many people and hospitals."""

    round: str
    place: str
    outcome: str
    duration: str
    hospitals: str
    loss: str
    auc: str
    over: str
    best: bool


@dataclass(frozen=True)
class Screen:
    title: str
    rows: tuple[Row, ...]
    footer: str
    exit_code: int | None  # None while the series runs


def view(seen: ModelObjects, now: datetime) -> Screen:
    """The view of a FederatedModel and its rounds."""
    measured = seen.measured()
    rows = tuple(_row(each, seen, measured.get(each.name, {}), now) for each in seen.series_rounds)
    return Screen(_title(seen, now), rows, _footer(seen), _exit_code(seen))


def deleted(before: Screen) -> Screen:
    """The view of a model that was deleted."""
    return replace(before, footer=GONE, exit_code=DELETED)


def table(shown: Screen) -> Table:
    """The view as a rich table. All texts are Text objects, because rich reads brackets in a str as markup."""
    made = Table(title=Text(shown.title), caption=Text(shown.footer), title_justify="left", caption_justify="left")
    for name in ("round", "task", "outcome", "for", "hospitals", "loss of its model", "AUC of its model", "over"):
        made.add_column(name, no_wrap=name == "round")
    for row in shown.rows:
        outcome = Text(row.outcome, style=COLOURS.get(row.outcome.partition(":")[0], ""))
        numbers = (_loss(row), row.auc, row.over)
        made.add_row(Text(row.round), Text(row.place), outcome, row.duration, row.hospitals, *map(Text, numbers))
    return made


def lines(before: Screen | None, shown: Screen) -> list[str]:
    """The changes since `before`, as plain lines for logs and pipes."""
    known = {row.round: (row.outcome, row.loss) for row in before.rows} if before else {}
    changed = [row for row in shown.rows if known.get(row.round) != (row.outcome, row.loss)]
    result = [f"{row.round}: {row.place} {row.outcome}" + (f", loss {row.loss}" if row.loss else "") for row in changed]
    if before is None or before.footer != shown.footer:
        result.append(f"model: {shown.footer}")
    return result


def _row(each: SeriesRound, seen: ModelObjects, metrics: Mapping[str, ResultMetric], now: datetime) -> Row:
    live, series = seen.round(each.name), seen.model.status.series
    loss, auc = metrics.get("loss"), metrics.get("auc")
    return Row(
        round=each.name,
        place=task_and_number(each),
        outcome=_outcome(each, live),
        duration=seconds(spent) if live and (spent := _spent(live, now)) is not None else "",
        hospitals=_hospitals(live) if live else "",
        # A round that was deleted has left its loss in the status.
        loss=interval(loss) if loss else each.loss or "",
        auc=interval(auc) if auc else "",
        over=f"{loss.people} people, {loss.hospitals} hospitals" if loss else "",
        best=series is not None and each.name == series.best,
    )


def _outcome(each: SeriesRound, live: FederatedRound | None) -> str:
    """`Complete`, or `Failed: QuorumNotMet`."""
    failed = find_true(live.status.conditions, "Failed") if live else None
    return f"{each.outcome}: {failed.reason}" if failed and each.outcome == "Failed" else each.outcome


def _spent(live: FederatedRound, now: datetime) -> float | None:
    """Seconds from the beginning of a round to its end, or until now. None if it has not begun."""
    begun, reached = began(live), stages(live.status.timeline)
    if begun is None:
        return None
    return ((reached[-1][1] if is_over(live.status.conditions) else now) - begun).total_seconds()


def _hospitals(live: FederatedRound) -> str:
    """How many hospitals have sent an update, or how many updates are combined."""
    counts = live.status.participants
    if counts is None:
        return ""
    if live.status.result is not None:
        return f"{counts.aggregated} of {counts.selected} combined"
    return f"{counts.sent} of {counts.selected} sent"


def _left(seen: ModelObjects, now: datetime) -> float | None:
    """How many seconds the series takes at most, if its further rounds take as long as its Train rounds took on
    average. It may end earlier. None as long as no Train round is Complete, and while the model is suspended."""
    series = seen.model.status.series
    done = [seen.round(each.name) for each in seen.series_rounds if each.task == "Train" and each.outcome == "Complete"]
    times = [spent for each in done if each is not None and (spent := _spent(each, now)) is not None]
    if series is None or not times or is_true(seen.model.status.conditions, "Suspended"):
        return None
    mean = sum(times) / len(times)
    last = seen.round(seen.series_rounds[-1].name)
    current = max(mean - (_spent(last, now) or 0.0), 0.0) if last else mean
    return current + _further(seen.model.spec, series, compares=bool(seen.model.status.served)) * mean


def _further(spec: FederatedModelSpec, series: SeriesStatus, *, compares: bool) -> int:
    """How many rounds follow the one under way, if the series does not stop early. `compares`: there is a version with
    which the gate compares."""
    if series.stage not in ("Training", "Evaluating"):
        return 0
    further = 1 if compares else 0
    if series.stage == "Training":
        every, evaluates = spec.evaluation.every, series.rounds[-1].task == "Evaluate"
        between = evaluations_before(every, spec.series.rounds)
        begun = evaluations_before(every, series.round + evaluates)
        # The last one measures the last model.
        further += spec.series.rounds - series.round + max(between - begun, 0) + 1
    return further


def _loss(row: Row) -> str:
    return f"{row.loss} {BEST}" if row.best else row.loss


def _title(seen: ModelObjects, now: datetime) -> str:
    shown, series = seen.model, seen.model.status.series
    begun = read_time(series.started) if series else None
    if series is None or begun is None:
        return seen.name
    began = f"{seen.name} series {series.number} (trigger: {series.trigger})"
    title = f"{began}, round {series.round} of at most {shown.spec.series.rounds}"
    if _exit_code(seen) is not None:
        return title
    age, left = seconds((now - begun).total_seconds()), _left(seen, now)
    remaining = f", up to about {seconds(left)} left" if left is not None else ""
    return f"{title}, {age}{remaining}"


def _footer(seen: ModelObjects) -> str:
    status = seen.model.status
    if stalled := find_true(status.conditions, "Stalled"):
        return f"stalled: {stalled.reason}: {stalled.message}"
    if is_true(status.conditions, "Suspended"):
        return "suspended"
    if _exit_code(seen) == COMPLETE:
        ending = [f"the series has ended. Current version: {status.current or 'none'}"]
        known = (find_true(status.conditions, kind) for kind in ("Ready", "VersionWaits", "Scheduled"))
        notes = [each.message.rstrip(".") for each in known if each and each.message]
        if find_true(status.conditions, "VersionWaits"):
            notes = [_without_nobody(each) for each in notes]
        return ". ".join((*ending, *notes))
    reconciling = find_true(status.conditions, "Reconciling")
    return (reconciling.message if reconciling else "") or "waits for the hub operator"


def _without_nobody(note: str) -> str:
    """Beside a note that says what a person has to do, "Nobody has to act" about the next series is wrong."""
    event = note.removeprefix(NOBODY_ACTS)
    return note if event == note else event[:1].upper() + event[1:]


def _exit_code(seen: ModelObjects) -> int | None:
    """A round that waits for people may go on. So the series has not ended then. A round that has just failed may get
    another attempt: the status of the model says whether it does."""
    series = seen.model.status.series
    if is_true(seen.model.status.conditions, "Stalled"):
        last = series.rounds[-1] if series else None
        return None if last and last.outcome == "Running" and seen.round(last.name) else FAILED
    ended = series is not None and series.stage == "Ended" and (series.version or series.skipped)
    return COMPLETE if ended else None


VIEW: View[Screen] = View("series", deleted, table, lines)
