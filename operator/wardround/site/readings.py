"""Looks at one Dataset: its status, and the Job that reads it. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

import logging
import re

from wardround.api import dataset, names
from wardround.api import site as sites
from wardround.api.dataset import Dataset
from wardround.api.site import Site
from wardround.api.times import parse_time
from wardround.clock import Clock
from wardround.kube.errors import Forbidden, Invalid
from wardround.kube.events import Reporter
from wardround.manifests import reading as manifest
from wardround.plans import reading
from wardround.plans.reading import Observation, Plan, ReadingJob
from wardround.plans.sitetask.job import workload
from wardround.plans.sitetask.pod import parse_job
from wardround.ports import Api, Object
from wardround.site.control import TakesControl
from wardround.site.link import HubLink
from wardround.site.observe import addresses, find, newest_pod

# The gate would prove nothing: neither the hub nor this cluster's API server answered.
UNPROVEN_SECONDS = 30.0
# Of a request, as many as the kind takes in status.reading.request.
MOST_CHARACTERS = 256
logger = logging.getLogger(__name__)


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
        item = await find(self._own, "Dataset", name)
        if item is None:
            return None
        observed = dataset.parse(item)
        schema = await find(self._own, "DataSchema", observed.spec.schema_name)
        site_item = await find(self._own, "Site", names.SITE)
        seen = Observation(
            name=name,
            spec=item["spec"],
            schema=schema["spec"] if schema else None,
            status=observed.status,
            generation=observed.metadata.generation,
            request=observed.metadata.annotations.get(names.READ, "")[:MOST_CHARACTERS] or None,
            site=sites.parse(site_item) if site_item else None,
            reading=await self._reading(observed),
            now=self._clock(),
        )
        planned = reading.plan(seen)
        written = await self._reporter.write(item, observed.status, planned.status)
        if planned.delete is not None:
            await self._own.delete("Job", planned.delete.name, uid=planned.delete.uid)
        if planned.create and seen.site is not None:
            return await self._create(written or item, observed, seen, seen.site, planned)
        return planned.again_seconds

    async def reconcile_schema(self, name: str) -> None:
        """A DataSchema has come or gone: looks at all Datasets that name it."""
        for item in await self._own.list("Dataset"):
            if item["spec"]["schemaName"] == name:
                await self.reconcile(item["metadata"]["name"])

    async def _reading(self, observed: Dataset) -> ReadingJob | None:
        item = await find(self._own, "Job", names.reading_name(observed.metadata.uid))
        if item is None:
            return None
        annotations = item["metadata"].get("annotations") or {}
        return ReadingJob(
            job=parse_job(item),
            pod=await newest_pod(self._own, observed.metadata.uid, job_uid=item["metadata"]["uid"]),
            generation=_generation(annotations.get(names.GENERATION, "")),
            schema_digest=annotations.get(names.SCHEMA_DIGEST),
            request=annotations.get(names.READ) or None,
            created=parse_time(item["metadata"]["creationTimestamp"]),
        )

    async def _create(
        self, item: Object, observed: Dataset, seen: Observation, site: Site, planned: Plan
    ) -> float | None:
        node, own = await addresses(self._own)
        hub = self._link.client.server if self._link.client else ""
        control = await self._controls.take(hub=hub, store=site.spec.store.origin, node=node, own=own)
        if not control.proven:
            logger.warning(
                "dataset %s: no pod reads it yet. A pod reads data only after a test that its network is closed, and "
                "this test needs an address that the site operator itself reaches. It reaches neither the hub nor the "
                "Kubernetes API now, and tries again",
                seen.name,
            )
            return UNPROVEN_SECONDS
        policy = site.spec.policy
        assert seen.schema is not None, "a reading is due only with a DataSchema"
        job = manifest.ReadingJob(
            namespace=self._own.namespace,
            dataset_name=seen.name,
            dataset_uid=observed.metadata.uid,
            generation=seen.generation,
            schema_digest=planned.status.schema_digest or "",
            request=seen.request or "",
            operator_image=self._operator_image,
            isolation=control.targets,
            isolation_seconds=control.seconds,
            link_local=policy.link_local,
            dataset=seen.spec,
            schema=seen.schema,
            split_fingerprint=planned.status.split_fingerprint or "",
            min_samples=policy.min_samples,
            min_cell=policy.min_cell,
            max_left_out=policy.max_left_out,
            workload=workload(site),
        )
        try:
            await self._own.create(manifest.build(job))
        except (Forbidden, Invalid) as refusal:
            after = reading.refused(seen, planned.status, "JobNotAdmitted", str(refusal)[:1024])
            await self._reporter.write(item, planned.status, after)
            return reading.ADMISSION_SECONDS
        return None
