"""When the stages of a round or task were reached: each once. A pod's stage moves to the pod that replaces it."""

from dataclasses import dataclass
from datetime import datetime

from wardround.api.times import read_time, to_microseconds


@dataclass(frozen=True)
class Stage:
    stage: str
    time: str


Timeline = tuple[Stage, ...]


def reached(timeline: Timeline, stage: str) -> datetime | None:
    """When `stage` was first reached, or None. A time that cannot be read is none: it may come from another cluster."""
    found = next((each for each in timeline if each.stage == stage), None)
    return read_time(found.time) if found else None


def mark(timeline: Timeline, stage: str, now: datetime) -> Timeline:
    """The timeline with `stage` reached now, unless it was before."""
    if any(each.stage == stage for each in timeline):
        return timeline
    return (*timeline, Stage(stage, to_microseconds(now)))


def move(timeline: Timeline, stage: str, now: datetime) -> Timeline:
    """The timeline with `stage` reached now, whenever it was before."""
    if reached(timeline, stage) is None:
        return mark(timeline, stage, now)
    return tuple(Stage(stage, to_microseconds(now)) if each.stage == stage else each for each in timeline)
