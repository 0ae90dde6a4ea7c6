"""Decides what a Dataset's status says: its columns at once, rows once a training pod has read them; sees no row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wardround.api import conditions, dataset_text, schema_text
from wardround.api.conditions import Conditions
from wardround.api.dataset import ClassLeftOut, DatasetStatus, Ignored, LeftOut, Limits, Reading, UnusedField
from wardround.api.times import to_seconds
from wardround.plans.closed_job import WITHOUT_A_POD
from wardround.plans.pod import JOB_NOT_ADMITTED, Step
from wardround.reasons.registry import REASONS
from wardround.tabular import dataschema, ignored_columns
from wardround.tabular import schema as table_schema
from wardround.wire.outcome import LeftOutTotal, Outcome

# What `prepare` can say against the data itself; NetworkOpen and its own faults are not the dataset's.
OF_THE_DATA = frozenset(name for name, each in REASONS.items() if each.concerns in ("File", "Limits"))
# With these, `prepare` has read no row.
OF_THE_SPLIT = frozenset(name for name, each in REASONS.items() if each.concerns == "Split")
# Reasons for which the file was not read. They stand also in a status that has a digest of the schema.
UNREAD = frozenset(name for name, each in REASONS.items() if each.concerns == "Objects")
# With these, no reading stands behind Ready.
NOBODY_HAS_READ = frozenset({"NotReadYet", "ReadingNotAdmitted"})
# The longest lists that the kind takes.
QUALITY_LIMIT, REMARKS_LIMIT = 256, 8


def plan(
    spec: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    status: DatasetStatus,
    prepared: Step | None,
    *,
    generation: int,
    now: datetime,
    limits: Limits | None = None,
) -> DatasetStatus:
    """The status.

    `spec`: as it stands in the object. `schema`: the spec of its DataSchema, None if that is missing. `prepared`: the
    container that has just read the data, if any. `limits`: those of its Job.

    The counts are of the newest reading, on which Ready depends. A reading that failed may have no counts. The budgets
    of evaluations belong to the Dataset's name: they stay when its spec changes, and Ready does not depend on them. The
    first fingerprint of the split's key stays: a person has to decide about another key.
    """
    ready = _Ready(generation, now)
    report = prepared.report if prepared is not None and prepared.report else Outcome()
    unread = _unread(status, report, generation)
    if schema is None:
        reason = REASONS["SchemaNotFound"]
        message = f"{reason.meaning} Its name is {spec['schemaName']}. {reason.advice}"
        return ready.failed(unread, "SchemaNotFound", message)
    try:
        table = table_schema.parse(schema, spec)
    except table_schema.SchemaInvalid as error:
        # Without a digest it is offered to nobody.
        return ready.failed(unread, "SchemaInvalid", str(error))
    draft = _described(unread, table)
    if fault := texts_fault(spec, schema):
        return ready.failed(draft, "SchemaInvalid", fault)
    if prepared is not None and (prepared.succeeded or report.reason in OF_THE_DATA):
        draft = _counted(dataclasses.replace(draft, read_at=to_seconds(prepared.finished or now)), report, limits)
        if report.reason in OF_THE_DATA:
            return ready.failed(draft, report.reason, report.message or "")
        if report.rows is not None:
            return ready.settled(draft, "Read", " ".join([REASONS["Read"].meaning, *_notes(draft)]))
    return _without_reading(draft, status, report, ready)


def _unread(status: DatasetStatus, report: Outcome, generation: int) -> DatasetStatus:
    """The status with all that does not depend on the columns or the rows."""
    return DatasetStatus(
        observed_generation=generation,
        conditions=status.conditions,
        evaluations=report.evaluations or status.evaluations,
        split_fingerprint=status.split_fingerprint or report.split_fingerprint,
        reading=status.reading,
        published=status.published,
    )


@dataclasses.dataclass(frozen=True)
class _Ready:
    """Writes the condition Ready and those that follow from it."""

    generation: int
    now: datetime

    def failed(self, draft: DatasetStatus, reason: str, message: str) -> DatasetStatus:
        ready = self._set(draft, False, reason, message)
        stalled = conditions.stalled(ready, reason, message, now=self.now, generation=self.generation)
        return dataclasses.replace(draft, conditions=stalled)

    def waiting(self, draft: DatasetStatus, reason: str, message: str) -> DatasetStatus:
        """Not stalled: the site operator tries again, and the refusal may pass by itself."""
        ready = self._set(draft, False, reason, message)
        again = conditions.progressing(ready, reason, message, now=self.now, generation=self.generation)
        return dataclasses.replace(draft, conditions=again)

    def settled(self, draft: DatasetStatus, reason: str, message: str) -> DatasetStatus:
        ready = self._set(draft, True, reason, message)
        done = conditions.settled(ready, reason, now=self.now, generation=self.generation)
        return dataclasses.replace(draft, conditions=done)

    def _set(self, draft: DatasetStatus, value: bool, reason: str, message: str) -> Conditions:
        return conditions.set_condition(
            draft.conditions, "Ready", value, reason, message, now=self.now, generation=self.generation
        )


def _described(unread: DatasetStatus, table: table_schema.Schema) -> DatasetStatus:
    """The status with the columns, which follow from Dataset and DataSchema."""
    unused = tuple(UnusedField(name=name, reason=reason) for name, reason in table.unused)
    return dataclasses.replace(
        unread,
        features=len(table.features),
        ignored=Ignored(fields=unused),
        schema_digest=dataschema.digest(table),
        columns_digest=dataschema.columns_digest(table),
    )


def _without_reading(draft: DatasetStatus, status: DatasetStatus, report: Outcome, ready: _Ready) -> DatasetStatus:
    """The status if no reading has just counted rows. That of the reading before stays while the columns are the
    same."""
    known = conditions.find(status.conditions, "Ready")
    same = (
        known is not None
        and known.observed_generation == ready.generation
        and status.schema_digest == draft.schema_digest
    )
    unchanged = same and known is not None and known.reason not in UNREAD
    if unchanged:
        draft = _as_read_before(draft, status)
    if report.reason in OF_THE_SPLIT:
        return ready.failed(draft, report.reason, report.message or "")
    if known is not None and known.reason in OF_THE_SPLIT:
        # No change of the spec brings the key back. Only a reading shows that it is there again.
        return ready.failed(draft, known.reason, known.message)
    if unchanged and known is not None and known.reason not in NOBODY_HAS_READ:
        return draft
    last = draft.reading
    if last is None or (last.generation, last.schema_digest) != (ready.generation, draft.schema_digest):
        return ready.settled(draft, "NotReadYet", REASONS["NotReadYet"].meaning)
    if last.reason == JOB_NOT_ADMITTED:
        return ready.waiting(draft, "ReadingNotAdmitted", _not_admitted(last.message or ""))
    if unchanged and known is not None and known.reason == "ReadingNotAdmitted" and last.reason in WITHOUT_A_POD:
        return draft
    return ready.settled(draft, "NotReadYet", _not_read(last))


def _not_read(last: Reading) -> str:
    """What nobody has looked at yet, and why the newest try to read the file has failed."""
    words = f": {last.message.rstrip('.')}" if last.message else ""
    return f"{REASONS['NotReadYet'].meaning} The newest try to read the file failed ({last.reason}{words})."


def _not_admitted(words: str) -> str:
    """The cause, as the API server or the Site's policy has it, and the advice, which a long cause does not push out
    of the condition's message."""
    reason = REASONS["ReadingNotAdmitted"]
    cause, rest = words.rstrip(".") or reason.meaning.rstrip("."), f". {reason.advice}"
    return cause[: conditions.MESSAGE_LIMIT - len(rest)] + rest


