"""The code of today and the code of an earlier version are no federation, and each side says which one is too old.

The real reconcilers of both play, each commit in a process of its own: operators, couriers, pods and aggregation.
"""

from __future__ import annotations

import copy
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conditions import condition
from tests.simulation.apart import Half, play_halves
from tests.simulation.rounds import OWN, documents, scratch
from wardround.wire.versions import KNOWN

ROOT = Path(__file__).parents[3]
# The last commit of the main branch whose code knows the versions 1 and 2 of assignments. Later code does not know
# them, because the update that answers them has another manifest.
EARLIER, EARLIER_VERSIONS = "7864c4bdfd89a9c6e8cbbd44ab7b4f5f4ae000ed", [1, 2]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the earlier commit."""
    done = subprocess.run(["git", "archive", EARLIER], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"this clone lacks commit {EARLIER[:12]}, whose code this test plays: run `git fetch --unshallow` "
            f"in it, or make a full clone. git says: {done.stderr.decode().strip()}"
        )
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize(
    ("older", "reason", "owner"),
    [
        ("hub", "HubTooOld", "The hub's administrator: Upgrade the hub"),
        ("hospitals", "SiteTooOld", "The hospital's administrator: Upgrade the charts"),
    ],
)
def test_a_hub_and_hospitals_without_a_common_version_say_so_and_nobody_trains(
    older: Half, reason: str, owner: str, earlier: Path
) -> None:
    statistics = copy.deepcopy(documents(OWN)[0])
    statistics["spec"]["deadlines"] = {"admissionSeconds": 30}
    if older == "hub":
        # Its kind of a round does not have the field.
        del statistics["spec"]["schemaName"]
    with scratch() as folder:
        played = play_halves(older, earlier, Path(folder), [statistics], trusted=False)
    [round_] = played.rounds
    failed = condition(round_, "Failed")
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", reason)
    assert owner in failed.message
    assert played.tasks == []
    known = list(KNOWN) if older == "hub" else EARLIER_VERSIONS
    for participant in played.participants:
        assert participant["status"]["site"]["assignmentVersions"] == known
        ready = condition(participant, "Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("False", reason)
        assert owner in ready.message
