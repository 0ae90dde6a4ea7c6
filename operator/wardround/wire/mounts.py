"""Which folders the containers of a training pod have: one table, which the Job and the containers' own code share.

Knows nothing of Kubernetes. docs/contracts.md, section 6 shows the table, and tests/integration try the admission
policy with every line of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wardround.wire.training import TaskKind

Container = Literal["prepare", "isolation", "init", "train", "check"]
Volume = Literal["dataset", "memory", "initial", "out", "scratch", "workspace", "state"]
Mode = Literal["ro", "rw"]

# Where a container has its folders. Code that runs without a pod has them below another root.
ROOT = "/wardround"
RAW, TASK, DATA, PRIVATE = f"{ROOT}/raw", f"{ROOT}/task", f"{ROOT}/data", f"{ROOT}/private"
BASE, OUT, UPDATE = f"{ROOT}/base", f"{ROOT}/out", f"{ROOT}/update"
CHECKPOINT, STATE_IN, STATE_OUT = f"{ROOT}/checkpoint", f"{ROOT}/state/in", f"{ROOT}/state/out"
# Those of `prepare` alone: what the others have of a volume, it has whole.
LAUNCHER, ALL_CHECKPOINTS, ALL_STATES = f"{ROOT}/launcher", f"{ROOT}/checkpoints", f"{ROOT}/states"
ALL_SECRETS = f"{ROOT}/secrets"

CONTAINERS: tuple[Container, ...] = ("prepare", "isolation", "init", "train", "check")
# Where no image can have prepared anything: a link there, or a VOLUME, would put a program of the image's own in the
# launcher's place. Nobody outside the site knows the UID, and nobody at all before the image is listed. Code in the pod
# learns it; the launcher lets that code make no symbolic link (launcher/launch.c).
#
# It lies deeper than all other mounts: container runtimes mount by depth, so they mount it last. A link of the image
# can lead another mount onto `/`. A false launcher there, by code of `init`, which knows this place, lies below ours.
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


@dataclass(frozen=True)
class Places:
    """What the paths are named after. `state_round`: UID of the round whose state is read, "" for none."""

    task_uid: str
    round_uid: str
    state_round: str = ""

    def fill(self, path: str) -> str:
        """The path with its names put in."""
        state_round = self.state_round or NO_ROUND
        return path.format(task_uid=self.task_uid, round_uid=self.round_uid, state_round=state_round)


@dataclass(frozen=True)
class Mount:
    """One line. `initial`: in rounds that make a first model, in others, or (None) in both."""

    container: Container
    path: str
    volume: Volume
    sub_path: str
    mode: Mode
    tasks: tuple[TaskKind, ...] = ALL
    initial: bool | None = None

    def is_in(self, task: TaskKind, *, initial: bool) -> bool:
        """Whether a pod of this task has it."""
        return task in self.tasks and self.initial in (None, initial)


TABLE: tuple[Mount, ...] = (
    Mount("prepare", RAW, "dataset", "", "ro"),
    Mount("prepare", TASK, "memory", "task", "rw"),
    Mount("prepare", DATA, "memory", "view", "rw"),
    Mount("prepare", PRIVATE, "memory", "private", "rw"),
    Mount("prepare", LAUNCHER, "memory", "launcher", "rw"),
    Mount("prepare", ALL_CHECKPOINTS, "state", CHECKPOINTS, "rw"),
    Mount("prepare", ALL_STATES, "state", STATES, "rw"),
    Mount("prepare", ALL_SECRETS, "state", SECRETS, "rw"),
    # On the CPU always and without state: the sites' initial weights must agree to the bit.
    Mount("init", TASK, "memory", "task", "ro", initial=True),
    Mount("init", BASE, "workspace", "tasks/{task_uid}/in", "ro", initial=True),
    Mount("init", OUT, "initial", "", "rw", initial=True),
    Mount("init", LAUNCHER_FOLDER, "memory", "launcher", "ro", initial=True),
    # Images of researchers, torch's among them, expect a writable /tmp; the root file system is read-only.
    Mount("init", "/tmp", "scratch", "", "rw", initial=True),  # noqa: S108 (a path in the pod)
    Mount("train", TASK, "memory", "task", "ro"),
    Mount("train", DATA, "memory", "view", "ro"),
    Mount("train", BASE, "workspace", "tasks/{task_uid}/in", "ro", initial=False),
    Mount("train", BASE, "initial", "", "ro", initial=True),
    Mount("train", OUT, "out", "", "rw"),
    Mount("train", CHECKPOINT, "state", CHECKPOINTS + "/{round_uid}", "rw", LEAVES),
    Mount("train", STATE_IN, "state", STATES + "/{state_round}", "ro", READS),
    Mount("train", STATE_OUT, "state", STATES + "/{round_uid}", "rw", LEAVES),
    Mount("train", LAUNCHER_FOLDER, "memory", "launcher", "ro"),
    Mount("train", "/tmp", "scratch", "", "rw"),  # noqa: S108 (a path in the pod)
    Mount("check", TASK, "memory", "task", "ro"),
    Mount("check", PRIVATE, "memory", "private", "ro"),
    Mount("check", BASE, "workspace", "tasks/{task_uid}/in", "ro", initial=False),
    Mount("check", BASE, "initial", "", "ro", initial=True),
    Mount("check", OUT, "out", "", "ro"),
    Mount("check", UPDATE, "workspace", "tasks/{task_uid}/update", "rw"),
    Mount("check", LAUNCHER_FOLDER, "memory", "launcher", "ro"),
)


def container_mounts(container: Container, task: TaskKind, *, initial: bool) -> list[Mount]:
    """The mounts of one container, in the order in which the Job has them."""
    return [each for each in TABLE if each.container == container and each.is_in(task, initial=initial)]
