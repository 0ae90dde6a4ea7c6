"""Today's code and earlier code are a federation if they have a version of assignments in common. Otherwise each side
says which one is too old.

The real reconcilers of both play, each commit in a process of its own: operators, couriers, pods and aggregation.
"""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conditions import condition, is_true
from tests.simulation.apart import Half, play_halves, series_over
from tests.simulation.rounds import OWN, documents, scratch
from tests.unit.card.models import write_folder
from tests.unit.simulation.test_model import model
from wardround.sealing.cards import sign_card
from wardround.wire import canonical
from wardround.wire.versions import KNOWN

ROOT = Path(__file__).parents[3]
# The last commit of the main branch whose code knows no version but 3. Later code does not know this version, because
# its critical fields and its grants are others.
EARLIER, EARLIER_VERSIONS = "c0c11f9d789eb9f4ac765715af131a83b6234864", [3]
# The last commit whose code does not know version 5, which adds the compression.
WITHOUT_COMPRESSION, COMMON = "2fb735080ced48b0d713a47d48dccf58c6bb011a", 4


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the earlier commit."""
    return _files(EARLIER, tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="module")
def without_compression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _files(WITHOUT_COMPRESSION, tmp_path_factory.mktemp("without-compression"))


def _files(commit: str, folder: Path) -> Path:
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"this clone lacks commit {commit[:12]}, whose code this test plays: run `git fetch --unshallow` "
            f"in it, or make a full clone. git says: {done.stderr.decode().strip()}"
        )
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


@pytest.mark.parametrize("older", ["hub", "hospitals"])
def test_rounds_complete_in_the_version_that_both_sides_know(older: Half, without_compression: Path) -> None:
    rounds = copy.deepcopy(documents(OWN)[:3])
    with scratch() as folder:
        played = play_halves(older, without_compression, Path(folder), rounds)
    assert [is_true(each, "Complete") for each in played.rounds] == [True] * 3
    payloads = [json.loads(each["spec"]["assignment"])["payload"] for each in played.tasks]
    assert {json.loads(canonical.decode(each))["version"] for each in payloads} == {COMMON}


def test_sites_that_know_no_compression_are_not_asked_for_a_compressed_round(without_compression: Path) -> None:
    rounds = copy.deepcopy(documents(OWN)[:3])
    rounds[2]["spec"] |= {"aggregation": {"compression": "Int8"}, "deadlines": {"admissionSeconds": 30}}
    with scratch() as folder:
        played = play_halves("hospitals", without_compression, Path(folder), rounds)
    assert [is_true(each, "Complete") for each in played.rounds] == [True, True, False]
    failed = condition(played.rounds[2], "Failed")
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", "SiteTooOld")
    name = rounds[2]["metadata"]["name"]
    assert [each for each in played.tasks if each["metadata"]["labels"]["wardround.io/round"] == name] == []


def test_hospitals_of_the_earlier_version_take_part_in_a_series_that_measures_between_its_rounds(
    without_compression: Path,
) -> None:
    every_round = model(trainings=3)
    every_round["spec"]["evaluation"]["every"] = 1
    with scratch() as folder:
        played = play_halves("hospitals", without_compression, Path(folder), [every_round], over=series_over)
    tasks = [each["spec"]["task"] for each in played.rounds]
    assert tasks == ["Statistics", "Train", "Evaluate", "Train", "Evaluate", "Train", "Evaluate"]
    assert all(is_true(each, "Complete") for each in played.rounds)


READS = """
import sys
from pathlib import Path
from wardround.card import folder
card, key = (Path(each).read_bytes() for each in sys.argv[1:])
print(folder.signed(card.decode(), key).card.version)
"""


def test_code_before_compression_reads_cards_without_one(without_compression: Path, tmp_path: Path) -> None:
    """A hub delivers models to older sites."""
    made = write_folder(tmp_path / "model")
    files = [tmp_path / name for name in ("card", "key")]
    card = sign_card(made.card, made.identity.key).encode()
    for file, content in zip(files, (card, made.identity.public), strict=True):
        file.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READS, *map(str, files)],
        env={**os.environ, "PYTHONPATH": str(without_compression / "operator")},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
