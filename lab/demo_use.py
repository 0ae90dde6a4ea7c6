"""The demo's model in use: the clinic predicts a new patient in its own cluster, and a person gets the model's file."""

import csv
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

from lab import demo_data, demo_ending, demo_rounds, install, shell
from lab.demo_data import ASKING, HOSPITALS
from lab.demo_rounds import MODEL, NAMESPACE
from lab.errors import LabError
from lab.install import SITE_NAMESPACE, WRITTEN, kubectl
from lab.topology import named
from wardround.api import conditions, prediction
from wardround.api.modelversion import ModelVersion
from wardround.cli.cluster import Cluster as Api

PREDICTION_SECONDS = 300.0
LOOK_SECONDS = 0.5
ROWS = "new-patient.csv"
PULLED = "model"

Progress = Callable[[str], None]


def forget() -> None:
    """Removes what an earlier demo has left: the model that a person got, and at the hospitals the models of its
    FederatedModel and its prediction."""
    rmtree(WRITTEN / demo_ending.PULLED, ignore_errors=True)
    for hospital in HOSPITALS:
        rmtree(install.models_folder(hospital.name) / MODEL, ignore_errors=True)
    _answer_file().unlink(missing_ok=True)
    kubectl(
        named(ASKING), "delete", "predictions", ROWS.removesuffix(".csv"), "-n", SITE_NAMESPACE, "--ignore-not-found"
    )


def predict(progress: Progress) -> None:
    """The clinic asks the current version about its new patient. Raises LabError if there is no answer."""
    demo_data.write(demo_data.new_patient(demo_data.tables()), install.claim_folder(ASKING, install.ROWS_CLAIM) / ROWS)
    manifest = demo_rounds.prediction(ROWS, install.ROWS_CLAIM, install.ANSWERS_CLAIM)
    manifest["metadata"]["namespace"] = SITE_NAMESPACE
    file = WRITTEN / "prediction.yaml"
    file.write_text(demo_rounds.text([manifest]), encoding="utf-8")
    kubectl(named(ASKING), "apply", "-n", SITE_NAMESPACE, "-f", str(file))
    made = _ended(Api(str(named(ASKING).kubeconfig)), manifest["metadata"]["name"])
    answer = made.status.answer
    assert answer is not None, "a Prediction that is Complete has an answer"
    with _answer_file().open(encoding="utf-8", newline="") as rows:
        [only] = csv.DictReader(rows)
    shown = ", ".join(f"{name} {value}" for name, value in only.items() if value)
    progress(f"{ASKING}: {answer.version} answers about a new patient, in a pod without network: {shown}")


def pull(version: ModelVersion, fingerprint: str, progress: Progress) -> Path:
    """A person gets a version as a folder with its card, by the command that people use. Raises LabError."""
    folder = WRITTEN / PULLED
    rmtree(folder, ignore_errors=True)
    target = ("model", "pull", f"federatedmodel/{MODEL}@{version.spec.version}", "-n", NAMESPACE)
    done = by_person(*target, "-o", folder, "--hub-fingerprint", fingerprint)
    if done.returncode:
        raise LabError(f"kubectl wardround model pull failed:\n{done.stderr.strip()}")
    progress(done.stdout.strip())
    return folder


def by_person(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `kubectl wardround WORDS` as a person who reaches the hub's API server and store."""
    shell.write()
    command = [shell.IN_LAB, shell.FOLDER / "kubectl-wardround", *words, "--kubeconfig", named("hub").kubeconfig]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True)


def _answer_file() -> Path:
    return install.claim_folder(ASKING, install.ANSWERS_CLAIM) / ROWS


def _ended(site: Api, name: str) -> prediction.Prediction:
    until = time.monotonic() + PREDICTION_SECONDS
    while True:
        made = prediction.parse(_needed(site, name))
        if conditions.is_true(made.status.conditions, "Complete"):
            return made
        if (failed := conditions.find(made.status.conditions, "Failed")) or time.monotonic() > until:
            why = f"{failed.reason}: {failed.message}" if failed else "it has not ended"
            raise LabError(f"Prediction {name} at {ASKING} has no answer at {datetime.now(UTC):%H:%M:%S} UTC: {why}")
        time.sleep(LOOK_SECONDS)


def _needed(site: Api, name: str) -> dict[str, Any]:
    item = site.get(prediction.KIND, name, SITE_NAMESPACE)
    if item is None:
        raise LabError(f"Prediction {name} at {ASKING} was deleted before its end.")
    return item
