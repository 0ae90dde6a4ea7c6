"""Sections on the course of the series: hospitals that took part, those that were left out, times, data quality. Pure.

They hold no number of a single hospital's rows or people.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from wardround.api.conditions import find_true
from wardround.api.federatedround import FederatedRound
from wardround.api.participant import OfferedDataset, Participant
from wardround.api.roundtask import RoundTask
from wardround.api.timeline import Timeline
from wardround.cli.objects import stages
from wardround.cli.report.document import Bar, BarChart, Block, Paragraph, Section, Table
from wardround.cli.report.seen import ReportInput
from wardround.reasons.registry import reason_for

WITHHELD = "Withheld"
NO_TASKS = (
    "This report names only the hospitals that rounds name in status.attention, because your account may not read "
    "the hospitals' RoundTasks."
)
NO_PARTICIPANTS = (
    "This report does not say which Datasets the hospitals offer, because your account may not read their Participants."
)
# A stage of the hub: the entry of the timeline that ends it, and its name.
HUB_STAGES = (
    ("Dispatched", "hub writes assignments"),
    ("Collected", "hospitals work"),
    ("Aggregated", "hub aggregates"),
    ("Complete", "hub signs the result"),
)
HOSPITAL_STAGES = (
    ("Accepted", "site accepts the task"),
    ("InputReady", "courier fetches the input"),
    ("Started", "pod starts"),
    ("Prepared", "data is prepared"),
    ("Trained", "training or evaluation"),
    ("Checked", "output is checked"),
    ("Sealed", "update is sealed"),
    ("Sent", "update is sent"),
)
MOST_BARS = 30


def participation(seen: ReportInput) -> Section:
    """How many hospitals each round had, what each hospital did, and why hospitals were left out."""
    blocks: list[Block] = [_round_counts(seen)]
    if seen.tasks is None:
        blocks.append(Paragraph(NO_TASKS))
    else:
        blocks.append(_hospitals(seen))
    blocks.append(_left_out(seen))
    return Section("hospitals", "Hospitals that took part or were left out", tuple(blocks))


def _round_counts(seen: ReportInput) -> Table:
    rows = []
    for each in seen.model.ran():
        counts, result = each.status.participants, each.status.result
        numbers = (counts.selected, counts.accepted, counts.sent, counts.failed, counts.aggregated) if counts else ()
        withheld = str(result.withheld) if result else ""
        rows.append((seen.model.place(each), _outcome(each), *(map(str, numbers) if numbers else [""] * 5), withheld))
    columns = ("round", "outcome", "asked", "accepted", "sent", "failed", "combined", "withheld")
    caption = (
        "Number of hospitals in each round of a series that still exists. Withheld: the hospital is not in the "
        "numbers, because too few of its people are in a class"
    )
    return Table(caption, columns, tuple(rows), numbers=columns[2:])


def _outcome(federated_round: FederatedRound) -> str:
    """`Complete`, `Failed: QuorumNotMet`, or `Running`."""
    known = federated_round.status.conditions
    if failed := find_true(known, "Failed"):
        return f"Failed: {failed.reason}"
    return "Complete" if federated_round.status.result is not None else "Running"


def _hospitals(seen: ReportInput) -> Table:
    asked: dict[str, int] = defaultdict(int)
    sent: dict[str, int] = defaultdict(int)
    known = {each.metadata.name for each in seen.model.ran()}
    for (hospital, round_name), task in seen.newest_tasks().items():
        if round_name in known:
            asked[hospital] += 1
            sent[hospital] += task.status.update is not None
    rows = tuple((seen.hospital(name), str(asked[name]), str(sent[name])) for name in sorted(asked))
    columns = ("hospital", "rounds asked", "updates sent")
    return Table("Rounds at each hospital", columns, rows, numbers=columns[1:])


def _left_out(seen: ReportInput) -> Table:
    """Each hospital and reason once, with the number of rounds."""
    rows = []
    for (hospital, reason), places in sorted(_reasons(seen).items()):
        named = f"{places[0]} and {len(places) - 1} more" if len(places) > 1 else places[0]
        if reason == WITHHELD:
            meaning = (
                "The hospital withheld its numbers: it sent no sums, because too few of its people are in one class."
            )
            owner = "nobody"
        else:
            about = reason_for(reason).about(hospital, seen.model.model.metadata.namespace)
            meaning, owner = about.meaning, about.owner
        rows.append((seen.hospital(hospital), named, reason, meaning, owner))
    columns = ("hospital", "round", "reason", "meaning", "who acts")
    caption = (
        "Hospitals that were left out of a round or of its numbers, or need attention"
        if rows
        else "No hospital was left out"
    )
    return Table(caption, columns, tuple(rows))


def _reasons(seen: ReportInput) -> dict[tuple[str, str], list[str]]:
    """Places of rounds by hospital and reason."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    newest = seen.newest_tasks()
    for each in seen.model.ran():
        place = seen.model.place(each)
        entries = {(one.participant, one.reason) for one in each.status.attention}
        for (hospital, round_name), task in newest.items():
            if round_name == each.metadata.name:
                entries |= {(hospital, reason) for reason in _task_reasons(task)}
        for entry in sorted(entries):
            places[entry].append(place)
    return places


def _task_reasons(task: RoundTask) -> list[str]:
    status = task.status
    failed = [status.failure.reason] if status.failure else []
    return [*failed, *([WITHHELD] if status.update and status.update.withheld else [])]


