"""The times at which a round or task reached its stages. Decides nothing."""

from dataclasses import dataclass
from datetime import datetime

from wardround.api.times import read_time, to_microseconds


@dataclass(frozen=True)
class Stage:
    stage: str
    time: str


Timeline = tuple[Stage, ...]


def reached(timeline: Timeline, stage: str) -> datetime | None:
    """The time of `stage`, or None. Also None for malformed text, which another cluster may have written."""
    entry = next((each for each in timeline if each.stage == stage), None)
    return read_time(entry.time) if entry else None


def mark(timeline: Timeline, stage: str, now: datetime) -> Timeline:
    """The timeline with `stage` reached now, unless it was reached before."""
    if any(each.stage == stage for each in timeline):
        return timeline
    return (*timeline, Stage(stage, to_microseconds(now)))


def withdraw(timeline: Timeline, stage: str) -> Timeline:
    """The timeline without `stage`, for a round that goes back to the stage before."""
    return tuple(each for each in timeline if each.stage != stage)


def move(timeline: Timeline, stage: str, now: datetime) -> Timeline:
    """The timeline with `stage` reached now, for a stage of a pod that replaces another pod."""
    if reached(timeline, stage) is None:
        return mark(timeline, stage, now)
    return tuple(Stage(stage, to_microseconds(now)) if each.stage == stage else each for each in timeline)
