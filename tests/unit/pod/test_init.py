"""What `init` makes leaves the hospital unsealed in size and digest. So it finds nothing that depends on rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.pod import world
from wardround.pod.folders import Folders
from wardround.wire import mounts

FIRST = world.rows(300)


def shown(root: Path, lines: Sequence[str], **changes: Any) -> dict[str, bytes]:
    """The files of `prepare` that `init` finds in an initial round over these rows, by their paths in `init`."""
    folders = world.pod(root, lines)
    world.prepare(folders, world.task(**{"baseDigest": "", **changes}))
    written = {each.sub_path: each.path for each in prepared() if each.volume == "memory"}
    files: dict[str, bytes] = {}
    for mount in mounts.container_mounts("init", "Train", initial=True):
        assert mount.volume in ("memory", "workspace", "initial", "scratch")
        if mount.volume == "memory" and mount.path != mounts.LAUNCHER_FOLDER:
            folder = folders.root / Path(written[mount.sub_path]).relative_to(mounts.ROOT)
            files |= {f"{mount.path}/{each.relative_to(folder)}": each.read_bytes() for each in folder.rglob("*")}
    return files


def prepared() -> list[mounts.Mount]:
    return mounts.container_mounts("prepare", "Train", initial=True)


def test_init_finds_the_same_at_hospitals_with_other_rows(tmp_path: Path) -> None:
    """An author of rounds reads size and digest of the first update. So `init` could write the rows' number there."""
    here = shown(tmp_path / "here", FIRST)
    assert list(here) == [f"{mounts.TASK}/task.json"]
    assert shown(tmp_path / "one-patient-more", [*FIRST, "patient-x,12.5,70,1"]) == here
    assert shown(tmp_path / "others", world.rows(120, seed=2)) == here


def test_training_still_finds_its_rows_number_and_secret_seed(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    initial = json.loads(shown(tmp_path, FIRST)[f"{mounts.TASK}/task.json"])
    trained = json.loads(folders.task_file.read_text())
    assert trained["orderSeed"] > 0
    assert trained["dataset"]["rows"] > 0
    trained["orderSeed"] = trained["dataset"]["rows"] = 0
    assert initial == trained


def test_only_an_initial_round_has_a_task_for_init(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    assert not folders.init_task_file.exists()
    assert all(each.path != mounts.INIT_TASK for each in mounts.container_mounts("prepare", "Train", initial=False))
