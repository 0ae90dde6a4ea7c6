"""Training Jobs in which one mount differs from the table of mounts, for each line of the table."""

from __future__ import annotations

from collections.abc import Iterator

from tests.integration.api.attacks import MOUNTS, TASK_UID, Attack, Object
from tests.integration.api.jobs import Change, container
from tests.unit.golden.test_training_golden import TRAIN
from wardround.wire.mounts import CONTAINERS, TABLE, Mount, Places, container_mounts
from wardround.wire.training import TaskKind

# Each golden Job with the kind of its task, and whether its round is an initial round.
CASES: dict[str, tuple[TaskKind, bool]] = {
    "train": ("Train", False),
    "train-initial": ("Train", True),
    "evaluate": ("Evaluate", False),
    "statistics": ("Statistics", False),
}
PLACES = Places(TASK_UID, TRAIN.round_uid, TRAIN.state_round)


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
        case = next(name for name, (task, initial) in CASES.items() if mount.is_in(task, initial=initial))
        where = f"{mount.container} {mount.path} of {mount.volume}"
        for description, other in changes(mount):
            yield Attack(f"{where} {description}", MOUNTS, instead(mount, other), case)


def added() -> Iterator[Attack]:
    """Attacks that add each mount of other containers to a container, if its path is free."""
    for name in CONTAINERS:
        case = "train-initial" if name == "init" else "train"
        task, initial = CASES[case]
        taken = {each.path for each in container_mounts(name, task, initial=initial)}
        others = {(each.path, each.volume, each.sub_path, each.mode): each for each in TABLE if each.path not in taken}
        volumes = {each.volume for each in TABLE if each.is_in(task, initial=initial)}
        for each in others.values():
            if each.volume in volumes:
                description = f"{name} has {each.path} of {each.volume} {each.sub_path} {each.mode}"
                yield Attack(description, MOUNTS, more(name, each), case)


MOUNT_ATTACKS = {f"{attack.name} ({attack.case})": attack for attack in (*changed(), *added())}
