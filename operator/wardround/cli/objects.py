"""Reading objects as the command line shows them: their stages, ages and metrics, and what an assignment names. Pure.

People other than the reader wrote the texts of an object, so `read` makes them printable before it parses the object.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar, cast

from wardround.api.federatedround import FederatedRound, Result
from wardround.api.meta import Meta
from wardround.api.roundtask import RoundTask
from wardround.api.sitetask import SiteTask
from wardround.api.timeline import Timeline
from wardround.api.times import parse_time, read_time
from wardround.wire import card as cards
from wardround.wire import codec, versions
from wardround.wire.assignment import LABEL, Assignment
from wardround.wire.card import ModelCard
from wardround.wire.envelope import Envelope

Object = dict[str, Any]
Task = RoundTask | SiteTask
T = TypeVar("T")


def read(parse: Callable[[Mapping[str, Any]], T], item: Object) -> T:
    """A typed object whose texts cannot control a terminal. Raises codec.Malformed."""
    return parse(printable(item))


@dataclass(frozen=True)
class AssignedNames:
    """Names in the assignment of a task, of any signer; "" for a name that is missing."""

    participant: Annotated[str, LABEL] = ""
    dataset_name: Annotated[str, LABEL] = ""


def assigned(task: Task) -> AssignedNames:
    """The names in a task's assignment; no names if it cannot be read."""
    return parsed_payload(AssignedNames, task.spec.assignment) or AssignedNames()


def parsed_payload(form: type[T], envelope: str) -> T | None:
    """The payload of a DSSE envelope of any signer; None if it cannot be read."""
    try:
        return codec.parse(form, json.loads(codec.read_document(Envelope, envelope).payload))
    except (ValueError, RecursionError):
        return None


def card_of(envelope: str) -> ModelCard | None:
    """The model card in a DSSE envelope of any signer; None if it cannot be read."""
    try:
        return cards.read(json.loads(codec.read_document(Envelope, envelope).payload))
    except (AttributeError, ValueError, RecursionError, versions.NotUnderstood):
        return None


def assignment_of(task: Task) -> Assignment | None:
    """The whole assignment of a task, of any signer; None if it cannot be read."""
    try:
        return versions.read(json.loads(codec.read_document(Envelope, task.spec.assignment).payload))
    except (AttributeError, ValueError, RecursionError, versions.NotUnderstood):
        return None


def stages(timeline: Timeline) -> list[tuple[str, datetime]]:
    """Stages and when each was reached, in the order of time. A site writes these times: a stage with a malformed time
    is left out."""
    reached = [(each.stage, read_time(each.time)) for each in timeline]
    return sorted(((stage, time) for stage, time in reached if time is not None), key=lambda each: each[1])


def created(metadata: Meta) -> datetime | None:
    return parse_time(metadata.creation_timestamp) if metadata.creation_timestamp else None


def began(federated_round: FederatedRound) -> datetime | None:
    """When a round began its work. Before that it waited for the round that it starts from."""
    return next((time for stage, time in stages(federated_round.status.timeline) if stage == "Started"), None)


def seconds(text: float) -> str:
    """A duration as people read it: 0.4s, 12s, 3m05s, 2h10m."""
    if text < 10:
        return f"{max(text, 0.0):.1f}s"
    whole = round(text)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def metrics(result: Result) -> str:
    """The numbers of a result in one line, and of which model: `loss=0.12 auc=0.91 of train-1, Test rows`. Those of a
    Train round are of the model before training."""
    if not result.metrics:
        return ""
    first = result.metrics[0]
    numbers = " ".join(f"{each.name}={each.value}" for each in result.metrics)
    return f"{numbers} of {first.model}, {first.rows} rows"


def printable(value: T) -> T:
    """An object or a text that cannot control a terminal: control characters, overrides of the writing direction and
    line breaks become spaces. People other than the reader wrote the texts of an object."""
    made: Any = value
    if isinstance(value, str):
        made = "".join(each if each.isprintable() else " " for each in value)
    elif isinstance(value, dict):
        made = {printable(key): printable(each) for key, each in value.items()}
    elif isinstance(value, list):
        made = [printable(each) for each in value]
    return cast(T, made)
