"""The section on the hospital's data: its rows, those that were left out and why, and the evaluations left. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wardround.api.dataset import Dataset, LeftOut
from wardround.cli.findings import Finding, of_columns, of_conditions, of_evaluations, of_rows
from wardround.cli.hospital_report.seen import ReportInput
from wardround.cli.report.document import Block, Facts, Paragraph, Section, Table


def quality(seen: ReportInput) -> Section:
    """Each Dataset as its newest reading found it."""
    blocks: list[Block] = [block for each in seen.datasets for block in _dataset(each, seen.now)]
    return Section("data", "Data quality", tuple(blocks) or (Paragraph("There is no Dataset."),))


def _dataset(each: Dataset, now: datetime) -> Iterator[Block]:
    status, name = each.status, each.metadata.name
    facts = (
        ("Dataset", name),
        ("read", status.read_at or "never"),
        ("valid rows", _count(status.rows)),
        ("patients with valid rows", _count(status.patients)),
        ("training patients", _count(status.training_patients)),
        ("rows left out", f"{status.left_out.rows}, a share of {status.left_out.share}" if status.left_out else ""),
        ("patients without a valid row", _count(status.left_out.patients if status.left_out else None)),
        ("inputs of the model", _count(status.features)),
    )
    yield Facts(tuple((label, text) for label, text in facts if text))
    if status.left_out is not None and status.left_out.fields:
        yield _left_out(name, status.left_out)
    if status.left_out is not None and status.left_out.classes:
        yield _classes(name, status.left_out)
    if status.evaluations:
        yield Table(
            f"Evaluations on Dataset {name} in the last 30 days, as the newest evaluation counted them",
            ("rows", "used", "left", "more are left after"),
            tuple((one.rows, str(one.used), str(one.left), one.until or "") for one in status.evaluations),
            numbers=("used", "left"),
        )
    problems = [*of_conditions(each), *_remarks(each), *of_columns(each), *of_evaluations(each, now)]
    rows = tuple((one.where, one.reason, one.advice.meaning, one.message, one.advice.action) for one in problems)
    caption = f"Remarks on Dataset {name}" if rows else f"There is no remark on Dataset {name}"
    yield Table(caption, ("where", "reason", "meaning", "details", "what to do"), rows)


def _left_out(name: str, left_out: LeftOut) -> Table:
    rows = tuple((one.field, one.reason, str(one.rows)) for one in left_out.fields)
    caption = f"Rows of Dataset {name} that were left out, by field. A row with two faults counts twice"
    return Table(caption, ("field", "reason", "rows"), rows, numbers=("rows",))


def _classes(name: str, left_out: LeftOut) -> Table:
    rows = tuple((one.value, str(one.rows), one.share) for one in left_out.classes)
    columns = ("value of the target", "rows left out", "share of this class")
    return Table(f"Rows of Dataset {name} that were left out, by class", columns, rows, numbers=columns[1:])


def _remarks(each: Dataset) -> list[Finding]:
    """Without the rows left out, which have a table."""
    fields = len(each.status.left_out.fields) if each.status.left_out else 0
    return of_rows(each)[fields:]


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
