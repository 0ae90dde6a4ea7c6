"""What a hospital's API server holds after two series of a model, for tests of the hospital's own report."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.worlds.site import ASSIGNMENT, HUB, IMAGE, a_reference
from wardround.cli.hospital_report import seen
from wardround.cli.hospital_report.seen import ReportInput
from wardround.wire.assignment import AssignedDelivery, AssignedModel, Quorum, Resources

Object = dict[str, Any]
NAMESPACE = "hospital-a"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = START + timedelta(days=1)
LOSSES = {1: ("0.662", "0.641", "0.683"), 2: ("0.417", "0.352", "0.482"), 3: ("0.318", "0.247", "0.389")}
STAGES = ("Accepted", "InputReady", "Started", "Prepared", "Trained", "Checked", "Sealed", "Sent")


def model(series: int, number: int) -> AssignedModel:
    return AssignedModel(
        name="heart",
        uid="model-uid",
        series=series,
        round=number,
        rounds=3,
        tasks=("Statistics", "Train", "Evaluate Validation"),
        image=IMAGE,
        command=("python", "-m", "wardround_trainer"),
        parameters={"epochs": "5"},
        schedules=(),
        frozen=("input.*",),
        metrics=("loss", "auc"),
        quorum=Quorum(2, (), 60, "Fail"),
        evaluation_quorum=Quorum(2, (), 60, "Fail"),
        resources=Resources(1, 0, local_sockets=False),
    )


def metric(name: str, value: str, low: str, high: str, rows: str = "Validation", better: str = "Lower") -> Object:
    return {"name": name, "value": value, "low": low, "high": high, "better": better, "people": 61, "rows": rows}


def condition(kind: str, reason: str, message: str = "") -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-24T12:00:00Z",
    }


def task(name: str, minutes: int, status: Object, **asks: Any) -> Object:
    at = START + timedelta(minutes=minutes)
    issued = at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assignment = dataclasses.replace(ASSIGNMENT, round_name=name, round_uid=f"uid-{name}", issued=issued, **asks)
    timeline = [
        {"stage": stage, "time": (at + timedelta(seconds=2 * each)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")}
        for each, stage in enumerate(STAGES)
    ]
    return {
        "kind": "SiteTask",
        "metadata": {
            "name": f"{name}-a1",
            "namespace": NAMESPACE,
            "uid": f"task-{name}",
            "generation": 1,
            "creationTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "spec": {
            "roundRef": {"namespace": "breast-cancer", "name": name, "uid": f"uid-{name}"},
            "roundTaskUID": "round-task-uid",
            "attempt": 1,
            "assignment": HUB.sign(assignment),
            "hubKey": HUB.key,
        },
        "status": {"timeline": timeline if "failure" not in status else timeline[:3], **status},
    }


def done(*metrics: Object, withheld: bool = False, **more: Any) -> Object:
    update = {"manifest": "{}", "samples": 7919, "withheld": withheld}
    return {
        "conditions": [condition("Complete", "Complete")],
        "metrics": list(metrics),
        "courier": {"input": "Ready", "update": update},
        **more,
    }


def tasks() -> list[Object]:
    trained = [
        task(
            f"heart-s1-r{number}",
            10 * number,
            done(metric("loss", *LOSSES[number]), metric("auc", f"0.{80 + number}", "0.71", "0.97", better="Higher")),
            model=model(1, number),
        )
        for number in LOSSES
    ]
    compared = task(
        "heart-s2-c1",
        60,
        done(
            metric("loss", "0.311", "0.241", "0.381"),
            metric("lossDifference1", "-0.031", "-0.052", "-0.011"),
            metric("lossDifference2", "0.004", "-0.012", "0.021"),
            verdicts=[
                {"reference": "heart-1", "outcome": "Better"},
                {"reference": "heart-2", "outcome": "Undecided"},
            ],
            decision={"verdict": "Approve", "by": "alice", "at": "2026-11-24T13:00:00Z"},
        ),
        model=model(2, 3),
        task="Evaluate",
        initial=False,
        references=(a_reference(1), a_reference(2)),
    )
    failure = {
        "failure": {"class": "Site", "reason": "ColumnMissing", "message": "The file has no column mean_radius."},
        "conditions": [condition("Failed", "ColumnMissing", "The file has no column mean_radius.")],
    }
    delivery = AssignedDelivery(model_name="heart", model_uid="model-uid", version=2, keep=3, card="{}")
    return [
        task("heart-s2-r1", 50, failure, model=model(2, 1)),
        *trained,
        compared,
        task(
            "heart-d1",
            70,
            {"conditions": [condition("Complete", "Complete")]},
            task="Deliver",
            initial=False,
            delivery=delivery,
        ),
        task("by-hand", 80, done(metric("loss", "0.555", "0.5", "0.61"), withheld=False)),
    ]


def dataset(name: str = "breast") -> Object:
    return {
        "kind": "Dataset",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "schemaName": "breast-v1",
            "claimName": "data",
            "path": "breast.csv",
            "identifier": {"column": "id", "type": "string"},
            "split": {},
        },
        "status": {
            "readAt": "2026-11-24T11:00:00Z",
            "features": 2,
            "rows": 301,
            "patients": 287,
            "trainingPatients": 171,
            "leftOut": {
                "rows": 7,
                "patients": 3,
                "share": "0.0227",
                "fields": [
                    {"field": "radius", "reason": "Missing", "rows": 5},
                    {"field": "area", "reason": "AboveMaximum", "rows": 2},
                ],
                "classes": [{"value": "1", "rows": 4, "share": "0.04"}],
            },
            "remarks": [{"reason": "RowsRepeated", "patients": 13}],
            "evaluations": [{"rows": "Validation", "used": 17, "left": 3, "until": "2026-12-20T00:00:00Z"}],
        },
    }


def site() -> Object:
    return {
        "kind": "Site",
        "metadata": {"name": "site", "namespace": NAMESPACE, "uid": "uid-site", "generation": 1},
        "spec": {
            "hub": {"participantNamespace": "site-a", "fingerprint": HUB.identity.fingerprint},
            "store": {"origin": "https://store.example:443"},
            "policy": {"tellVerdicts": True},
        },
    }


def objects() -> Object:
    return {"site": site(), "tasks": tasks(), "datasets": [dataset(), dataset("other")]}


def parsed(known_objects: Object) -> ReportInput:
    return seen.parse(NAMESPACE, known_objects["site"], known_objects["tasks"], known_objects["datasets"], NOW)
