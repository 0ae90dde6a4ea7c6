"""What the CRDs require of each kind's spec, for tests that are about its status."""

from __future__ import annotations

from typing import Any

DATASET: dict[str, Any] = {
    "claimName": "data",
    "path": "cases.csv",
    "schemaName": "breast-v1",
    "identifier": {"column": "patient_id", "type": "string"},
    "split": {},
}
TASK: dict[str, Any] = {
    "roundRef": {"namespace": "", "name": "r", "uid": "u"},
    "attempt": 1,
    "assignment": "{}",
    "hubKey": "",
}
RESULT: dict[str, Any] = {"digest": "", "location": "", "bytes": 1}
# What each kind's CRD requires.
REQUIRED: dict[str, dict[str, Any]] = {
    "FederatedRound": {"task": "Train", "datasetName": "", "schemaName": "", "participants": {}},
    "RoundTask": TASK,
    "SiteTask": {**TASK, "roundTaskUID": "u"},
    "Participant": {},
    "Site": {"hub": {"participantNamespace": "site-a", "fingerprint": ""}, "store": {"origin": ""}},
    "Dataset": DATASET,
    "FederatedModel": {
        "schemaName": "",
        "round": {"image": "", "datasetName": "", "participants": {}, "quorum": {"min": 2}},
        "series": {"rounds": 3},
    },
}


def metric(name: str, value: str, **changes: Any) -> dict[str, Any]:
    """A number of a result."""
    known = {"people": 40, "hospitals": 2, "rows": "Validation", "model": "train-5"}
    return {"name": name, "value": value, **known, **changes}
