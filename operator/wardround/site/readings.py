"""Looks at one Dataset: its status, and the Job that reads it. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

import re

from wardround.api import dataset, names
from wardround.api import site as sites
from wardround.api.dataset import Dataset
from wardround.api.times import parse_time
from wardround.plans import reading
from wardround.plans.pod import parse_job
from wardround.plans.reading import Observation, ObservedReading
from wardround.site.closed_jobs import carry_out, decide
from wardround.site.context import PodContext
from wardround.site.observe import newest_pod

# The longest request that the kind takes in status.reading.request.
MOST_CHARACTERS = 256


def _generation(text: str) -> int:
    """The generation in an annotation; 0, which no Dataset has, if the text is none. Anyone who may write Jobs may have
    written it."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


class DatasetReconciler:
    def __init__(self, context: PodContext) -> None:
        self._context = context

    async def reconcile(self, name: str) -> float | None:
        """Returns `requeue_after`. Raises ApiError of the own cluster, also while the hub is away."""
        item = await self._context.own.get_if_exists("Dataset", name)
        if item is None:
            return None
        observed = dataset.parse(item)
        schema = await self._context.own.get_if_exists("DataSchema", observed.spec.schema_name)
        site_item = await self._context.own.get_if_exists("Site", names.SITE)
        seen = Observation(
            namespace=self._context.own.namespace,
            name=name,
            uid=observed.metadata.uid,
            spec=item["spec"],
            schema=schema["spec"] if schema else None,
            status=observed.status,
            generation=observed.metadata.generation,
            request=observed.metadata.annotations.get(names.READ, "")[:MOST_CHARACTERS] or None,
            site=sites.parse(site_item) if site_item else None,
            reading=await self._reading(observed),
            operator_image=self._context.operator_image,
            now=self._context.clock(),
        )
        seen, planned = await decide(self._context, seen, reading.plan)
        return await carry_out(
            self._context,
            item,
            observed.status,
            planned,
            lambda words: reading.not_admitted(seen, planned, words),
        )

    async def reconcile_schema(self, name: str) -> None:
        """A DataSchema has come or gone: looks at all Datasets that name it."""
        for item in await self._context.own.list("Dataset"):
            if item["spec"]["schemaName"] == name:
                await self.reconcile(item["metadata"]["name"])

    async def _reading(self, observed: Dataset) -> ObservedReading | None:
        item = await self._context.own.get_if_exists("Job", names.reading_name(observed.metadata.uid))
        if item is None:
            return None
        annotations = item["metadata"].get("annotations") or {}
        return ObservedReading(
            job=parse_job(item),
            pod=await newest_pod(self._context.own, observed.metadata.uid, job_uid=item["metadata"]["uid"]),
            generation=_generation(annotations.get(names.GENERATION, "")),
            schema_digest=annotations.get(names.SCHEMA_DIGEST),
            request=annotations.get(names.READ) or None,
            created=parse_time(item["metadata"]["creationTimestamp"]),
        )
