"""What a hospital's report is made from: the site's tasks with their assignments, by model, and its Datasets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wardround.api import dataset, site, sitetask
from wardround.api.conditions import is_true
from wardround.api.dataset import Dataset
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask
from wardround.cli.objects import Object, assignment_of, read
from wardround.wire.assignment import Assignment
from wardround.wire.outcome import OwnMetric


@dataclass(frozen=True)
class KnownTask:
    """A SiteTask whose assignment can be read."""

    task: SiteTask
    asks: Assignment

    @property
    def name(self) -> str:
        return self.task.metadata.name

    @property
    def at(self) -> str:
        """When the site got the task."""
        return self.task.metadata.creation_timestamp or ""

    @property
    def complete(self) -> bool:
        return is_true(self.task.status.conditions, "Complete")

    @property
    def failed(self) -> bool:
        return is_true(self.task.status.conditions, "Failed")

    @property
    def work(self) -> str:
        """`Train 3`, `Evaluate on validation rows`."""
        series = self.asks.model
        if self.asks.task == "Train" and series is not None:
            return f"Train {series.round}"
        return f"Evaluate on {self.asks.rows.lower()} rows" if self.asks.task == "Evaluate" else self.asks.task

    @property
    def place(self) -> str:
        """`series 2, Train 3`, or the round's name for a round that belongs to no model."""
        series = self.asks.model
        return f"series {series.series}, {self.work}" if series else f"{self.asks.round_name}, {self.work}"

    @property
    def model(self) -> str:
        """The model that the task measures. A Train task measures the model that it starts from."""
        series = self.asks.model
        if series is None:
            return f"the base of {self.asks.round_name}"
        trained = series.round if self.asks.task == "Evaluate" else series.round - 1
        return f"series {series.series} after Train {trained}" if trained > 0 else f"start of series {series.series}"

    def metric(self, name: str) -> OwnMetric | None:
        return next((each for each in self.task.status.metrics if each.name == name), None)


@dataclass(frozen=True)
class Group:
    """The tasks of one FederatedModel, or those of a federation's rounds that belong to no model, oldest first."""

    federation: str
    model_name: str
    tasks: tuple[KnownTask, ...]

    @property
    def title(self) -> str:
        return f"model {self.federation}/{self.model_name}" if self.model_name else f"rounds of {self.federation}"


@dataclass(frozen=True)
class ReportInput:
    """`unread`: names of tasks whose assignment this program cannot read. `site`: None if the caller may not read it.
    `datasets`: those that the tasks use, or all."""

    namespace: str
    site: Site | None
    groups: tuple[Group, ...]
    unread: tuple[str, ...]
    datasets: tuple[Dataset, ...]
    now: datetime

    @property
    def hospital(self) -> str:
        """Its name on the hub."""
        return self.site.spec.hub.participant_namespace if self.site else self.namespace

    @property
    def tasks(self) -> tuple[KnownTask, ...]:
        return tuple(each for group in self.groups for each in group.tasks)


def parse(
    namespace: str, site_item: Object | None, tasks: Sequence[Object], datasets: Sequence[Object], now: datetime
) -> ReportInput:
    """All that the site knows. Raises codec.Malformed."""
    parsed = [read(sitetask.parse, each) for each in tasks]
    known = [(each, assignment_of(each)) for each in parsed]
    readable = [KnownTask(task, asks) for task, asks in known if asks is not None]
    return ReportInput(
        namespace=namespace,
        site=read(site.parse, site_item) if site_item else None,
        groups=_groups(readable),
        unread=tuple(sorted(task.metadata.name for task, asks in known if asks is None)),
        datasets=tuple(read(dataset.parse, each) for each in datasets),
        now=now,
    )


def about(seen: ReportInput, task: str) -> ReportInput:
    """The part that belongs to the model of this task. Without a model: to the rounds of its federation that belong to
    none. Nothing if the task's assignment cannot be read."""
    groups = tuple(group for group in seen.groups if any(each.name == task for each in group.tasks))
    used = {each.asks.dataset_name for group in groups for each in group.tasks}
    datasets = tuple(each for each in seen.datasets if each.metadata.name in used)
    return ReportInput(seen.namespace, seen.site, groups, (), datasets, seen.now)


def _groups(tasks: Iterable[KnownTask]) -> tuple[Group, ...]:
    """By the model's UID: a model that was deleted and made again is another one."""
    made: dict[tuple[str, str, str], list[KnownTask]] = {}
    for each in sorted(tasks, key=lambda each: (each.asks.issued, each.name)):
        made.setdefault((each.asks.round_namespace, *_model_of(each.asks)), []).append(each)
    return tuple(Group(federation, name, tuple(made[federation, name, uid])) for federation, name, uid in sorted(made))


def _model_of(asks: Assignment) -> tuple[str, str]:
    """Name and UID of the task's FederatedModel; empty texts for a round of a person."""
    if asks.model is not None:
        return asks.model.name, asks.model.uid
    # A Deliver round belongs to no series.
    return (asks.delivery.model_name, asks.delivery.model_uid) if asks.delivery else ("", "")
