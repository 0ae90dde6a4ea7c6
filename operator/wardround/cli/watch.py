"""What a round looks like while it runs: one row a hospital, with its stage, how long it is in it, and its metrics.

Pure: from objects and a time to rows and tables; fetching and refreshing is the caller's.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from rich.table import Table
from rich.text import Text

from wardround.cli.objects import Object, began, condition, created, is_true, metrics, printable, seconds, timeline
from wardround.reasons.registry import reason_for

COMPLETE, FAILED, DELETED, TIMED_OUT = 0, 1, 1, 3
GONE = "deleted"

# What a hospital does after it has reached a stage of the timeline.
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
    "": "is not taken up yet",
    "Started": "writes assignments",
    "Dispatched": "waits for the hospitals",
    "Collected": "aggregates",
    "Aggregated": "signs the result",
    "Complete": "complete",
}


@dataclass(frozen=True)
class Row:
    hospital: str
    stage: str
    duration: str
    metrics: str
    state: str  # waiting, working, done, failed: decides the colour alone


@dataclass(frozen=True)
class View:
    title: str
    rows: tuple[Row, ...]
    footer: str
    exit_code: int | None  # None while it runs


def view(round_: Object, tasks: list[Object], now: datetime) -> View:
    """One round and its RoundTasks (of any attempt: the newest of each hospital is shown)."""
    round_, tasks = printable(round_), printable(tasks)
    newest: dict[str, Object] = {}
    for task in sorted(tasks, key=lambda each: int(each["spec"].get("attempt", 1))):
        newest[task["metadata"]["namespace"]] = task
    metadata, spec, status = round_["metadata"], round_["spec"], round_.get("status") or {}
    begun = began(round_) or created(round_) or now
    stages = timeline(round_)
    ended = is_true(round_, "Complete") or is_true(round_, "Failed")
    until = stages[-1][1] if ended and stages else now
    title = (
        f"{metadata['namespace']}/{metadata['name']} {spec.get('task', '')}, {seconds((until - begun).total_seconds())}"
    )
    rows = tuple(_row(hospital, newest[hospital], now) for hospital in sorted(newest))
    return View(title, rows, _footer(round_, status, stages), _exit_code(round_))


def deleted(before: View) -> View:
    """What is to be said of a round that was there before."""
    return replace(before, footer=GONE, exit_code=DELETED)


def table(shown: View) -> Table:
    """The view as a rich table. Its texts are Text: rich takes what stands in brackets in a str for markup."""
    colours = {"waiting": "yellow", "working": "cyan", "done": "green", "failed": "red"}
    title, caption = Text(shown.title), Text(shown.footer)
    result = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for name in ("hospital", "stage", "for", "metrics"):
        result.add_column(name)
    for row in shown.rows:
        stage = Text(row.stage, style=colours[row.state])
        result.add_row(Text(row.hospital), stage, row.duration, Text(row.metrics))
    return result


def lines(before: View | None, shown: View) -> list[str]:
    """What is new since `before`, as plain lines for logs and pipes."""
    known = {row.hospital: (row.stage, row.metrics) for row in before.rows} if before else {}
    result = [
        f"{row.hospital}: {row.stage}" + (f" ({row.metrics})" if row.metrics else "")
        for row in shown.rows
        if known.get(row.hospital) != (row.stage, row.metrics)
    ]
    if before is None or before.footer != shown.footer:
        result.append(f"round: {shown.footer}")
    return result


def _row(hospital: str, task: Object, now: datetime) -> Row:
    status = task.get("status") or {}
    stage, state = _stage(task, status)
    stages = timeline(task)
    since = stages[-1][1] if stages else created(task) or now
    if state == "done":
        first = created(task) or stages[0][1]
        duration = seconds((since - first).total_seconds()) if stages else ""
    else:
        duration = seconds((now - since).total_seconds())
    update = status.get("update") or {}
    shown = metrics(update)
    if "samples" in update:
        shown = f"samples={update['samples']} {shown}".strip()
    return Row(hospital, stage, duration, shown, state)


def _stage(task: Object, status: Object) -> tuple[str, str]:
    attempt = int(task["spec"].get("attempt", 1))
    suffix = f" (attempt {attempt})" if attempt > 1 else ""
    if is_true(task, "Failed"):
        reason = (status.get("failure") or {}).get("reason") or _reason(task, "Failed")
        if reason == "Cancelled":
            return f"called back{suffix}", "waiting"
        return f"failed: {reason}{suffix}", "failed"
    if is_true(task, "Complete"):
        return f"complete{suffix}", "done"
    accepted = condition(task, "Accepted")
    stalled = condition(task, "Stalled")
    waits = [accepted, stalled if stalled and stalled.status == "True" else None]
    if any(each is not None and each.reason == "WaitingForApproval" for each in waits):
        return f"waits for approval{suffix}", "waiting"
    if accepted is not None and accepted.status == "False":
        return f"refused: {accepted.reason}{suffix}", "failed"
    reached = [stage for stage, _ in timeline(task)]
    if is_true(task, "Sent") or "Sent" in reached:
        return f"sent{suffix}", "done"
    if not reached and not (accepted and accepted.status == "True"):
        return f"not seen by the site yet{suffix}", "waiting"
    doing = _DOING.get(reached[-1] if reached else "Accepted", "works")
    return doing + suffix, "working"


def _reason(item: Object, kind: str) -> str:
    found = condition(item, kind)
    return found.reason if found else "unknown"


def _footer(round_: Object, status: Object, stages: list[tuple[str, datetime]]) -> str:
    failed = condition(round_, "Failed")
    if failed is not None and failed.status == "True":
        return f"failed: {failed.reason}: {failed.message or reason_for(failed.reason).meaning}"
    stalled = condition(round_, "Stalled")
    if stalled is not None and stalled.status == "True":
        return f"stalled: {stalled.reason}: {stalled.message}"
    if is_true(round_, "Complete"):
        result = status.get("result") or {}
        counted = (status.get("participants") or {}).get("aggregated", 0)
        parts = ["complete", f"{counted} aggregated"]
        if "samples" in result:
            parts.append(f"{result['samples']} samples")
        if shown := metrics(result):
            parts.append(shown)
        return ", ".join(parts)
    if round_["spec"].get("suspend"):
        return "suspended"
    doing = _ROUND_DOING.get(stages[-1][0] if stages else "", "runs")
    reconciling = condition(round_, "Reconciling")
    message = reconciling.message if reconciling and reconciling.status == "True" else ""
    return f"{doing}" + (f": {message}" if message else "")


def _exit_code(round_: Object) -> int | None:
    if is_true(round_, "Complete"):
        return COMPLETE
    if is_true(round_, "Failed"):
        return FAILED
    return None
