"""Which folders the containers of a training pod have: one table, which the Job and the containers' own code share.

Knows nothing of Kubernetes. docs/contracts.md, section 6 shows the table, and tests/integration try the admission
policy with every line of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wardround.wire.training import TaskKind

Reference = Literal["reference1", "reference2"]
Container = Literal["prepare", "isolation", "init", "train", Reference, "check"]
Volume = Literal["dataset", "memory", "initial", "out", "scratch", Reference, "workspace", "state"]
Mode = Literal["ro", "rw"]

# Where a container has its folders. Code that runs without a pod has them below another root.
ROOT = "/wardround"
RAW, TASK, DATA, PRIVATE = f"{ROOT}/raw", f"{ROOT}/task", f"{ROOT}/data", f"{ROOT}/private"
BASE, OUT, UPDATE = f"{ROOT}/base", f"{ROOT}/out", f"{ROOT}/update"
CHECKPOINT, STATE_IN, STATE_OUT = f"{ROOT}/checkpoint", f"{ROOT}/state/in", f"{ROOT}/state/out"
# Folders of `prepare` alone: the whole volumes of which the other containers have parts.
LAUNCHER, ALL_CHECKPOINTS, ALL_STATES = f"{ROOT}/launcher", f"{ROOT}/checkpoints", f"{ROOT}/states"
ALL_SECRETS = f"{ROOT}/secrets"
# Folders of `prepare` and `check`: for `init`, and one for each reference, by the name of its container.
INIT_TASK = f"{ROOT}/task-init"
REFERENCE_TASK, REFERENCE_OUT = f"{ROOT}/task-{{name}}", f"{ROOT}/out-{{name}}"

# The containers that predict with the references of an evaluation, in the assignment's order. Each has a volume of its
# name, and a folder of its name in the task's folder of the workspace.
REFERENCES: tuple[Reference, ...] = get_args(Reference)
# The folder of the base, in the task's folder of the workspace.
INPUT = "in"
CONTAINERS: tuple[Container, ...] = ("prepare", "isolation", "init", "train", *REFERENCES, "check")
# Where no image can have prepared anything: a link there, or a VOLUME, would put a program of the image's own in the
# launcher's place. Nobody outside the site knows the UID, and nobody at all before the image is listed. Code in the pod
# learns it; the launcher lets that code make no symbolic link (launcher/launch.c).
#
# It lies deeper than all other mounts of the pod: container runtimes mount by depth, so they mount it last. A link of
# the image can lead another mount onto `/`. A false launcher there, by code of `init`, which knows this place, lies
# below ours. A VOLUME of the image may lie deeper. If it covers the launcher, this path has no program: nothing starts.
LAUNCHER_FOLDER = "/wardround-{task_uid}/mounted/after/others"
# In the state volume, a folder a round: a further attempt goes on where the one before was stopped.
CHECKPOINTS = "checkpoints"
# There too, a folder a round: what its training leaves for the next one here. Nobody writes into the one of no round.
STATES, NO_ROUND = "states", "none"
# There too, what `prepare` alone may know: researchers' code could carry it out.
SECRETS = "secrets"

ALL: tuple[TaskKind, ...] = ("Train", "Statistics", "Evaluate")
# An evaluation reads the state and leaves nothing: what saw the hold-out rows must not be trained on.
LEAVES: tuple[TaskKind, ...] = ("Train",)
READS: tuple[TaskKind, ...] = ("Train", "Evaluate")
EVALUATES: tuple[TaskKind, ...] = ("Evaluate",)
STATES_OF_REFERENCES = tuple(f"state_round_{name}" for name in REFERENCES)


@dataclass(frozen=True)
class Places:
    """What the paths are named after. `state_round`: UID of the round whose state is read, "" for none.
    `reference_states`: the same for each reference."""

    task_uid: str
    round_uid: str
    state_round: str = ""
    reference_states: tuple[str, ...] = ()

    def fill(self, path: str) -> str:
        """The path with its names put in."""
        states = [state or NO_ROUND for state in (self.state_round, *self.reference_states)]
        names = dict(zip(("state_round", *STATES_OF_REFERENCES), states, strict=False))
        return path.format(task_uid=self.task_uid, round_uid=self.round_uid, **names)


@dataclass(frozen=True)
class Mount:
    """One line. `initial`: in rounds that make a first model, in others, or (None) in both. `reference`: in pods with
    at least so many references."""

    container: Container
    path: str
    volume: Volume
    sub_path: str
    mode: Mode
    tasks: tuple[TaskKind, ...] = ALL
    initial: bool | None = None
    reference: int = 0

    def is_in(self, task: TaskKind, *, initial: bool, references: int = 0) -> bool:
        """Whether a pod of this task has it."""
        return task in self.tasks and self.initial in (None, initial) and self.reference <= references


def _reference(number: int) -> tuple[Mount, ...]:
    """What one reference adds. Its code finds at the paths of `train` its own task and model, and the same rows. It has
    a volume of its own for all that it may write, so that no model's code sees what another one left. /dev/shm is the
    pod's otherwise.
    """
    name = REFERENCES[number - 1]
    task, state = f"{name}-task", STATES + "/{" + STATES_OF_REFERENCES[number - 1] + "}"

    def line(container: Container, path: str, volume: Volume, sub_path: str, mode: Mode) -> Mount:
        return Mount(container, path, volume, sub_path, mode, EVALUATES, reference=number)

    return (
        line("prepare", REFERENCE_TASK.format(name=name), "memory", task, "rw"),
        line(name, TASK, "memory", task, "ro"),
        line(name, DATA, "memory", "view", "ro"),
        line(name, BASE, "workspace", "tasks/{task_uid}/" + name, "ro"),
        line(name, OUT, name, "out", "rw"),
        line(name, STATE_IN, "state", state, "ro"),
        line(name, LAUNCHER_FOLDER, "memory", "launcher", "ro"),
        line(name, "/tmp", name, "tmp", "rw"),  # noqa: S108 (a path in the pod)
        line(name, "/dev/shm", name, "shm", "rw"),  # noqa: S108 (a path in the pod)
        line("check", REFERENCE_OUT.format(name=name), name, "out", "ro"),
    )


TABLE: tuple[Mount, ...] = (
    Mount("prepare", RAW, "dataset", "", "ro"),
    Mount("prepare", TASK, "memory", "task", "rw"),
    Mount("prepare", DATA, "memory", "view", "rw"),
    Mount("prepare", PRIVATE, "memory", "private", "rw"),
    Mount("prepare", LAUNCHER, "memory", "launcher", "rw"),
    Mount("prepare", ALL_CHECKPOINTS, "state", CHECKPOINTS, "rw"),
    Mount("prepare", ALL_STATES, "state", STATES, "rw"),
    Mount("prepare", ALL_SECRETS, "state", SECRETS, "rw"),
    Mount("prepare", INIT_TASK, "memory", "init-task", "rw", initial=True),
    # On the CPU always and without state: the sites' initial weights must agree to the bit. `init` has a task of its
    # own, which says nothing of the hospital's rows: size and digest of the initial weights leave the site unsealed.
    Mount("init", TASK, "memory", "init-task", "ro", initial=True),
    Mount("init", BASE, "workspace", "tasks/{task_uid}/" + INPUT, "ro", initial=True),
    Mount("init", OUT, "initial", "", "rw", initial=True),
    Mount("init", LAUNCHER_FOLDER, "memory", "launcher", "ro", initial=True),
    # Images of researchers, torch's among them, expect a writable /tmp; the root file system is read-only.
    Mount("init", "/tmp", "scratch", "", "rw", initial=True),  # noqa: S108 (a path in the pod)
    Mount("train", TASK, "memory", "task", "ro"),
    Mount("train", DATA, "memory", "view", "ro"),
    Mount("train", BASE, "workspace", "tasks/{task_uid}/" + INPUT, "ro", initial=False),
    Mount("train", BASE, "initial", "", "ro", initial=True),
    Mount("train", OUT, "out", "", "rw"),
    Mount("train", CHECKPOINT, "state", CHECKPOINTS + "/{round_uid}", "rw", LEAVES),
    Mount("train", STATE_IN, "state", STATES + "/{state_round}", "ro", READS),
    Mount("train", STATE_OUT, "state", STATES + "/{round_uid}", "rw", LEAVES),
    Mount("train", LAUNCHER_FOLDER, "memory", "launcher", "ro"),
    Mount("train", "/tmp", "scratch", "", "rw"),  # noqa: S108 (a path in the pod)
    Mount("check", TASK, "memory", "task", "ro"),
    Mount("check", PRIVATE, "memory", "private", "ro"),
    Mount("check", BASE, "workspace", "tasks/{task_uid}/" + INPUT, "ro", initial=False),
    Mount("check", BASE, "initial", "", "ro", initial=True),
    Mount("check", OUT, "out", "", "ro"),
    Mount("check", UPDATE, "workspace", "tasks/{task_uid}/update", "rw"),
    Mount("check", LAUNCHER_FOLDER, "memory", "launcher", "ro"),
    *(line for number in range(1, len(REFERENCES) + 1) for line in _reference(number)),
)


def container_mounts(container: Container, task: TaskKind, *, initial: bool, references: int = 0) -> list[Mount]:
    """The mounts of one container, in the order in which the Job has them."""
    return [
        each
        for each in TABLE
        if each.container == container and each.is_in(task, initial=initial, references=references)
    ]


def reading_mounts() -> list[Mount]:
    """The mounts of `prepare` in a pod that only reads a Dataset: it leaves no view, no task and no launcher."""
    return [each for each in TABLE if each.container == "prepare" and each.path in (RAW, ALL_SECRETS)]
