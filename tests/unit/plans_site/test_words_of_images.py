"""Researchers' code can write any termination message. No word of it changes what the site does, writes or tells."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.plans_site.test_own_verdicts import COMPARISON
from tests.worlds.site import JOB, a_pod, a_site, a_task, ended, ready, running, seen, signed
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import Plan, TellHub
from wardround.reasons.registry import POD
from wardround.wire import outcome
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
    Predicted,
    Remark,
)

PATIENT = "patient-17"
# All that a container of ours may say, with something of a patient in each field that takes a text.
FORGED = Outcome(
    reason="DataUnreadable",
    failure_class="Site",
    message=PATIENT,
    field=PATIENT,
    rows=17,
    patients=17,
    training_patients=17,
    samples=17,
    schema_digest=PATIENT,
    quality=(LeftOutRows(PATIENT, PATIENT, 17),),
    left_out=LeftOutTotal(17, 17, (LeftOutClass(PATIENT, 17, 17),)),
    ignored_columns=IgnoredColumns(17, (IgnoredColumn(PATIENT, PATIENT),)),
    remarks=(Remark(PATIENT, 17),),
    split_fingerprint=PATIENT,
    evaluations=(EvaluationBudget(rows="Test", used=17, left=17, until="2026-11-24T12:00:00Z"),),
    link_local=LinkLocalHeard("Open", (PATIENT,)),
    parameter=PATIENT,
    metrics=(OwnMetric(name=PATIENT, value="17", people=17, rows="Test"),),
    verdicts=("Better", "Worse"),
    prediction=Predicted(version="v1", digest=PATIENT, answered=17, outside=17, notes=(PATIENT,)),
)
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("init", {}),
    ("train", {}),
    ("train", COMPARISON),
    ("reference1", COMPARISON),
    ("reference2", COMPARISON),
]


def planned(container: str, asked: dict[str, Any], code: int, words: str) -> Plan:
    pod = a_pod(ended("prepare", 0), running("isolation"), ended(container, code, words))
    task = a_task(status=ready(), envelope=signed(**asked))
    return plan(seen(task, job=JOB, pod=pod, site=a_site(tellVerdicts=True, tellOwnMetrics=True)))


def test_the_forged_words_have_every_field() -> None:
    assert [each.name for each in dataclasses.fields(Outcome) if getattr(FORGED, each.name) is None] == []


@pytest.mark.parametrize(("container", "asked"), PLACES, ids=lambda each: each if isinstance(each, str) else "")
@pytest.mark.parametrize("code", [0, 1, 64, 65, 75, 126, 137])
def test_no_word_of_researchers_code_leaves_its_container(container: str, asked: dict[str, Any], code: int) -> None:
    silent = planned(container, asked, code, "")
    for reason in (*POD, "NetworkOpen"):
        words = outcome.write(dataclasses.replace(FORGED, reason=reason)).decode()
        assert planned(container, asked, code, words) == silent


def test_code_that_refuses_a_parameter_of_the_round_tells_its_name_and_nothing_else() -> None:
    words = outcome.write(dataclasses.replace(FORGED, parameter="epochs")).decode()
    silent, telling = planned("train", {}, 64, ""), planned("train", {}, 64, words)
    assert telling.status.failure is not None
    assert telling.status.failure.parameter == "epochs"
    failure = dataclasses.replace(telling.status.failure, parameter=None)
    assert dataclasses.replace(telling.status, failure=failure) == silent.status
    assert PATIENT not in str([each for each in telling.actions if isinstance(each, TellHub)])
