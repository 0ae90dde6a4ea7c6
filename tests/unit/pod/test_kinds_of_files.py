"""Each kind of file that code under the launcher can leave, in the place of each file that another container reads.

No reader waits for a pipe, follows a link or reads a device. A reader that waited would hang this test.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.card.models import DATASET, OWN_CODE, SCHEMA, write_own
from tests.unit.card.test_predict import HEADER, cases, written
from tests.unit.pod import world
from tests.unit.pod.sockets import unix_socket
from wardround.api.site import AllowedParameter
from wardround.card import merge, view
from wardround.card.code import NamedCode
from wardround.card.volumes import Folders as PredictionFolders
from wardround.card.volumes import PredictionRequest
from wardround.pod import output
from wardround.pod.check import check
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.pod.score import score

UID = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"


@dataclass(frozen=True)
class Reader:
    """`path`: of the file that code wrote. `read`: runs the container that reads it. `result`: must not be there."""

    path: Path
    read: Callable[[], Any]
    result: Path


def training(root: Path, name: str, **task: Any) -> Reader:
    folders = world.pod(root)
    world.report(folders, world.task(**task), samples=290)
    world.model(folders.base / output.MODEL)
    world.model(folders.out / output.MODEL)
    world.probabilities(folders.out / output.VALIDATION, np.full(40, 0.5))
    (folders.out / output.METRICS).write_text('{"base": {"dice": 0.5}}')
    return Reader(root / name, partial(check, folders), folders.update / "update.json")


def evaluation(root: Path, name: str) -> Reader:
    folders = world.pod(root)
    references = [{**world.task("Evaluate"), "baseDigest": f"sha256:{'c' * 64}"}]
    keys = ("baseDigest", "imageDigest", "command", "parameters", "stateRound")
    asked = world.task("Evaluate", references=[{key: each[key] for key in keys} for each in references])
    world.prepare(folders, asked)
    rows = folders.labels_file.stat().st_size // 16
    for place in (folders.out, folders.reference_out("reference1")):
        place.mkdir(exist_ok=True)
        world.probabilities(place / output.PREDICTIONS, np.full(rows, 0.5))
    return Reader(root / name, partial(score, folders), folders.update / "update.json")


def prediction(root: Path, name: str) -> Reader:
    for folder in ("models/heart", "raw", "answers", "out"):
        (root / folder).mkdir(parents=True)
    made = write_own(root / "models" / "heart" / "v3")
    (root / "models" / "heart" / "current").write_text("v3\n")
    written(root / "raw" / "new.csv", HEADER, *cases(2))
    places, pod = PredictionFolders.below(root), Folders(root)
    asked = PredictionRequest(
        uid=UID,
        model="heart",
        version="current",
        rows="new.csv",
        answer="answers.csv",
        fingerprint=made.identity.fingerprint,
        dataset=DATASET,
        schema=SCHEMA,
    )
    allowed = tuple(AllowedParameter(name=name) for name in OWN_CODE["parameters"])
    terms = view.CodeTerms(NamedCode(OWN_CODE["image"], tuple(OWN_CODE["command"])), allowed, "site-a")
    view.view(places, pod, asked, terms)
    world.probabilities(root / "out" / output.PREDICTIONS, [0.5, 0.5])
    return Reader(root / name, partial(merge.merge, places, pod, UID, "answers.csv"), root / "answers" / "answers.csv")


READERS: dict[str, Callable[[Path], Reader]] = {
    "the trained model": lambda root: training(root, "out/model.safetensors"),
    "the initial model": lambda root: training(root, "base/model.safetensors", baseDigest=""),
    "validation predictions": lambda root: training(root, "out/validation.f64"),
    "reported metrics": lambda root: training(root, "out/metrics.json", metrics=["dice"]),
    "predictions": lambda root: evaluation(root, "out/predictions.f64"),
    "predictions of a reference": lambda root: evaluation(root, "out-reference1/predictions.f64"),
    "probabilities for new patients": lambda root: prediction(root, "out/predictions.f64"),
}


def second_name(path: Path) -> None:
    (path.parent / "kept").write_bytes(bytes(16))
    os.link(path.parent / "kept", path)


def closed(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


# The first device number needs no capability: overlay file systems use it. The launcher refuses symbolic links, but an
# image may bring one.
KINDS: dict[str, Callable[[Path], Any]] = {
    "a pipe": os.mkfifo,
    "a socket": unix_socket,
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(0, 0)),
    "a symbolic link": lambda path: path.symlink_to("/proc/self/environ"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a hard link": second_name,
    "a folder": closed,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_no_kind_of_file_but_a_plain_one_is_read(tmp_path: Path, reader: str, kind: str) -> None:
    attacked = READERS[reader](tmp_path)
    attacked.path.unlink()
    KINDS[kind](attacked.path)
    with pytest.raises(PodError) as failure:
        attacked.read()
    assert (failure.value.reason, failure.value.category) == ("OutputLink", "Code")
    assert not attacked.result.exists()


@pytest.mark.parametrize("reader", READERS)
def test_a_huge_sparse_file_is_not_read(tmp_path: Path, reader: str) -> None:
    attacked = READERS[reader](tmp_path)
    world.sparse(attacked.path, 1 << 40)
    with pytest.raises(PodError) as failure:
        attacked.read()
    assert failure.value.reason == "OutputTooLarge"
    assert not attacked.result.exists()


@pytest.mark.parametrize("reader", READERS)
def test_what_code_left_alone_is_read(tmp_path: Path, reader: str) -> None:
    """The attacks above begin from this."""
    attacked = READERS[reader](tmp_path)
    attacked.read()
    assert attacked.result.exists()
