"""Shows a model while its series runs: for each round a row with its outcome, and the loss of the model that it made.

Pure: makes rows, tables and lines from an object. The caller fetches the object.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from rich.table import Table
from rich.text import Text

from wardround.api import federatedmodel
from wardround.api.conditions import find, is_true
from wardround.api.federatedmodel import FederatedModel, SeriesRound
from wardround.api.times import read_time
from wardround.cli.objects import Object, read, seconds
from wardround.cli.watch import COMPLETE, DELETED, FAILED, GONE, View

COLOURS = {"Running": "cyan", "Complete": "green", "Failed": "red"}
BEST = "lowest"


@dataclass(frozen=True)
class Row:
    """`place`: `Train 3`, or `Train 3, attempt 2`. `loss`: of the model that the round made; empty as long as nobody
    has measured it."""

    round: str
    place: str
    outcome: str
    loss: str
    best: bool


@dataclass(frozen=True)
class Screen:
    title: str
    rows: tuple[Row, ...]
    footer: str
    exit_code: int | None  # None while the series runs


def view(model: Object, now: datetime) -> Screen:
    """The view of a FederatedModel. Raises codec.Malformed."""
    shown = read(federatedmodel.parse, model)
    series = shown.status.series
    rows = tuple(_row(each, series.best) for each in series.rounds) if series else ()
    return Screen(_title(shown, now), rows, _footer(shown), _exit_code(shown))


def deleted(before: Screen) -> Screen:
    """The view of a model that was deleted."""
    return replace(before, footer=GONE, exit_code=DELETED)


def table(shown: Screen) -> Table:
    """The view as a rich table. All texts are Text objects, because rich reads brackets in a str as markup."""
    made = Table(title=Text(shown.title), caption=Text(shown.footer), title_justify="left", caption_justify="left")
    for name in ("round", "task", "outcome", "loss of its model"):
        made.add_column(name, justify="right" if name.startswith("loss") else "left")
    for row in shown.rows:
        outcome = Text(row.outcome, style=COLOURS.get(row.outcome, ""))
        made.add_row(Text(row.round), Text(row.place), outcome, Text(_loss(row)))
    return made


def lines(before: Screen | None, shown: Screen) -> list[str]:
    """The changes since `before`, as plain lines for logs and pipes."""
    known = {row.round: (row.outcome, row.loss) for row in before.rows} if before else {}
    changed = [row for row in shown.rows if known.get(row.round) != (row.outcome, row.loss)]
    result = [f"{row.round}: {row.place} {row.outcome}" + (f", loss {row.loss}" if row.loss else "") for row in changed]
    if before is None or before.footer != shown.footer:
        result.append(f"model: {shown.footer}")
    return result


def _row(each: SeriesRound, best: str | None) -> Row:
    number = f" {each.number}" if each.task == "Train" else ""
    attempt = f", attempt {each.attempt}" if each.attempt > 1 else ""
    task = "Compare" if each.references else each.task
    return Row(each.name, f"{task}{number}{attempt}", each.outcome, each.loss or "", each.name == best)


def _loss(row: Row) -> str:
    return f"{row.loss} {BEST}" if row.best else row.loss


def _title(shown: FederatedModel, now: datetime) -> str:
    name = f"{shown.metadata.namespace}/{shown.metadata.name}"
    series = shown.status.series
    begun = read_time(series.started) if series else None
    if series is None or begun is None:
        return name
    rounds = f"round {series.round} of at most {shown.spec.series.rounds}"
    age = "" if _exit_code(shown) is not None else f", {seconds((now - begun).total_seconds())}"
    return f"{name} series {series.number}, {rounds}{age}"


def _footer(shown: FederatedModel) -> str:
    status = shown.status
    stalled, reconciling = find(status.conditions, "Stalled"), find(status.conditions, "Reconciling")
    if stalled is not None and stalled.status == "True":
        return f"stalled: {stalled.reason}: {stalled.message}"
    if is_true(status.conditions, "Suspended"):
        return "suspended"
    if _exit_code(shown) == COMPLETE:
        said = [f"the series has ended, current version: {status.current or 'none'}"]
        notes = (find(status.conditions, kind) for kind in ("VersionWaits", "Scheduled"))
        return ". ".join((*said, *(each.message.rstrip(".") for each in notes if each and each.status == "True")))
    message = reconciling.message if reconciling and reconciling.status == "True" else ""
    return message or "waits for the hub operator"


def _exit_code(shown: FederatedModel) -> int | None:
    if is_true(shown.status.conditions, "Stalled"):
        return FAILED
    series = shown.status.series
    ended = series is not None and series.stage == "Ended" and (series.version or series.skipped)
    return COMPLETE if ended else None


VIEW: View[Screen] = View("series", deleted, table, lines)
