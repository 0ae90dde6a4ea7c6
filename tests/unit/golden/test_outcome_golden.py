"""Termination messages of training pods as they are written. Intended changes as in test_wire_golden.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wardround.wire import codec, outcome
from wardround.wire.outcome import (
    EvaluationBudget,
    IgnoredColumn,
    IgnoredColumns,
    LeftOutClass,
    LeftOutRows,
    LeftOutTotal,
    LinkLocalHeard,
    Outcome,
    OwnMetric,
    Remark,
)

HERE = Path(__file__).parent / "wire"
DIGEST = "sha256:" + "5" * 64
# Outcomes are objects: read with patience, and what there is none of is left out.
OUTCOMES = {
    "outcome-prepared": Outcome(
        rows=341,
        patients=340,
        training_patients=290,
        samples=290,
        schema_digest=DIGEST,
        quality=(LeftOutRows("mean_radius", "Missing", 1),),
        left_out=LeftOutTotal(31, 30, (LeftOutClass("1", 12, 120),)),
        ignored_columns=IgnoredColumns(2, (IgnoredColumn("notes", "NotInSchema"),)),
        remarks=(Remark("TargetsContradict", 3),),
        evaluations=(EvaluationBudget(rows="Test", used=3, left=17, until="2026-12-24T12:00:00Z"),),
    ),
    "outcome-failed": Outcome(
        reason="ColumnMissing", failure_class="Site", field="texture", message="the data has no column texture"
    ),
    "outcome-measured": Outcome(
        metrics=(
            OwnMetric(name="auc", value="0.91", low="0.84", high="0.97", better="Higher", people=60, rows="Test"),
            OwnMetric(name="people", value="60", people=60, rows="Test"),
        )
    ),
    "outcome-isolation": Outcome(link_local=LinkLocalHeard("Open", ("neighbour over link-local (ICMP)",))),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_termination_message_matches_its_golden_file_and_reads_back(name: str) -> None:
    golden, value = HERE / f"{name}.json", OUTCOMES[name]
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(codec.dump(value), indent=2, sort_keys=True) + "\n")
    written = json.loads(golden.read_text())
    assert json.loads(outcome.write(value)) == written
    assert outcome.read(json.dumps({**written, "more": 1})) == value


@pytest.mark.parametrize(
    "text", ["", "Killed", "null", "[]", '"reason"', '{"rows":"341"}', '{"quality":[{}]}', "[" * 100_000]
)
def test_a_malformed_termination_message_is_none(text: str) -> None:
    assert outcome.read(text) is None
