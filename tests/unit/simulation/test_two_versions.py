"""The code of version 1 and the code of today are one federation, hub and hospitals either way.

The real reconcilers of both play, each commit in a process of its own: operators, couriers, pods and aggregation.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conditions import is_true
from tests.simulation.apart import Half, play_halves
from tests.simulation.rounds import OWN, documents, scratch
from wardround.wire.versions import LATEST

ROOT = Path(__file__).parents[3]
# The last commit of the main branch whose code knows no version of assignments but 1.
VERSION_1 = "d60716532588133757f70cc8eecb1fcebc0e6032"


@pytest.fixture(scope="module")
def version_1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files."""
    done = subprocess.run(["git", "archive", VERSION_1], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"this clone lacks commit {VERSION_1[:12]}, whose code this test plays: run `git fetch --unshallow` "
            f"in it, or make a full clone. git says: {done.stderr.decode().strip()}"
        )
    folder = tmp_path_factory.mktemp("version-1")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def assignment(task: dict[str, Any]) -> dict[str, Any]:
    """What the hub has signed."""
    payload: dict[str, Any] = json.loads(base64.b64decode(json.loads(task["spec"]["assignment"])["payload"]))
    return payload


@pytest.mark.parametrize("older", ["hub", "hospitals"])
def test_a_hub_and_hospitals_of_two_versions_complete_rounds_in_the_older_version(older: Half, version_1: Path) -> None:
    statistics, training, *_ = documents(OWN)
    if older == "hub":
        # A hub of version 1 reads the seed of a round in another place.
        training["spec"]["initial"]["seed"] = training["spec"].pop("seed")
    with scratch() as folder:
        played = play_halves(older, version_1, Path(folder), [statistics, training])
    for each in played.rounds:
        assert is_true(each, "Complete"), each["status"]["conditions"]
        assert each["status"]["participants"]["aggregated"] == 3
    assignments = [assignment(task) for task in played.tasks]
    assert [(each["version"], each["critical"], "columnsDigest" in each) for each in assignments] == 6 * [
        (1, [], False)
    ]
    known = [1] if older == "hospitals" else list(range(1, LATEST + 1))
    assert [each["status"]["site"]["assignmentVersions"] for each in played.participants] == 3 * [known]
