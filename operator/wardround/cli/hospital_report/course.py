"""Sections on the hospital's tasks: which rounds it took part in and why not, what left the hospital, times. Pure."""

from __future__ import annotations

from collections import Counter

from wardround.cli.approvals import verdict_in_words
from wardround.cli.findings import of_task
from wardround.cli.hospital_report.seen import KnownTask, ReportInput
from wardround.cli.report.course import stage_seconds
from wardround.cli.report.document import Block, Facts, Paragraph, Section, Table

YES, NO = "yes", "no"


def participation(seen: ReportInput) -> Section:
    """What became of each task, and why the hospital was not part of a round."""
    blocks: list[Block] = [_counts(seen), _not_done(seen), _every(seen)]
    if seen.unread:
        blocks.append(
            Paragraph(
                "The report leaves out these SiteTasks, because this program cannot read their assignments: "
                f"{', '.join(seen.unread)}. To see why: kubectl wardround explain sitetask/NAME -n {seen.namespace}."
            )
        )
    return Section("tasks", "Rounds that this hospital took part in, or did not", tuple(blocks))


def _state(each: KnownTask) -> str:
    return "complete" if each.complete else "failed" if each.failed else "open"


def _counts(seen: ReportInput) -> Table:
    columns = ("complete", "failed", "open")
    rows = []
    for group in seen.groups:
        for kind in dict.fromkeys(each.asks.task for each in group.tasks):
            states = Counter(_state(each) for each in group.tasks if each.asks.task == kind)
            rows.append((group.title, kind, *(str(states[state]) for state in columns)))
    caption = "Tasks that this site still holds" if rows else "This site holds no task"
    return Table(caption, ("of", "task", *columns), tuple(rows), numbers=columns)


def _not_done(seen: ReportInput) -> Table:
    rows = tuple(
        (each.place, each.name, finding.reason, finding.advice.meaning, finding.message, finding.advice.owner)
        for each in seen.tasks
        if not each.complete
        for finding in of_task(each.name, each.task, participant=seen.hospital)
    )
    caption = "Tasks that failed or wait, and why" if rows else "No task failed, and none waits"
    return Table(caption, ("round", "SiteTask", "reason", "meaning", "message", "who acts"), rows)


def _every(seen: ReportInput) -> Table:
    columns = ("round", "SiteTask", "received", "state", "decided by", "samples", "sums withheld")
    return Table("All tasks", columns, tuple(map(_row, seen.tasks)), numbers=("samples",))


def _row(each: KnownTask) -> tuple[str, ...]:
    decision = each.task.status.decision
    decided = f"{decision.by}: {verdict_in_words(each.task, decision)}" if decision else ""
    return (each.place, each.name, each.at, _state(each), decided, *_sent(each))


def _sent(each: KnownTask) -> tuple[str, str]:
    courier = each.task.status.courier
    update = courier.update if courier else None
    return (str(update.samples), YES if update.withheld else NO) if update else ("", "")


def left(seen: ReportInput) -> Section:
    """What the hub may read of this hospital. The Site's policy decides it."""
    if seen.site is None:
        return Section(
            "policy",
            "What the hub may read",
            (Paragraph("The report does not show the policy, because your account may not read the Site."),),
        )
    policy = seen.site.spec.policy
    facts = (
        ("results may show this hospital's own numbers (tellOwnMetrics)", YES if policy.tell_own_metrics else NO),
        ("the hub may read this hospital's verdicts (tellVerdicts)", YES if policy.tell_verdicts else NO),
        ("the hub may read the rounded number of patients (tellNewPatients)", YES if policy.tell_new_patients else NO),
        ("cards of models may name this hospital (nameOnCards)", YES if policy.name_on_cards else NO),
        ("fewest people behind a number that leaves the hospital (minCell)", str(policy.min_cell)),
        ("evaluations in 30 days (maxEvaluations)", str(policy.max_evaluations)),
    )
    note = (
        "The table shows what the hospital's policy lets out now. Whatever the policy says, the hub also reads the "
        "exact number of samples of each update. docs/security.md lists all that leaves a hospital."
    )
    return Section("policy", "What the hub may read", (Paragraph(note), Facts(facts)))


def times(seen: ReportInput) -> Section:
    """Where the seconds of this hospital's tasks went."""
    caption = "Seconds of each stage, over {} tasks of this hospital that sent an update"
    table = stage_seconds([each.task.status.timeline for each in seen.tasks], caption)
    nothing = Paragraph("No task of this hospital has sent an update yet.")
    return Section("time", "Time by stage", (table or nothing,))
