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

    def entry(self, name: str) -> tuple[int, SeriesRound] | None:
        """The number of its series, and the entry, of a round. The status lists the rounds of the newest series alone.
        For the others, their names say as much. None for a name that somebody else has chosen."""
        series = self.model.status.series
        listed = next((each for each in self.series_rounds if each.name == name), None)
        return (series.number, listed) if series is not None and listed is not None else rounds.read_name(name)

    def ran(self) -> tuple[FederatedRound, ...]:
        """The live rounds of all series, in order. A round that the status does not list counts only if the model is
        its controller: people who make rounds can choose any name and label."""
        listed = {each.name for each in self.series_rounds}
        return tuple(
            each
            for each in self.rounds
            if each.metadata.name in listed
            or (rounds.read_name(each.metadata.name) and rounds.controls(self.model.metadata, each.metadata))
        )

    def trained(self) -> tuple[tuple[int, SeriesRound], ...]:
        """The Train rounds of all series that the status, a version or a live round knows, each with the number of its
        series, in order."""
        live = (each.metadata.name for each in self.ran())
        made = (each.spec.round_name for each in self.versions)
        names = dict.fromkeys((*made, *live, *(each.name for each in self.series_rounds)))
        known = [entry for name in names if (entry := self.entry(name)) is not None and entry[1].task == "Train"]
        return tuple(sorted(known, key=lambda entry: (entry[0], entry[1].number, entry[1].attempt)))

    def place(self, federated_round: FederatedRound) -> str:
        """`series 2, Train 3`. For a name that somebody else has chosen: the task."""
        name = federated_round.metadata.name
        if named := self.entry(name):
            return f"series {named[0]}, {task_and_number(named[1])}"
        tested = (each for each in self.versions if each.status.test and each.status.test.round_name == name)
        version = next(tested, None)
        return f"{_numbers(version)} on test rows" if version else federated_round.spec.task

    def version_place(self, version: ModelVersion) -> str:
        """`series 2, version 2`, and whether it is the current one or the candidate."""
        status, name = self.model.status, version.metadata.name
        role = ", current" if name == status.current else ", candidate" if name == status.candidate else ""
        return f"{_numbers(version)}{role}"

    def model_name(self, round_name: str) -> str:
        """What people call the model of a round: `version 2`, or the round if no version was made from it."""
        known = next((each for each in self.versions if each.spec.round_name == round_name), None)
        return f"version {known.spec.version}" if known else f"round {round_name}"

    def measuring_task(self, version: ModelVersion) -> str | None:
        """The task of the first live round that measured the version on validation rows. None if no such round is
        left."""
        for each in self.rounds:
            metrics = each.status.result.metrics if each.status.result else ()
            if any(one.model == version.spec.round_name and one.rows == "Validation" for one in metrics):
                return each.spec.task
        return None

    def measured(self) -> Mapping[str, Mapping[str, ResultMetric]]:
        """The metrics of each model on validation rows, by the name of the round that made it, as the first live round
        that measured the model told them. Where no such round is left, those of the version."""
        known: dict[str, dict[str, ResultMetric]] = {}
        for each in self.rounds:
            own: dict[str, dict[str, ResultMetric]] = {}
            for metric in each.status.result.metrics if each.status.result else ():
                if metric.rows == "Validation":
                    own.setdefault(metric.model, {})[metric.name] = metric
            known = {**own, **known}
        return {**self._of_versions(), **known}

    def course(self) -> Mapping[str, Mapping[str, ResultMetric]]:
        """As `measured`, but a version keeps its own numbers. The first Train round of the next series measures the
        version too, on rows that may be other ones by then, and may be the only live round that did."""
        return {**self.measured(), **{name: own for name, own in self._of_versions().items() if own}}

    def _of_versions(self) -> dict[str, dict[str, ResultMetric]]:
        return {each.spec.round_name: {one.name: one for one in each.status.metrics} for each in self.versions}


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
