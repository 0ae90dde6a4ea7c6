"""The table of mounts in docs/contracts.md is made from the one that builds the Job.

After an intended change: `UPDATE_GOLDEN=1 pytest tests/unit/golden`.
"""

from __future__ import annotations

import os
import re

import pytest

from lab.topology import ROOT
from wardround.wire.mounts import (
    ALL,
    CONTAINERS,
    LAUNCHER_FOLDER,
    REFERENCES,
    TABLE,
    Container,
    Mount,
    Reference,
    container_mounts,
)

PAGE = ROOT / "docs" / "contracts.md"
NAMES = {
    "{task_uid}": "<SiteTask UID>",
    "{round_uid}": "<round UID>",
    "{state_round}": "<stateRound>",
    "{state_round_reference1}": "<stateRound of reference1>",
    "{state_round_reference2}": "<stateRound of reference2>",
}
HEAD = f"| mount | volume | {' | '.join(CONTAINERS)} |\n|---|---|{'---|' * len(CONTAINERS)}\n"


def table() -> str:
    paths = list(dict.fromkeys(each.path for each in TABLE))
    places = dict.fromkeys((each.path, each.volume, each.sub_path) for each in TABLE)
    return "".join(row(*place) for place in sorted(places, key=lambda place: paths.index(place[0])))


def row(path: str, volume: str, sub_path: str) -> str:
    here = [each for each in TABLE if (each.path, each.volume, each.sub_path) == (path, volume, sub_path)]
    cells = [" ".join(cell(each) for each in here if each.container == container) for container in CONTAINERS]
    where = f"`{volume}`" + (f" subPath `{named(sub_path)}`" if sub_path else "")
    return f"| `{named(path)}` | {where} | {' | '.join(cells)} |\n".replace("|  ", "| ")


def cell(mount: Mount) -> str:
    when = [] if mount.tasks == ALL else [", ".join(mount.tasks)]
    if mount.initial is not None and mount.container != "init":
        when.append("initial rounds" if mount.initial else "not in initial rounds")
    return mount.mode + (f" ({', '.join(when)})" if when else "")


def named(path: str) -> str:
    for name, text in NAMES.items():
        path = path.replace(name, text)
    return path


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text()
    [rows] = re.findall(rf"{re.escape(HEAD)}((?:\|.*\n)+)", page)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page.replace(HEAD + rows, HEAD + table()))
        rows = table()
    assert rows == table()


def test_no_container_has_two_mounts_at_one_place() -> None:
    for task in ALL:
        for initial in (False, True):
            for container in CONTAINERS:
                mounts = container_mounts(container, task, initial=initial, references=len(REFERENCES))
                paths = [each.path for each in mounts]
                assert len(paths) == len(set(paths))


def test_no_two_containers_write_in_one_folder() -> None:
    """Researchers' code cannot change files of `prepare`. `check` cannot change files of researchers' code."""
    writers: dict[tuple[str, str], set[Container]] = {}
    for each in TABLE:
        if each.mode == "rw" and each.volume != "scratch":
            writers.setdefault((each.volume, each.sub_path), set()).add(each.container)
    assert all(len(paths) == 1 for paths in writers.values())


@pytest.mark.parametrize("reference", REFERENCES)
def test_no_model_of_an_evaluation_sees_what_another_ones_code_has_written(reference: Reference) -> None:
    """All that the code of a model may write lies where the code of no other model reads or writes. /dev/shm belongs to
    the pod, so a reference has a mount of its own there."""

    def folders(container: Container, modes: tuple[str, ...]) -> set[tuple[str, str]]:
        lines = container_mounts(container, "Evaluate", initial=False, references=len(REFERENCES))
        return {(each.volume, each.sub_path) for each in lines if each.mode in modes}

    written = folders(reference, ("rw",))
    assert {volume for volume, _ in written} == {reference}
    models: tuple[Container, ...] = ("train", *REFERENCES)
    for other in models:
        if other == reference:
            continue
        assert all(volume != reference for volume, _ in folders(other, ("ro", "rw")))
        assert folders(reference, ("ro", "rw")).isdisjoint(folders(other, ("rw",)))
    paths = {each.path: each for each in TABLE if each.container == reference}
    assert paths["/dev/shm"].volume == reference


@pytest.mark.parametrize("container", ["init", "train", *REFERENCES, "check"])
def test_the_launcher_lies_deeper_than_all_other_mounts(container: Container) -> None:
    """Runtimes mount by depth. A link of the image can lead another mount onto `/`: it must come before."""
    depths = {each.path: each.path.count("/") for each in TABLE if each.container == container}
    launcher = depths.pop(LAUNCHER_FOLDER)
    assert launcher > max(depths.values())
