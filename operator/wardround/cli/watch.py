"""Shows a round while it runs: for each hospital a row with its stage, the stage's duration, and its samples.

Pure: makes rows, tables and lines from objects and a time. The caller fetches the objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from rich.table import Table
from rich.text import Text

from wardround.api import federatedround, roundtask
from wardround.api.conditions import find, find_true, is_true
from wardround.api.federatedround import FederatedRound, FederatedRoundStatus
from wardround.api.roundtask import RoundTask
from wardround.api.task import Update
from wardround.cli.objects import Object, began, created, metrics, read, seconds, stages
from wardround.reasons.registry import reason_for

COMPLETE, FAILED, DELETED, TIMED_OUT = 0, 1, 1, 3
GONE = "deleted"

# By the last stage that a hospital has reached: the text about its present work.
_DOING = {
    "Accepted": "fetches its input",
    "InputReady": "waits for its pod",
    "Started": "prepares data",
    "Prepared": "works",
    "Trained": "checks the output",
    "Checked": "seals the update",
    "Sealed": "sends the update",
    "Sent": "sent",
}
_ROUND_DOING = {
    "": "waits for the hub operator",
    "Started": "writes assignments",
    "Dispatched": "waits for the hospitals",
    "Collected": "aggregates",
    "Aggregated": "signs the result",
    "Complete": "complete",
}


S = TypeVar("S")


@dataclass(frozen=True)
class View(Generic[S]):
    """How a kind of object is shown while it runs. `subject`: what it is called in messages."""

    subject: str
    deleted: Callable[[S], S]
    table: Callable[[S], Table]
    lines: Callable[[S | None, S], list[str]]


@dataclass(frozen=True)
class Row:
    hospital: str
    stage: str
    duration: str
    update: str
    state: str  # waiting, working, done or failed: only for the colour


@dataclass(frozen=True)
class Screen:
    title: str
    rows: tuple[Row, ...]
    footer: str
    exit_code: int | None  # None while the round runs


def view(round_: Object, tasks: list[Object], now: datetime) -> Screen:
    """The view of a round and its RoundTasks. Only each hospital's newest attempt counts. Raises codec.Malformed."""
    shown = read(federatedround.parse, round_)
    attempts = sorted((read(roundtask.parse, each) for each in tasks), key=lambda each: each.spec.attempt)
    newest = {task.metadata.namespace: task for task in attempts}
    metadata, reached = shown.metadata, stages(shown.status.timeline)
    begun = began(shown) or created(metadata) or now
    exit_code = _exit_code(shown)
    until = reached[-1][1] if exit_code is not None and reached else now
    title = f"{metadata.namespace}/{metadata.name} {shown.spec.task}, {seconds((until - begun).total_seconds())}"
    rows = tuple(_row(hospital, newest[hospital], now) for hospital in sorted(newest))
    return Screen(title, rows, _footer(shown, reached), exit_code)


def deleted(before: Screen) -> Screen:
    """The view of a round that was deleted."""
    return replace(before, footer=GONE, exit_code=DELETED)


def table(shown: Screen) -> Table:
    """The view as a rich table. All texts are Text objects, because rich reads brackets in a str as markup."""
    colours = {"waiting": "yellow", "working": "cyan", "done": "green", "failed": "red"}
    title, caption = Text(shown.title), Text(shown.footer)
    result = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for name in ("hospital", "stage", "for", "update"):
        result.add_column(name)
    for row in shown.rows:
        stage = Text(row.stage, style=colours[row.state])
        result.add_row(Text(row.hospital), stage, row.duration, Text(row.update))
    return result


def lines(before: Screen | None, shown: Screen) -> list[str]:
    """The changes since `before`, as plain lines for logs and pipes."""
    known = {row.hospital: (row.stage, row.update) for row in before.rows} if before else {}
    result = [
        f"{row.hospital}: {row.stage}" + (f" ({row.update})" if row.update else "")
        for row in shown.rows
        if known.get(row.hospital) != (row.stage, row.update)
    ]
    if before is None or before.footer != shown.footer:
        result.append(f"round: {shown.footer}")
    return result


