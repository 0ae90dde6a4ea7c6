"""Looks at one Prediction: its status, and the Job that predicts. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wardround.api import conditions, names, prediction
from wardround.api import site as sites
from wardround.api.prediction import Prediction
from wardround.api.times import parse_time
from wardround.kube.controller import Key, Source, Wake
from wardround.plans import prediction as plans
from wardround.plans.pod import parse_job
from wardround.plans.prediction import Observation, ObservedJob
from wardround.ports import Object
from wardround.site.closed_jobs import carry_out, decide
from wardround.site.context import PodContext
from wardround.site.observe import newest_pod


class PredictionReconciler:
    def __init__(self, context: PodContext) -> None:
        self._context = context

    async def reconcile(self, name: str) -> float | None:
        """Returns `requeue_after`. Raises ApiError of the own cluster, and asks no hub."""
        item = await self._context.own.get_if_exists(prediction.KIND, name)
        if item is None:
            return None
        observed = prediction.parse(item)
        if conditions.is_over(observed.status.conditions):
            return None
        dataset = await self._context.own.get_if_exists("Dataset", observed.spec.dataset_name)
        schema_name = dataset["spec"]["schemaName"] if dataset else ""
        schema = await self._context.own.get_if_exists("DataSchema", schema_name) if schema_name else None
        site_item = await self._context.own.get_if_exists("Site", names.SITE)
        seen = Observation(
            prediction=observed,
            dataset=dataset["spec"] if dataset else None,
            schema=schema["spec"] if schema else None,
            site=sites.parse(site_item) if site_item else None,
            made=await self._made(observed),
            operator_image=self._context.operator_image,
            now=self._context.clock(),
        )
        seen, planned = await decide(self._context, seen, plans.plan)
        return await carry_out(
            self._context,
            item,
            observed.status,
            planned,
            lambda words: plans.not_admitted(seen, words),
        )

    async def _made(self, observed: Prediction) -> ObservedJob | None:
        item = await self._context.own.get_if_exists("Job", names.prediction_name(observed.metadata.uid))
        if item is None:
            return None
        return ObservedJob(
            job=parse_job(item),
            pod=await newest_pod(self._context.own, observed.metadata.uid, job_uid=item["metadata"]["uid"]),
            created=parse_time(item["metadata"]["creationTimestamp"]),
        )


class PredictionController:
    """A Prediction, and the Job that predicts."""

    kind = prediction.KIND
    sources: Mapping[str, Source] = {prediction.KIND: Source.OWN, "Job": Source.OWN}

    def __init__(self, reconciler: PredictionReconciler) -> None:
        self._reconciler = reconciler

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        metadata = item["metadata"]
        if kind == prediction.KIND:
            return (Wake(Key(kind, metadata["namespace"], metadata["name"])),)
        owners = [each["name"] for each in metadata.get("ownerReferences") or () if each["kind"] == prediction.KIND]
        return [Wake(Key(prediction.KIND, metadata["namespace"], each)) for each in owners]

    async def reconcile(self, key: Key) -> float | None:
        return await self._reconciler.reconcile(key.name)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""
