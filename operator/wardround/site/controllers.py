"""The controllers of the site operator: which keys an event concerns. own and reconcile say what is done about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wardround.api import approval, conditions, dataschema, dataset, participant, roundtask, sitetask
from wardround.api import site as sites
from wardround.api.names import DATASET, ROLE, ROLE_TRAINING, ROUND_UID, SITE
from wardround.kube.controller import Key, Source, Wake
from wardround.ports import Object
from wardround.site.approvals import ApprovalReconciler
from wardround.site.readings import DatasetReconciler
from wardround.site.reconcile import TaskReconciler
from wardround.site.site_object import SiteReconciler

JOB_NAME = "batch.kubernetes.io/job-name"


def site_key(namespace: str) -> Key:
    return Key(sites.KIND, namespace, SITE)


def task_key(namespace: str, name: str) -> Key:
    return Key(sitetask.KIND, namespace, name)


class SiteController:
    """The one Site of a namespace. It also says which Datasets there are, and what the hub says of this hospital."""

    kind = sites.KIND
    sources: Mapping[str, Source] = {
        sites.KIND: Source.OWN,
        dataset.KIND: Source.OWN,
        participant.KIND: Source.HUB,
    }

    def __init__(self, reconciler: SiteReconciler, namespace: str) -> None:
        self._reconciler = reconciler
        self._namespace = namespace

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(site_key(self._namespace)),)

    async def reconcile(self, key: Key) -> float | None:
        return await self._reconciler.reconcile()

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""


class DatasetController:
    """A Dataset, and the Job that reads it. By the Site's policy, a reading may be due."""

    kind = dataset.KIND
    sources: Mapping[str, Source] = {dataset.KIND: Source.OWN, "Job": Source.OWN, sites.KIND: Source.OWN}

    def __init__(self, reconciler: DatasetReconciler) -> None:
        self._reconciler = reconciler

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        metadata = item["metadata"]
        if kind == dataset.KIND:
            return (Wake(Key(kind, metadata["namespace"], metadata["name"])),)
        if kind == sites.KIND:
            listed = item["spec"].get("policy", {}).get("datasets", ())
            return [Wake(Key(dataset.KIND, metadata["namespace"], each["name"]), behind=True) for each in listed]
        name = (metadata.get("labels") or {}).get(DATASET)
        return (Wake(Key(dataset.KIND, metadata["namespace"], name)),) if name and _only_reads(item) else ()

    async def reconcile(self, key: Key) -> float | None:
        return await self._reconciler.reconcile(key.name)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""


class DataSchemaController:
    """Wardround writes nothing to a DataSchema: the Datasets that name it wait for it."""

    kind = dataschema.KIND
    sources: Mapping[str, Source] = {dataschema.KIND: Source.OWN}

    def __init__(self, reconciler: DatasetReconciler) -> None:
        self._reconciler = reconciler

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])),)

    async def reconcile(self, key: Key) -> None:
        await self._reconciler.reconcile_schema(key.name)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""


class ApprovalController:
    """An Approval, on which tasks that wait and tasks that run may depend."""

    kind = approval.KIND
    sources: Mapping[str, Source] = {approval.KIND: Source.OWN}

    def __init__(self, reconciler: ApprovalReconciler) -> None:
        self._reconciler = reconciler

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])),)

    async def reconcile(self, key: Key) -> float | None:
        return await self._reconciler.reconcile(key.name)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""


class TaskController:
    """A task: the RoundTask at the hub, and here the SiteTask, the Job and its pod, which all have one name."""

    kind = sitetask.KIND
    sources: Mapping[str, Source] = {
        sitetask.KIND: Source.OWN,
        roundtask.KIND: Source.HUB,
        "Job": Source.OWN,
        "Pod": Source.OWN,
    }

    def __init__(self, reconciler: TaskReconciler, namespace: str) -> None:
        self._reconciler = reconciler
        self._namespace = namespace

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        name, labels = item["metadata"]["name"], item["metadata"].get("labels") or {}
        match kind:
            case sitetask.KIND | roundtask.KIND:
                # What is left to do about a task that has ended keeps no other task waiting.
                return (Wake(task_key(self._namespace, name), behind=conditions.is_final(item)),)
            case "Job" | "Pod" if _only_reads(item):
                return ()
            case "Job" if labels.get(ROLE) == ROLE_TRAINING:
                return (Wake(task_key(self._namespace, name)),)
            case "Pod" if labels.get(ROLE) == ROLE_TRAINING and JOB_NAME in labels:
                return (Wake(task_key(self._namespace, labels[JOB_NAME])),)
            case _:
                return ()

    async def reconcile(self, key: Key) -> float | None:
        return await self._reconciler.reconcile(key.name)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""


def _only_reads(item: Object) -> bool:
    """Whether a Job or pod reads a Dataset without a round."""
    labels = item["metadata"].get("labels") or {}
    return labels.get(ROLE) == ROLE_TRAINING and ROUND_UID not in labels
