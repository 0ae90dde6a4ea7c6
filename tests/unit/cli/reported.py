"""A model after two series at four hospitals, as the API server gives its objects, for tests of the report.

Hospital d never takes part, and c has a fault in its data. The numbers of single hospitals are easy to find in a page.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.cli.required import RESULT, metric
from tests.unit.cli.rounds import START, at
from wardround.cli import verbs
from wardround.cli.report import seen
from wardround.cli.report.seen import ReportInput

Object = dict[str, Any]
UID = "0123abcd"
NAMES = {"site-a": "North Hospital", "site-b": "South Hospital", "site-c": "Clinic West", "site-d": ""}
SAMPLES = {"site-a": 7919, "site-b": 7927, "site-c": 7933}
OWN_LOSS = "0.771731"
LOSSES = (("0.412", "0.36", "0.465"), ("0.331", "0.285", "0.378"), ("0.302", "0.256", "0.349"))
AUCS = (("0.86", "0.82", "0.9"), ("0.91", "0.88", "0.94"), ("0.93", "0.9", "0.96"))
GROUPS = (("0.01", "0.14", "0.06", 210), ("0.14", "0.41", "0.29", 200), ("0.41", "0.97", "0.71", 240))
SPEC: Object = {
    "schemaName": "heart-v1",
    "round": {
        "image": "registry.example/trainer@sha256:" + "a" * 64,
        "datasetName": "heart",
        "participants": {"names": list(NAMES)},
        "quorum": {"min": 2},
    },
    "series": {"rounds": 3, "parameters": {"epochs": "5", "learningRate": "0.01"}},
    "initial": {"seed": 7},
    "release": "Readers",
    "card": {
        "intendedUse": "Triage of chest pain. For adults.",
        "licence": "CC-BY-4.0",
        "contact": "heart@fed.example",
    },
}
SCHEMA: Object = {
    "metadata": {"name": "heart-v1", "namespace": "fed", "uid": "schema"},
    "spec": {
        "target": "disease",
        "fields": [
            {"name": "age", "type": "integer", "unit": "years", "minimum": "18", "maximum": "110", "required": True},
            {"name": "pressure", "type": "number", "unit": "mmHg", "description": "Systolic, at rest"},
            {"name": "sex", "type": "string", "categories": ["f", "m"]},
            {"name": "disease", "type": "integer", "categories": ["0", "1"]},
        ],
    },
}


def name(series: int, place: str) -> str:
    return f"heart-s{series}-{place}-{UID}"


def measured(model: str, index: int) -> list[Object]:
    over = {"people": 650, "hospitals": 2, "model": model}
    (loss, loss_low, loss_high), (auc, auc_low, auc_high) = LOSSES[index], AUCS[index]
    return [
        metric("loss", loss, low=loss_low, high=loss_high, better="Lower", **over),
        metric("auc", auc, low=auc_low, high=auc_high, better="Higher", **over),
    ]


def federated_round(place: str, start: int, task: str, base: str | None, **result: Any) -> Object:
    stages = (("Started", 0), ("Dispatched", 1), ("Collected", 21), ("Aggregated", 24), ("Complete", 25.5))
    spec = {"task": task, "datasetName": "heart", "schemaName": "heart-v1", "participants": {}}
    if task == "Train" and place == "r1":
        spec["initial"] = {"statisticsRoundName": base}
    elif base:
        spec["base"] = {"roundName": base}
    hospitals = [{"name": "site-a", "metrics": [{"name": "loss", "value": OWN_LOSS}]}]
    published = {
        **RESULT,
        "digest": "sha256:" + "d" * 64,
        "samples": 15846,
        "hospitals": hospitals,
        "columnsDigest": "sha256:c",
    }
    return {
        "metadata": {
            **{"name": name(2, place), "namespace": "fed", "uid": name(2, place)},
            "creationTimestamp": (START + timedelta(seconds=start)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "spec": spec,
        "status": {
            "participants": {"selected": 4, "accepted": 3, "sent": 2, "failed": 1, "aggregated": 2},
            "attention": [{"participant": "site-d", "reason": "ParticipantSuspended", "message": "It is suspended."}],
            "timeline": [{"stage": stage, "time": at(start + after)} for stage, after in stages],
            "result": {**published, **result},
        },
    }


def task(place: str, start: int, hospital: str) -> Object:
    stages = ("Accepted", "InputReady", "Started", "Prepared", "Trained", "Checked", "Sealed", "Sent")
    status: Object = {"timeline": [{"stage": each, "time": at(start + 2 + 2 * i)} for i, each in enumerate(stages)]}
    if hospital == "site-c":
        status = {"failure": {"class": "Site", "reason": "ColumnMissing"}, "timeline": status["timeline"][:3]}
    else:
        withheld = hospital == "site-b" and place == "c3"
        status["update"] = {"manifest": "{}", "samples": SAMPLES[hospital], "withheld": withheld}
    reference = {"namespace": "fed", "name": name(2, place), "uid": name(2, place)}
    spec = {"roundRef": reference, "attempt": 1, "assignment": "{}", "hubKey": ""}
    return {
        "metadata": {"name": f"{name(2, place)}-a1", "namespace": hospital, "uid": hospital},
        "spec": spec,
        "status": status,
    }


def entry(place: str, task: str, number: int, **more: Any) -> Object:
    return {"name": name(2, place), "task": task, "number": number, "generation": 2, "outcome": "Complete", **more}


def version(number: int, series: int, round_name: str, index: int, verdict: Object) -> Object:
    spec = {"modelName": "heart", "version": number, "series": series, "roundName": round_name, "roundUID": round_name}
    spec |= {"parents": [], "release": "Readers"}
    shift = Decimal("0.05") * (number - 1)
    groups = [
        {"from": low, "to": high, "observed": str(Decimal(seen) + shift), "people": people}
        for low, high, seen, people in GROUPS
    ]
    status = {"metrics": measured(round_name, index), "verdict": verdict, "calibration": groups}
    metadata = {"name": f"heart-v{number}-{UID}", "namespace": "fed", "uid": f"v{number}"}
    return {"metadata": metadata, "spec": {**spec, "digest": f"sha256:{number}"}, "status": status}


PLACES = (
    ("r0", "Statistics"),
    ("r1", "Train"),
    ("r2", "Train"),
    ("r3", "Train"),
    ("e3", "Evaluate"),
    ("c3", "Evaluate"),
)
FIRST = name(1, "r2")
DIFFERENCE = {
    **{"reference": FIRST, "value": "-0.029", "low": "-0.05", "high": "-0.008", "better": "Lower"},
    **{"people": 650, "events": 190, "hospitals": 2, "rows": "Validation", "model": name(2, "r3")},
}
ACCEPTED = {"outcome": "Accepted", "reason": "FirstVersion", "message": "It is the first version."}
UNDECIDED = {"outcome": "Undecided", "reason": "TooFewSeen", "message": "Too few of the training people were seen."}
PARTICIPANTS = [
    {
        "metadata": {"name": each, "namespace": each, "uid": each},
        "spec": {"displayName": shown},
        "status": {
            "site": {"datasets": [{"name": "heart", "columnsDigest": "sha256:x" if each == "site-c" else "sha256:c"}]}
        },
    }
    for each, shown in NAMES.items()
]


def rounds() -> list[Object]:
    made = []
    for index, (place, kind) in enumerate(PLACES):
        base = None if index == 0 else name(2, PLACES[index - 1][0] if place[0] == "r" else "r3")
        model = name(2, f"r{index - 1}")
        metrics = measured(model, index - 2) if 2 <= index <= 4 else []
        more = {"differences": [dict(DIFFERENCE)], "withheld": 1} if place == "c3" else {}
        made.append(federated_round(place, 40 * index, kind, base, metrics=metrics, **more))
    return made


OWN, OWN_LOSS_OVER_ALL = "north-train", "0.431"


def own_rounds() -> list[Object]:
    """What the North Hospital trained alone, and the round by which all hospitals compared it with version 1."""
    over = {"people": 640, "hospitals": 2, "rows": "Validation", "better": "Lower"}
    difference = {
        "model": OWN,
        "reference": FIRST,
        "value": "0.1",
        "low": "0.04",
        "high": "0.16",
        "referenceLoss": "0.33",
        "events": 190,
        **over,
    }
    metrics = [metric("loss", OWN_LOSS_OVER_ALL, low="0.37", high="0.49", **{**over, "model": OWN})]
    alone = {"participants": {"names": ["site-a"]}}
    specs = {
        "north-statistics": {"task": "Statistics", **alone},
        OWN: {"task": "Train", "initial": {"statisticsRoundName": "north-statistics"}, **alone},
        "own-models": {"task": "Evaluate", "base": {"roundName": OWN}, "references": [FIRST], "participants": {}},
    }
    results = {"own-models": {"metrics": metrics, "differences": [difference]}}
    return [
        {
            "metadata": {"name": name, "namespace": "fed", "uid": name, "creationTimestamp": f"2026-11-24T13:00:0{i}Z"},
            "spec": {"datasetName": "heart", "schemaName": "heart-v1", **spec},
            "status": {
                "timeline": [{"stage": "Dispatched", "time": f"2026-11-24T13:00:0{i}.500000Z"}],
                "result": {**RESULT, "samples": 7919, **results.get(name, {})},
            },
        }
        for i, (name, spec) in enumerate(specs.items())
    ]


def model() -> Object:
    entries = [entry(place, kind, int(place[1])) for place, kind in PLACES]
    for index, (loss, _, _) in enumerate(LOSSES):
        entries[index + 1] |= {"loss": loss, "hospitals": 2}
    entries[-1] |= {"references": [FIRST]}
    series = {"number": 2, "stage": "Ended", "started": at(0), "round": 3, "best": name(2, "r3"), "loss": "0.302"}
    series |= {"trigger": "Requested"}
    return {
        "metadata": {"name": "heart", "namespace": "fed", "uid": "m"},
        "spec": SPEC,
        "status": {
            **{"current": f"heart-v1-{UID}", "candidate": f"heart-v2-{UID}", "served": [f"heart-v1-{UID}"]},
            **{"versions": [f"heart-v1-{UID}", f"heart-v2-{UID}"], "series": {**series, "rounds": entries}},
            "summary": {"loss": "0.331 (0.285 to 0.378)", "auc": "0.91 (0.88 to 0.94)", "trend": "-0.029"},
        },
    }


def objects() -> Object:
    """All objects of a report, as `seen.parse` takes them."""
    versions = [version(2, 2, name(2, "r3"), 2, UNDECIDED), version(1, 1, FIRST, 1, ACCEPTED)]
    tasks = [task(place, 40 * i, hospital) for i, (place, _) in enumerate(PLACES) for hospital in SAMPLES]
    return {
        "model": (model(), versions, rounds()),
        "rounds": [*rounds(), *own_rounds()],
        "tasks": tasks,
        "participants": PARTICIPANTS,
        "schema": SCHEMA,
    }


def parsed(items: Object) -> ReportInput:
    """`items`: without `rounds`, the namespace has only the rounds of the model."""
    namespace_rounds = items.get("rounds", items["model"][2])
    fetched = items["model"], namespace_rounds, items["tasks"], items["participants"], items["schema"]
    return seen.parse(*fetched, START + timedelta(minutes=5))


def serve(monkeypatch: pytest.MonkeyPatch, items: Object) -> None:
    """In place of an API server."""
    monkeypatch.setattr(verbs, "model_with_rounds", lambda *_: items["model"])
    monkeypatch.setattr(verbs, "rounds_of_namespace", lambda *_: items["rounds"])
    monkeypatch.setattr(verbs, "tasks_of", lambda *_: items["tasks"])
    monkeypatch.setattr(verbs, "participants", lambda *_: items["participants"])
    monkeypatch.setattr(verbs, "data_schema", lambda *_: items["schema"])