def _as_read_before(draft: DatasetStatus, status: DatasetStatus) -> DatasetStatus:
    """The draft with the counts of the reading that `status` describes."""
    read = status.ignored or Ignored()
    return dataclasses.replace(
        draft,
        read_at=status.read_at,
        rows=status.rows,
        patients=status.patients,
        training_patients=status.training_patients,
        ignored=dataclasses.replace(draft.ignored or Ignored(), column_count=read.column_count, columns=read.columns),
        left_out=status.left_out,
        remarks=status.remarks,
        limits=status.limits,
    )


def texts_fault(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Why a training pod cannot get a Dataset or its DataSchema in its environment; empty if it can."""
    if fault := dataset_text.fault(spec):
        return fault
    fault = schema_text.fault(schema)
    return f"DataSchema {spec['schemaName']}: {fault}" if fault else ""


def _counted(draft: DatasetStatus, report: Outcome, limits: Limits | None) -> DatasetStatus:
    """The status with the counts of a reading, if it has any. People need the counts most if too few rows are left, so
    a failed reading shows them too."""
    if report.rows is None:
        return draft
    rows, left_out = report.rows, report.left_out or LeftOutTotal(0, 0)
    classes = tuple(
        ClassLeftOut(value=each.value, rows=each.left_out, share=_share(each.left_out, each.kept))
        for each in left_out.classes
    )
    fields, columns = draft.ignored.fields if draft.ignored else (), report.ignored_columns
    return dataclasses.replace(
        draft,
        rows=rows,
        patients=report.patients,
        training_patients=report.training_patients,
        ignored=Ignored(
            fields=fields,
            column_count=columns.count if columns else None,
            columns=columns.named[: ignored_columns.MOST_NAMED] if columns else (),
        ),
        left_out=LeftOut(
            rows=left_out.rows,
            patients=left_out.patients,
            share=_share(left_out.rows, rows),
            fields=(report.quality or ())[:QUALITY_LIMIT],
            classes=classes,
        ),
        remarks=(report.remarks or ())[:REMARKS_LIMIT] or None,
        limits=limits,
    )


def _notes(draft: DatasetStatus) -> list[str]:
    """The remarks in words. Without their numbers of patients, because the message of Ready becomes an Event."""
    return [f"Note {each.reason}: {REASONS[each.reason].meaning}" for each in draft.remarks or ()]


def _share(part: int, rest: int) -> str:
    """The share of `part` in part and rest, with three decimals."""
    return f"{part / (part + rest):.3f}" if part else "0"
