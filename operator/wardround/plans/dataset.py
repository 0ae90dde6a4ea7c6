"""Decides what a Dataset's status says: its schema at once, its rows once a training pod has read them; sees no row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wardround.api import conditions, dataset_text
from wardround.api.conditions import Conditions
from wardround.api.dataset import DatasetStatus
from wardround.plans.sitetask.pod import Step
from wardround.reasons.registry import REASONS
from wardround.tabular import schema as table_schema
from wardround.wire.outcome import Outcome

# What `prepare` can say against the data itself; NetworkOpen and its own faults are not the dataset's.
OF_THE_DATA = ("ColumnMissing", "DataUnreadable", "TooFewSamples")
QUALITY_LIMIT = 256


def plan(
    spec: Mapping[str, Any], status: DatasetStatus, prepared: Step | None, *, generation: int, now: datetime
) -> DatasetStatus:
    """The status. `spec` as it stands in the object, `prepared` the container that has just read the data, if any.

    Its counts are those of the reading that Ready tells of: there are none where that came to none.
    """
    schema: Mapping[str, Any] = spec["schema"]

    def ready(draft: DatasetStatus, value: bool, reason: str, message: str = "") -> Conditions:
        return conditions.set_condition(
            draft.conditions, "Ready", value, reason, message, now=now, generation=generation
        )

    def failed(draft: DatasetStatus, reason: str, message: str) -> DatasetStatus:
        stalled = conditions.stalled(
            ready(draft, False, reason, message), reason, message, now=now, generation=generation
        )
        return dataclasses.replace(draft, conditions=stalled)

    def settled(draft: DatasetStatus, reason: str, message: str) -> DatasetStatus:
        done = conditions.settled(ready(draft, True, reason, message), reason, now=now, generation=generation)
        return dataclasses.replace(draft, conditions=done)

    unread = dataclasses.replace(
        status,
        observed_generation=generation,
        schema_digest=None,
        columns_digest=None,
        rows=None,
        patients=None,
        quality=None,
    )
    try:
        table = table_schema.parse(schema)
    except table_schema.SchemaInvalid as error:
        # Without a digest it is offered to nobody.
        return failed(unread, "SchemaInvalid", f"spec.schema: {error}")
    draft = dataclasses.replace(
        unread, schema_digest=table_schema.digest(table), columns_digest=table_schema.columns_digest(table)
    )
    if fault := dataset_text.fault(spec):
        return failed(draft, "SchemaInvalid", fault)
    report = prepared.report if prepared is not None and prepared.report else Outcome()
    whole = prepared is not None and prepared.succeeded
    refused = report.reason in OF_THE_DATA
    counted = report.rows is not None and (refused or whole)
    if counted:
        # Also where too few rows are left: that is when people look for why.
        quality = (report.quality or ())[:QUALITY_LIMIT]
        draft = dataclasses.replace(draft, rows=report.rows, patients=report.patients, quality=quality)
    if report.reason is not None and refused:
        return failed(draft, report.reason, report.message or "")
    if counted:
        return settled(draft, "Read", REASONS["Read"].meaning)
    known = conditions.find(status.conditions, "Ready")
    if known is not None and known.observed_generation == generation and known.reason != "SchemaInvalid":
        return dataclasses.replace(draft, rows=status.rows, patients=status.patients, quality=status.quality)
    return settled(draft, "NotReadYet", REASONS["NotReadYet"].meaning)