def _row(hospital: str, task: RoundTask, now: datetime) -> Row:
    stage, state = _stage(task)
    reached, applied = stages(task.status.timeline), created(task.metadata)
    since = reached[-1][1] if reached else applied or now
    if state == "done":
        duration = seconds((since - (applied or reached[0][1])).total_seconds()) if reached else ""
    else:
        duration = seconds((now - since).total_seconds())
    update = task.status.update
    return Row(hospital, stage, duration, _sent(update) if update else "", state)


def _sent(update: Update) -> str:
    """What is known of an update: no number of a single hospital."""
    return f"samples={update.samples}" + (" withheld" if update.withheld else "")


def _stage(task: RoundTask) -> tuple[str, str]:
    stage, state = _end(task) or _consent(task) or _work(task)
    return (f"{stage} (attempt {task.spec.attempt})" if task.spec.attempt > 1 else stage), state


def _end(task: RoundTask) -> tuple[str, str] | None:
    """Stage and state of a task that is over, else None."""
    if failed := find_true(task.status.conditions, "Failed"):
        reason = task.status.failure.reason if task.status.failure else failed.reason
        return ("called back", "waiting") if reason == "Cancelled" else (f"failed: {reason}", "failed")
    return ("complete", "done") if is_true(task.status.conditions, "Complete") else None


def _consent(task: RoundTask) -> tuple[str, str] | None:
    """Stage and state of a task that waits for people at the hospital or that the site has refused, else None."""
    accepted, stalled = find(task.status.conditions, "Accepted"), find_true(task.status.conditions, "Stalled")
    if any(each and each.reason == "WaitingForApproval" for each in (accepted, stalled)):
        return "waits for approval", "waiting"
    if accepted is not None and accepted.status == "False":
        return f"refused: {accepted.reason}", "failed"
    return None


def _work(task: RoundTask) -> tuple[str, str]:
    """Stage and state of a task that the site works on, or has not seen yet."""
    reached = [stage for stage, _ in stages(task.status.timeline)]
    if is_true(task.status.conditions, "Sent") or "Sent" in reached:
        return "sent", "done"
    if not reached and not is_true(task.status.conditions, "Accepted"):
        return "not seen by the site yet", "waiting"
    return _DOING.get(reached[-1] if reached else "Accepted", "works"), "working"


def _footer(federated_round: FederatedRound, reached: list[tuple[str, datetime]]) -> str:
    status = federated_round.status
    if failed := find_true(status.conditions, "Failed"):
        return f"failed: {failed.reason}: {failed.message or reason_for(failed.reason).meaning}"
    if stalled := find_true(status.conditions, "Stalled"):
        return f"stalled: {stalled.reason}: {stalled.message}"
    if is_true(status.conditions, "Complete"):
        return _completed(status)
    if federated_round.spec.suspend:
        return "suspended"
    doing = _ROUND_DOING.get(reached[-1][0] if reached else "", "runs")
    reconciling = find_true(status.conditions, "Reconciling")
    message = reconciling.message if reconciling else ""
    return f"{doing}" + (f": {message}" if message else "")


def _completed(status: FederatedRoundStatus) -> str:
    parts = ["complete", f"{status.participants.aggregated if status.participants else 0} aggregated"]
    if status.result is not None:
        parts.append(f"{status.result.samples} samples")
        if status.result.withheld:
            parts.append(f"{status.result.withheld} withheld")
        if shown := metrics(status.result):
            parts.append(shown)
    return ", ".join(parts)


def _exit_code(federated_round: FederatedRound) -> int | None:
    if is_true(federated_round.status.conditions, "Complete"):
        return COMPLETE
    if is_true(federated_round.status.conditions, "Failed"):
        return FAILED
    return None


VIEW: View[Screen] = View("round", deleted, table, lines)
