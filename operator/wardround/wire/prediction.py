"""Folders, variables and documents of a Prediction's pod, which the Job and the containers' own code share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from wardround.wire import mounts
from wardround.wire.mounts import RAW, ROOT, Mode

ROWS, MODELS, ANSWERS = RAW, f"{ROOT}/models", f"{ROOT}/answers"
# `UID`: of the Prediction. `VERSION`: `v` and a number, or `current`. Paths are relative to their folder.
UID = "WARDROUND_PREDICTION_UID"
MODEL, VERSION = "WARDROUND_MODEL", "WARDROUND_MODEL_VERSION"
ROWS_PATH, ANSWER_PATH = "WARDROUND_ROWS_PATH", "WARDROUND_ANSWER_PATH"
HUB_FINGERPRINT = "WARDROUND_HUB_FINGERPRINT"
CURRENT = "current"
# Only of a Prediction that names code. `COMMAND`: JSON, an object with the list `words`. `PARTICIPANT`: the hospital's
# name at the hub, which the code may read in task.json.
IMAGE, COMMAND, PARTICIPANT = "WARDROUND_IMAGE", "WARDROUND_COMMAND", "WARDROUND_PARTICIPANT"
PARAMETERS = "WARDROUND_ALLOWED_PARAMETERS"

# The containers of a Prediction that names code, in their order. The code is in `model`. The others run our own image.
Container = Literal["view", "isolation", "model", "merge"]
CONTAINERS: tuple[Container, ...] = get_args(Container)
Volume = Literal["rows", "models", "answers", "memory", "base", "out", "scratch"]


@dataclass(frozen=True)
class Mount:
    """One folder of a container."""

    volume: Volume
    path: str
    sub_path: str
    mode: Mode


# The code mounts no claim: neither the rows with their identifiers, nor other models, nor the answer.
TABLE: Mapping[Container, tuple[Mount, ...]] = {
    "view": (
        Mount("rows", ROWS, "", "ro"),
        Mount("models", MODELS, "", "ro"),
        Mount("memory", mounts.TASK, "task", "rw"),
        Mount("memory", mounts.DATA, "view", "rw"),
        Mount("memory", mounts.PRIVATE, "private", "rw"),
        Mount("memory", mounts.LAUNCHER, "launcher", "rw"),
        Mount("base", mounts.BASE, "", "rw"),
    ),
    "isolation": (),
    "model": (
        Mount("memory", mounts.TASK, "task", "ro"),
        Mount("memory", mounts.DATA, "view", "ro"),
        Mount("base", mounts.BASE, "", "ro"),
        Mount("out", mounts.OUT, "", "rw"),
        # Empty: a Prediction belongs to no round, so it reads no state of one.
        Mount("memory", mounts.STATE_IN, "state", "ro"),
        Mount("memory", mounts.LAUNCHER_FOLDER, "launcher", "ro"),
        Mount("scratch", "/tmp", "", "rw"),  # noqa: S108 (a path in the pod)
    ),
    "merge": (
        Mount("memory", mounts.PRIVATE, "private", "ro"),
        Mount("out", mounts.OUT, "", "ro"),
        Mount("answers", ANSWERS, "", "rw"),
        Mount("memory", mounts.LAUNCHER_FOLDER, "launcher", "ro"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class PreparedPrediction:
    """private/prediction.json: the report of `view` to `merge`, which the code of the model never mounts.

    `version`: of the model. `answered`: the number of rows without a fault, which are the rows of evaluation.parquet.
    `card`: the document of the ModelCard, in the card's own version.
    """

    version: str
    answered: int
    card: Mapping[str, Any]
