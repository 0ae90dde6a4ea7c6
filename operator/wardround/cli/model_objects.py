"""A FederatedModel with its ModelVersions and FederatedRounds, and which round measured which model. Pure.

The caller fetches the objects. `read` makes their texts printable and parses them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.api import federatedmodel, federatedround, modelversion
from wardround.api.federatedmodel import FederatedModel, SeriesRound
from wardround.api.federatedround import FederatedRound, ResultMetric
from wardround.api.modelversion import ModelVersion
from wardround.cli import objects
from wardround.cli.objects import Object
from wardround.plans.model import series as rounds


@dataclass(frozen=True)
class ModelObjects:
    """`versions`: by number. `rounds`: the live rounds of the model, in the order in which they were created."""

    model: FederatedModel
    versions: tuple[ModelVersion, ...]
    rounds: tuple[FederatedRound, ...]

    @property
    def name(self) -> str:
        return f"{self.model.metadata.namespace}/{self.model.metadata.name}"

    @property
    def current(self) -> ModelVersion | None:
        return self.version(self.model.status.current)

    @property
    def candidate(self) -> ModelVersion | None:
        return self.version(self.model.status.candidate)

    @property
    def series_rounds(self) -> tuple[SeriesRound, ...]:
        """The rounds that the status lists: those of the newest series."""
        return self.model.status.series.rounds if self.model.status.series else ()

    def version(self, name: str | None) -> ModelVersion | None:
        return next((each for each in self.versions if each.metadata.name == name), None)

    def round(self, name: str) -> FederatedRound | None:
        return next((each for each in self.rounds if each.metadata.name == name), None)

    def place(self, federated_round: FederatedRound) -> str:
        """`series 2, Train 3`. The status lists the rounds of the newest series alone. For the others, their names say
        as much. For a name that somebody else has chosen: the task."""
        name, series = federated_round.metadata.name, self.model.status.series
        listed = next((each for each in self.series_rounds if each.name == name), None)
        named = (series.number, listed) if series is not None and listed is not None else rounds.read_name(name)
        if named:
            return f"series {named[0]}, {task_and_number(named[1])}"
        tested = (each for each in self.versions if each.status.test and each.status.test.round_name == name)
        version = next(tested, None)
        return f"{_numbers(version)} on test rows" if version else federated_round.spec.task

    def version_place(self, version: ModelVersion) -> str:
        """`series 2, version 2`, and whether it is the current one or the candidate."""
        status, name = self.model.status, version.metadata.name
        role = ", current" if name == status.current else ", candidate" if name == status.candidate else ""
        return f"{_numbers(version)}{role}"

    def measured(self) -> Mapping[str, Mapping[str, ResultMetric]]:
        """The metrics of each model on validation rows, by the name of the round that made it, as the first round that
        measured the model told them."""
        known: dict[str, dict[str, ResultMetric]] = {}
        for each in self.rounds:
            own: dict[str, dict[str, ResultMetric]] = {}
            for metric in each.status.result.metrics if each.status.result else ():
                if metric.rows == "Validation":
                    own.setdefault(metric.model, {})[metric.name] = metric
            known = {**own, **known}
        return known


def read(model: Object, versions: list[Object], rounds: list[Object]) -> ModelObjects:
    """The typed objects. Raises codec.Malformed."""
    made = [objects.read(modelversion.parse, each) for each in versions]
    live = [objects.read(federatedround.parse, each) for each in rounds]
    return ModelObjects(
        objects.read(federatedmodel.parse, model),
        tuple(sorted(made, key=lambda each: each.spec.version)),
        tuple(sorted(live, key=lambda each: (each.metadata.creation_timestamp or "", _position(model, each)))),
    )


def _position(model: Object, federated_round: FederatedRound) -> int:
    """The place in the status, for rounds of the same second."""
    listed = ((model.get("status") or {}).get("series") or {}).get("rounds") or []
    names = [each["name"] for each in listed]
    name = federated_round.metadata.name
    return names.index(name) if name in names else -1


def _numbers(version: ModelVersion) -> str:
    return f"series {version.spec.series}, version {version.spec.version}"


def task_and_number(each: SeriesRound) -> str:
    """`Train 3`, `Evaluate 3` of the model that Train 3 made, `Train 3, attempt 2`, `Compare`."""
    number = f" {each.number}" if each.task in ("Train", "Evaluate") and not each.references else ""
    attempt = f", attempt {each.attempt}" if each.attempt > 1 else ""
    task = "Compare" if each.references else each.task
    return f"{task}{number}{attempt}"


def interval(metric: ResultMetric) -> str:
    """The value with its 95 % interval, if it has one: `0.31 (0.28 to 0.34)`."""
    known = metric.low is not None and metric.high is not None
    return f"{metric.value} ({metric.low} to {metric.high})" if known else metric.value
