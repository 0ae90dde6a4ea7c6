"""`results -o mlflow` writes the versions of a model into a real MLflow database, each once.

MLflow is an extra, so the test installs it into a folder of its own, by the pins of requirements/mlflow.txt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.test_results_model import TRAINED

ROOT = Path(__file__).parents[3]
PASSWORD = "word-of-ann"
WRONG = f"http://ann:{PASSWORD}@127.0.0.1:9/mlflow?token={PASSWORD}"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What MLflow's client reads after the runs were written twice, and twice with another number."""
    folder = tmp_path_factory.mktemp("mlflow")
    install = ("pip", "install", "-q", "--no-deps", "--require-hashes", "--python", sys.executable)
    pins = ("--target", str(folder / "packages"), "-r", str(ROOT / "requirements/mlflow.txt"))
    subprocess.run([sys.executable, "-m", "uv", *install, *pins], check=True, timeout=900)
    path = os.pathsep.join((str(ROOT / "operator"), str(ROOT), str(folder / "packages")))
    # Nothing else, because MLflow's client reports nothing in a test or in CI, which it sees by the environment.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "tests.integration.cli.written_runs", f"sqlite:///{folder / 'runs.db'}", WRONG]
    ran = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def test_each_version_is_one_run_with_its_numbers_people_and_code(read: dict[str, Any]) -> None:
    by_name = {each["name"]: each for each in read["before"]}
    assert sorted(by_name) == ["heart-v1-0123abcd", "heart-v2-0123abcd"]
    second = by_name["heart-v2-0123abcd"]
    numbers = {"": 0.31, ".low": 0.28, ".high": 0.34, ".people": 412.0, ".hospitals": 3.0}
    assert {f"validation.loss{end}": value for end, value in numbers.items()}.items() <= second["metrics"].items()
    assert second["course"] == {"1": 0.31}
    assert second["status"] == "FINISHED"
    assert {"version": "2", "series": "2", "round": TRAINED, "digest": "sha256:2"}.items() <= second["params"].items()
    assert json.loads(second["params"]["command"]) == ["python", "-m", "wardround_trainer"]
    assert second["tags"]["wardround.role"] == "candidate"
    assert second["tags"]["wardround.verdict"] == "Accepted"
    assert by_name["heart-v1-0123abcd"]["tags"]["wardround.role"] == "current"


def test_the_command_again_writes_nothing_twice(read: dict[str, Any]) -> None:
    first, same, other, other_again = read["counted"]
    assert first["made"] == 2
    assert first["points"] > 0
    assert (same, other_again) == ({"made": 0, "points": 0}, {"made": 0, "points": 0})
    assert other == {"made": 0, "points": 1}
    by_name = {each["name"]: each for each in read["after"]}
    assert len(by_name) == len(read["after"]) == 2
    assert by_name["heart-v2-0123abcd"]["losses"] == [0.31, 0.3]
    assert by_name["heart-v2-0123abcd"]["metrics"]["validation.loss"] == 0.3


def test_a_server_that_does_not_answer_is_named_without_its_secrets(read: dict[str, Any]) -> None:
    assert "MLflow at http://127.0.0.1:9 did not take the runs of the experiment fed/heart" in read["refusal"]
    assert PASSWORD not in read["refusal"]


def test_mlflow_reports_its_use_to_nobody(read: dict[str, Any]) -> None:
    assert read["telemetry"] is False