def times(seen: ReportInput) -> Section:
    """Where the seconds of each round went."""
    finished = [(each, spent) for each in seen.model.ran() if (spent := _hub_seconds(each)) is not None]
    if not finished:
        return Section(
            "time",
            "Time by stage",
            (Paragraph("There are no times yet, because no round of a series is Complete."),),
        )
    names = tuple(name for _, name in HUB_STAGES)
    rows = tuple((seen.model.place(each), *(f"{one:.1f}" for one in (*spent, sum(spent)))) for each, spent in finished)
    table = Table("Seconds of each round by stage", ("round", *names, "all"), rows, numbers=(*names, "all"))
    shown = finished[-MOST_BARS:]
    bars = tuple(Bar(seen.model.place(each), spent) for each, spent in shown)
    total = sum(sum(spent) for _, spent in finished)
    caption = f"All these rounds together took {total:.1f} seconds."
    if len(shown) < len(finished):
        caption += f" The chart shows the last {MOST_BARS} of {len(finished)} rounds."
    chart = BarChart("Seconds of each round by stage", caption, names, bars, table)
    inside = _inside_hospitals(seen)
    return Section("time", "Time by stage", (chart, *([inside] if inside else [])))


def _hub_seconds(federated_round: FederatedRound) -> tuple[float, ...] | None:
    """Seconds of each of HUB_STAGES; None if the round is not Complete."""
    reached = dict(stages(federated_round.status.timeline))
    if "Started" not in reached or "Complete" not in reached:
        return None
    return _between(reached["Started"], [reached.get(stage) for stage, _ in HUB_STAGES])


def _between(start: datetime, ends: Sequence[datetime | None]) -> tuple[float, ...]:
    """Seconds until each end. A stage that is not in the timeline took none."""
    made, before = [], start
    for end in ends:
        # Never below zero: a site's clock may differ.
        made.append(max((end - before).total_seconds(), 0.0) if end else 0.0)
        before = max(end, before) if end else before
    return tuple(made)


def _inside_hospitals(seen: ReportInput) -> Table | None:
    known = {each.metadata.name for each in seen.model.ran()}
    tasks = [task.status.timeline for (_, name), task in seen.newest_tasks().items() if name in known]
    return stage_seconds(tasks, "Seconds of each stage inside hospitals, over {} tasks that sent an update")


def stage_seconds(timelines: Sequence[Timeline], caption: str) -> Table | None:
    """How long each stage took in tasks that sent an update; None without such a task. `caption`: with a place for
    their number."""
    tasks = [dict(stages(each)) for each in timelines]
    sent = [each for each in tasks if "Accepted" in each and "Sent" in each]
    if not sent:
        return None
    spent = [_between(each["Accepted"], [each.get(stage) for stage, _ in HOSPITAL_STAGES[1:]]) for each in sent]
    rows = tuple(
        (name, f"{median(values):.1f}", f"{max(values):.1f}")
        for (_, name), values in zip(HOSPITAL_STAGES[1:], zip(*spent, strict=True), strict=True)
    )
    return Table(caption.format(len(sent)), ("stage", "median", "longest"), rows, numbers=("median", "longest"))


def data_quality(seen: ReportInput) -> Section:
    """What the hub knows of the hospitals' data: whether their columns are equal, and which data stopped a task."""
    template = seen.model.model.spec.round
    blocks: list[Block] = [
        Paragraph(
            "This is all that the hub knows of the hospitals' data: it knows no row. Only the hospital itself can "
            "see which of its rows Wardround leaves out, and why: kubectl wardround explain "
            f"dataset/{template.dataset_name}."
        )
    ]
    if seen.participants is None:
        blocks.append(Paragraph(NO_PARTICIPANTS))
    else:
        blocks.append(_offers(seen))
    problems = [
        (seen.hospital(hospital), str(len(places)), reason, reason_for(reason).about(hospital).meaning)
        for (hospital, reason), places in sorted(_reasons(seen).items())
        if reason_for(reason).concerns is not None
    ]
    caption = "Tasks that a hospital's data stopped" if problems else "No task was stopped by a hospital's data"
    blocks.append(Table(caption, ("hospital", "rounds", "reason", "meaning"), tuple(problems), numbers=("rounds",)))
    return Section("data", "Data quality", tuple(blocks))


def _offers(seen: ReportInput) -> Table:
    dataset = seen.model.model.spec.round.dataset_name
    used, asked = _newest_columns(seen), {hospital for hospital, _ in seen.newest_tasks()}
    rows = []
    for each in sorted(seen.participants or (), key=lambda each: each.metadata.name):
        offered = _offered(each, dataset)
        if offered is not None or each.metadata.name in asked:
            offers = "no" if offered is None else "yes"
            rows.append((seen.hospital(each.metadata.name), offers, _equality(offered, used)))
    columns = ("hospital", f"offers {dataset}", "columns equal those of the last result")
    return Table("The Dataset at each hospital, now", columns, tuple(rows))


def _newest_columns(seen: ReportInput) -> str | None:
    """The digest of the columns of the last result that names one."""
    results = [each.status.result for each in seen.model.ran()]
    return next((each.columns_digest for each in reversed(results) if each and each.columns_digest), None)


def _offered(hospital: Participant, dataset: str) -> OfferedDataset | None:
    site = hospital.status.site
    return next((each for each in (site.datasets if site else None) or () if each.name == dataset), None)


def _equality(offered: OfferedDataset | None, used: str | None) -> str:
    """Empty if it is not known."""
    if offered is None or used is None:
        return ""
    return "yes" if offered.columns_digest == used else "no"
