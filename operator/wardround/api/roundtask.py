"""RoundTask: one participant's task in one round, on the hub. The hub writes the spec, the site writes the status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.meta import Meta
from wardround.api.task import TaskSpec, TaskStatus, Update, Upload
from wardround.wire import codec
from wardround.wire.outcome import ToldOutcome

KIND = "RoundTask"


@dataclass(frozen=True, kw_only=True)
class RoundTaskStatus(TaskStatus):
    """`verdicts`: of this hospital, in the order of the round's references. None unless its Site tells them."""

    upload: Upload | None = None
    update: Update | None = None
    verdicts: tuple[ToldOutcome, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class RoundTask:
    metadata: Meta
    spec: TaskSpec
    status: RoundTaskStatus = field(default_factory=RoundTaskStatus)


def parse(value: Mapping[str, Any]) -> RoundTask:
    return codec.parse(RoundTask, value)
