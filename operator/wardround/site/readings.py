"""Looks at one Dataset: its status, and the Job that reads it. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

import re
from dataclasses import replace

from wardround.api import dataset, names
from wardround.api import site as sites
from wardround.api.dataset import Dataset
from wardround.api.times import parse_time
from wardround.clock import Clock
from wardround.kube.errors import Forbidden, Invalid
from wardround.kube.events import Reporter
from wardround.manifests import reading as manifest
from wardround.plans import reading
from wardround.plans.reading import Made, Observation
from wardround.plans.sitetask.pod import parse_job
from wardround.ports import Api
from wardround.site.control import TakesControl
from wardround.site.link import HubLink
from wardround.site.observe import newest_pod, take_control

# Of a request, as many as the kind takes in status.reading.request.
MOST_CHARACTERS = 256


def _generation(text: str) -> int:
    """The generation in an annotation; 0, which no Dataset has, if the text is none. Anyone who may write Jobs may have
    written it."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


class DatasetReconciler:
    def __init__(
        self,
        own: Api,
        reporter: Reporter,
        link: HubLink,
        controls: TakesControl,
        operator_image: str,
        clock: Clock,
    ) -> None:
        self._own = own
        self._reporter = reporter
        self._link = link
        self._controls = controls
        self._operator_image = operator_image
        self._clock = clock

    async def reconcile(self, name: str) -> float | None:
        """Returns in how many seconds to look again. Raises ApiError of the own cluster, also while the hub is away."""
        item = await self._own.get_if_exists("Dataset", name)
        if item is None:
            return None
        observed = dataset.parse(item)
        schema = await self._own.get_if_exists("DataSchema", observed.spec.schema_name)
        site_item = await self._own.get_if_exists("Site", names.SITE)
        seen = Observation(
            namespace=self._own.namespace,
            name=name,
            uid=observed.metadata.uid,
            spec=item["spec"],
            schema=schema["spec"] if schema else None,
            status=observed.status,
            generation=observed.metadata.generation,
            request=observed.metadata.annotations.get(names.READ, "")[:MOST_CHARACTERS] or None,
            site=sites.parse(site_item) if site_item else None,
            reading=await self._reading(observed),
            operator_image=self._operator_image,
            now=self._clock(),
        )
        planned = reading.plan(seen)
        if planned.needs_control and seen.site is not None:
            control = await take_control(self._own, self._link, self._controls, seen.site)
            seen = replace(seen, control=control)
            planned = reading.plan(seen)
        written = await self._reporter.write(item, observed.status, planned.status)
        if planned.delete is not None:
            await self._own.delete("Job", planned.delete.name, uid=planned.delete.uid)
        if planned.create is None:
            return planned.again_seconds
        try:
            await self._own.create(manifest.build(planned.create))
        except (Forbidden, Invalid) as refusal:
            refused = reading.not_admitted(seen, planned, str(refusal))
            await self._reporter.write(written or item, planned.status, refused.status)
            return refused.again_seconds
        return planned.again_seconds

    async def reconcile_schema(self, name: str) -> None:
        """A DataSchema has come or gone: looks at all Datasets that name it."""
        for item in await self._own.list("Dataset"):
            if item["spec"]["schemaName"] == name:
                await self.reconcile(item["metadata"]["name"])

    async def _reading(self, observed: Dataset) -> Made | None:
        item = await self._own.get_if_exists("Job", names.reading_name(observed.metadata.uid))
        if item is None:
            return None
        annotations = item["metadata"].get("annotations") or {}
        return Made(
            job=parse_job(item),
            pod=await newest_pod(self._own, observed.metadata.uid, job_uid=item["metadata"]["uid"]),
            generation=_generation(annotations.get(names.GENERATION, "")),
            schema_digest=annotations.get(names.SCHEMA_DIGEST),
            request=annotations.get(names.READ) or None,
            created=parse_time(item["metadata"]["creationTimestamp"]),
        )
