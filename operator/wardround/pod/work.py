"""What `prepare` has to do, from the environment of its container: a task, or a reading without a round. Opens no file.

Admission has compared every variable but WARDROUND_TASK. The pod reads each of them strictly all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast, get_args

from wardround.api import parameters_text, variable_text
from wardround.api.site import AllowedParameter, share
from wardround.pod.outcome import UNREADABLE, PodError
from wardround.pod.reading import Reading
from wardround.tabular import split
from wardround.wire import codec
from wardround.wire.assignment import LABEL
from wardround.wire.layouts import Rows
from wardround.wire.mounts import REFERENCES
from wardround.wire.training import (
    DATASET_TEXT,
    MAX_LEFT_OUT,
    MIN_CELL,
    MIN_SAMPLES,
    SCHEMA_TEXT,
    RequestedTask,
    TaskKind,
)


@dataclass(frozen=True)
class Work:
    """`request` is the hub's. Admission has compared the other fields with the verb, the chart, the Dataset and its
    DataSchema.

    `split_fingerprint`: of the key that the Dataset was read with before, "" if it is not known. The site operator
    alone says it.
    """

    request: RequestedTask
    task: TaskKind
    rows: Rows
    dataset_name: str
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]
    split_fingerprint: str
    min_samples: int
    min_cell: int
    max_left_out: Decimal
    max_evaluations: int
    tells: bool


def work_from(environment: Mapping[str, str]) -> Work:
    """Reads from WARDROUND_TASK only the hub's request. Everything else is in variables that admission compares.
    Raises PodError (PodFailed)."""
    return Work(
        request=_variable(environment, "WARDROUND_TASK", _request),
        task=_variable(environment, "WARDROUND_KIND", _kind),
        rows=_variable(environment, "WARDROUND_ROWS", _rows),
        dataset_name=_variable(environment, "WARDROUND_DATASET_NAME", _name),
        dataset=_variable(environment, DATASET_TEXT, variable_text.load),
        schema=_variable(environment, SCHEMA_TEXT, variable_text.load),
        split_fingerprint=_variable(environment, "WARDROUND_SPLIT_FINGERPRINT", _fingerprint),
        min_samples=_variable(environment, MIN_SAMPLES, int),
        min_cell=_variable(environment, MIN_CELL, int),
        max_left_out=_variable(environment, MAX_LEFT_OUT, share),
        max_evaluations=_variable(environment, "WARDROUND_MAX_EVALUATIONS", int),
        tells=_variable(environment, "WARDROUND_TELL_OWN_METRICS", _flag),
    )


def reading_from(environment: Mapping[str, str]) -> Reading:
    """A reading without a round. Raises PodError (PodFailed)."""
    return Reading(
        dataset_name=_variable(environment, "WARDROUND_DATASET_NAME", _name),
        dataset=_variable(environment, DATASET_TEXT, variable_text.load),
        schema=_variable(environment, SCHEMA_TEXT, variable_text.load),
        split_fingerprint=_variable(environment, "WARDROUND_SPLIT_FINGERPRINT", _fingerprint),
        min_samples=_variable(environment, MIN_SAMPLES, int),
        min_cell=_variable(environment, MIN_CELL, int),
        max_left_out=_variable(environment, MAX_LEFT_OUT, share),
    )


def allowed_parameters(environment: Mapping[str, str]) -> Sequence[AllowedParameter]:
    """policy.parameters of the site chart. Raises PodError (PodFailed)."""
    allowed: Sequence[AllowedParameter] = _variable(environment, "WARDROUND_ALLOWED_PARAMETERS", parameters_text.load)
    return allowed


def _request(text: str) -> RequestedTask:
    request = codec.parse(RequestedTask, json.loads(text))
    if len(request.references) > len(REFERENCES):
        raise ValueError("more references than a pod has containers")
    return request


def _kind(text: str) -> TaskKind:
    if text not in get_args(TaskKind):
        raise ValueError("not a kind of task")
    return cast(TaskKind, text)


def _rows(text: str) -> Rows:
    if text not in get_args(Rows):
        raise ValueError("no rows to evaluate")
    return cast(Rows, text)


def _name(text: str) -> str:
    if not LABEL.matches(text):
        raise ValueError("not the name of a Dataset")
    return text


def _fingerprint(text: str) -> str:
    if text == "none":
        return ""
    if not re.fullmatch(f"[0-9a-f]{{{split.FINGERPRINT_DIGITS}}}", text):
        raise ValueError("not a fingerprint")
    return text


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _variable(environment: Mapping[str, str], name: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(environment[name])
    except (KeyError, ValueError) as error:
        raise PodError("PodFailed", f"{name} {UNREADABLE}") from error
