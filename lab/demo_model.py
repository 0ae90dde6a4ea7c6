"""The demo's FederatedModel on the hub: shows its series, begins further ones, and finds what they made."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.demo_report import Finished
from lab.demo_rounds import MODEL, NAMESPACE
from lab.errors import LabError
from wardround.api import conditions, names
from wardround.api.modelversion import ModelVersion
from wardround.api.times import to_microseconds
from wardround.cli import explain, model_objects, verbs, watch, watch_model
from wardround.cli.cluster import Cluster as Api
from wardround.cli.model_objects import ModelObjects

SERIES_SECONDS = 1200.0
DELIVERY_SECONDS = 300.0
LOOK_SECONDS = 0.5
# Before the start of a series, so that the hub operator sees the trigger in time.
LEAD = timedelta(seconds=10)

Progress = Callable[[str], None]
# Whether a series has reached a point, and what to do then, once.
Event = tuple[Callable[[ModelObjects], bool], Callable[[], None]]


@dataclass(frozen=True)
class Trained:
    """A series that has ended. `rounds`: of the series, in order. `made`: its version. `current`: the version that the
    gate lets people have, which may be an earlier one."""

    rounds: tuple[Finished, ...]
    made: ModelVersion
    current: ModelVersion

    @property
    def promoted(self) -> bool:
        return self.made.metadata.name == self.current.metadata.name


def follow(hub: Api, progress: Progress, number: int, events: Sequence[Event] = ()) -> Trained:
    """Shows a series of the model until it ends: each stage of each hospital, and the numbers of each round's model.

    `events`: in the order in which the series reaches them. Raises LabError with the explanation if the series waits
    for a person or takes too long.
    """
    until = time.monotonic() + SERIES_SECONDS
    before: watch_model.Screen | None = None
    inside: dict[str, watch.Screen] = {}
    rounds: dict[str, Finished] = {}
    names: list[str] = []
    ahead = list(events)
    while True:
        seen = read(hub)
        runs = _number(seen) == number
        if runs:
            names = [each.name for each in seen.series_rounds]
        for name in names:
            _show_round(hub, name, inside, rounds, progress)
        shown = watch_model.view(seen, datetime.now(UTC)) if runs else None
        for line in watch_model.lines(before, shown) if shown else ():
            progress(line)
        over = _number(seen) > number or (shown is not None and shown.exit_code == watch.COMPLETE)
        while ahead and (over or (runs and ahead[0][0](seen))):
            ahead.pop(0)[1]()
        if over and seen.current is not None:
            return _trained(seen, number, tuple(rounds.values()))
        if (shown is not None and shown.exit_code is not None) or time.monotonic() > until:
            raise LabError(_why(hub, seen))
        before = shown
        time.sleep(LOOK_SECONDS)


def begin(hub: Api) -> int:
    """Ask for the next series, as `kubectl wardround begin` does. Returns its number."""
    number = _number(read(hub)) + 1
    annotations = {names.BEGIN: to_microseconds(datetime.now(UTC))}
    hub.patch("FederatedModel", MODEL, NAMESPACE, {"metadata": {"annotations": annotations}})
    return number


def next_minute(now: datetime) -> datetime:
    """The next full minute that is at least LEAD away."""
    return (now + LEAD).replace(second=0, microsecond=0) + timedelta(minutes=1)


def verdict(trained: Trained) -> str:
    """What the gate says of the version of a series, and which version is the current one."""
    verdict = trained.made.status.verdict
    words = f"{verdict.outcome} ({verdict.reason}). {verdict.message}".rstrip() if verdict else "nothing"
    return (
        f"The gate says of version {trained.made.spec.version}: {words} "
        f"The current version is {trained.current.spec.version}."
    )


def delivered(hub: Api, version: ModelVersion) -> str:
    """Wait until the hospitals have a version. Returns the message about it. Raises LabError."""
    until = time.monotonic() + DELIVERY_SECONDS
    while True:
        status = read(hub).model.status
        delivered = conditions.find(status.conditions, "Delivered")
        newest = status.delivery is not None and status.delivery.version == version.metadata.name
        if newest and delivered is not None and delivered.status == "True":
            return delivered.message or ""
        if (newest and delivered is not None and delivered.reason == "DeliveryFailed") or time.monotonic() > until:
            cause = delivered.message if delivered else "no round"
            raise LabError(f"Version {version.spec.version} is not delivered: {cause}")
        time.sleep(LOOK_SECONDS)


def current_round(hub: Api) -> str:
    """The name of the round that made the current version. Raises LabError if there is none."""
    seen = read(hub)
    if seen.current is None:
        raise LabError(f"FederatedModel {NAMESPACE}/{MODEL} has no current version: run `make demo` first.")
    return seen.current.spec.round_name


def read(hub: Api) -> ModelObjects:
    return model_objects.read(*verbs.model_with_rounds(hub, MODEL, NAMESPACE))


def _show_round(
    hub: Api, name: str, inside: dict[str, watch.Screen], rounds: dict[str, Finished], progress: Progress
) -> None:
    """The changes at the hospitals of a round, until it ends. A round that the status names may not exist yet. `rounds`
    gets a Complete one: the hub operator may delete it during the next series."""
    before = inside.get(name)
    if (before is not None and before.exit_code is not None) or hub.get("FederatedRound", name, NAMESPACE) is None:
        return
    live, tasks = verbs.round_with_tasks(hub, name, NAMESPACE)
    now = watch.view(live, tasks, datetime.now(UTC))
    if now.rows:
        for line in watch.lines(before, now):
            progress(f"{name}: {line}")
        inside[name] = now
    if now.exit_code == watch.COMPLETE:
        rounds[name] = Finished(live, tasks)


def is_trained(seen: ModelObjects) -> bool:
    """Whether the series has made its last model: the hospitals only measure it."""
    return seen.series_rounds[-1].task == "Evaluate"


def is_measured(seen: ModelObjects) -> bool:
    """Whether all hospitals have sent what they measured of the last model of the series."""
    newest = seen.series_rounds[-1]
    live = seen.round(newest.name)
    counts = live.status.participants if live is not None else None
    return is_trained(seen) and counts is not None and 0 < counts.selected == counts.sent


def _number(seen: ModelObjects) -> int:
    return seen.model.status.series.number if seen.model.status.series else 0


def _trained(seen: ModelObjects, number: int, rounds: tuple[Finished, ...]) -> Trained:
    assert seen.current is not None, "the caller has looked"
    [made] = [each for each in seen.versions if each.spec.series == number]
    return Trained(rounds, made, seen.current)


def _why(hub: Api, seen: ModelObjects) -> str:
    """Why the series has not ended: of its last round if there is one, and else of the model."""
    if not seen.rounds:
        item = verbs.needed(hub, "FederatedModel", MODEL, NAMESPACE)
        return explain.text(explain.explain_long_lived(item, None, datetime.now(UTC)))
    round_, tasks = verbs.round_with_tasks(hub, seen.rounds[-1].metadata.name, NAMESPACE)
    leases = {each: verbs.lease(hub, each) for each in {task["metadata"]["namespace"] for task in tasks}}
    return explain.text(explain.explain_round(round_, tasks, leases, datetime.now(UTC)))
