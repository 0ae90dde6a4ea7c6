"""Training Jobs in which one mount differs from the table of mounts, for each line of the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from tests.integration.api.attack import MOUNTS, TASK_UID, Attack, Object
from tests.integration.api.jobs import Change, container
from tests.unit.golden import test_training_golden as golden
from tests.unit.golden.test_training_golden import TRAIN
from wardround.wire.mounts import (
    CONTAINERS,
    LAUNCHER_FOLDER,
    REFERENCES,
    TABLE,
    TASK,
    Mount,
    Places,
    Volume,
    container_mounts,
)
from wardround.wire.training import TaskKind

# Each golden Job with the kind of its task, whether its round is an initial round, and its number of references.
CASES: dict[str, tuple[TaskKind, bool, int]] = {
    "train": ("Train", False, 0),
    "train-initial": ("Train", True, 0),
    "evaluate": ("Evaluate", False, 0),
    "statistics": ("Statistics", False, 0),
    "evaluate-one-reference": ("Evaluate", False, 1),
    "evaluate-two-references": ("Evaluate", False, 2),
}
PLACES = Places(TASK_UID, TRAIN.round_uid, TRAIN.state_round, tuple(each.state_round for each in golden.REFERENCES))


def as_written(mount: Mount) -> Object:
    item: Object = {"name": mount.volume, "mountPath": PLACES.fill(mount.path)}
    item |= {"subPath": PLACES.fill(mount.sub_path)} if mount.sub_path else {}
    return item | ({"readOnly": True} if mount.mode == "ro" else {})


def changes(mount: Mount) -> Iterator[tuple[str, Object]]:
    """Changes of a mount: a description, and the mount after the change."""
    written = as_written(mount)
    if mount.mode == "ro":
        yield "can be written", {key: value for key, value in written.items() if key != "readOnly"}
    if mount.sub_path:
        yield "is the whole volume", {key: value for key, value in written.items() if key != "subPath"}
    another = "out" if mount.volume == "scratch" else "scratch"
    yield f"is {another}", {**written, "name": another}
    if mount.container == "init" and mount.path == TASK:
        yield "has the number of rows", {**written, "subPath": "task"}
    if mount.container in REFERENCES:
        yield "is the evaluated model's output", {**as_written(mount), "name": "out"}


def instead(mount: Mount, other: Object | None) -> Change:
    """Replaces a mount by `other`, or removes the mount if `other` is None."""

    def change(job: Object) -> None:
        mounts = container(mount.container)(job)["volumeMounts"]
        place = next(i for i, each in enumerate(mounts) if each["mountPath"] == PLACES.fill(mount.path))
        mounts[place : place + 1] = [] if other is None else [other]

    return change


def more(name: str, mount: Mount) -> Change:
    def change(job: Object) -> None:
        container(name)(job).setdefault("volumeMounts", []).append(as_written(mount))

    return change


def changed() -> Iterator[Attack]:
    """Attacks on the mount of each line, in the first golden Job with this mount."""
    for mount in TABLE:
        case = next(
            name
            for name, (task, initial, references) in CASES.items()
            if mount.is_in(task, initial=initial, references=references)
        )
        where = f"{mount.container} {mount.path} of {mount.volume}"
        for description, other in changes(mount):
            yield Attack(f"{where} {description}", MOUNTS, instead(mount, other), case)


def added() -> Iterator[Attack]:
    """Attacks that add each mount of other containers to a container, if its path is free."""
    for name in CONTAINERS:
        case = "train-initial" if name == "init" else "evaluate-two-references" if name in REFERENCES else "train"
        task, initial, references = CASES[case]
        taken = {each.path for each in container_mounts(name, task, initial=initial, references=references)}
        others = {(each.path, each.volume, each.sub_path, each.mode): each for each in TABLE if each.path not in taken}
        volumes = {each.volume for each in TABLE if each.is_in(task, initial=initial, references=references)}
        for each in others.values():
            if each.volume in volumes:
                description = f"{name} has {each.path} of {each.volume} {each.sub_path} {each.mode}"
                yield Attack(description, MOUNTS, more(name, each), case)


def crossed() -> Iterator[Attack]:
    """Attacks that give the code of one model what the code of another one writes or reads."""
    case = "evaluate-two-references"
    for reader in ("train", *REFERENCES):
        for writer in (each for each in ("train", *REFERENCES) if each != reader):
            for mount in TABLE:
                if mount.container == writer and mount.is_in("Evaluate", initial=False, references=2):
                    shown = replace(mount, path=f"/wardround/theirs{mount.path}", mode="ro")
                    name = f"{reader} sees {mount.path} of {writer}"
                    if mount.path != LAUNCHER_FOLDER:
                        yield Attack(name, MOUNTS, more(reader, shown), case)


def exchanged() -> Iterator[Attack]:
    """Attacks on mounts that the two references exchange."""
    case = "evaluate-two-references"
    for mount in TABLE:
        # The policy does not know which round's state belongs to which model: the signed assignment says so.
        named = mount.volume != "state" and "reference1" in f"{mount.volume}{mount.sub_path}"
        if mount.container == "reference1" and named:
            other = replace(
                mount,
                volume=cast(Volume, mount.volume.replace("reference1", "reference2")),
                sub_path=mount.sub_path.replace("reference1", "reference2"),
            )
            yield Attack(f"reference1 has {mount.path} of reference2", MOUNTS, instead(mount, as_written(other)), case)


MOUNT_ATTACKS = {
    f"{attack.name} ({attack.case})": attack for attack in (*changed(), *added(), *crossed(), *exchanged())
}
