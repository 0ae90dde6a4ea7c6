"""Looks at one Prediction: its status, and the Job that predicts. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardround.api import names, prediction
from wardround.api import site as sites
from wardround.api.prediction import Prediction
from wardround.api.times import parse_time
from wardround.clock import Clock
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import AlreadyExists, Forbidden, Invalid
from wardround.kube.events import Reporter
from wardround.manifests import prediction as manifest
from wardround.plans import prediction as plans
from wardround.plans.prediction import Made, Observation
from wardround.plans.sitetask.pod import parse_job
from wardround.ports import Api, Object
from wardround.site.control import TakesControl
from wardround.site.link import HubLink
from wardround.site.observe import newest_pod, take_control


class PredictionReconciler:
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
        """Returns in how many seconds to look again. Raises ApiError of the own cluster, and asks no hub."""
        item = await self._own.get_if_exists(prediction.KIND, name)
        if item is None:
            return None
        observed = prediction.parse(item)
        if plans.is_over(observed):
            return None
        dataset = await self._own.get_if_exists("Dataset", observed.spec.dataset_name)
        site_item = await self._own.get_if_exists("Site", names.SITE)
        seen = Observation(
            prediction=observed,
            dataset=dataset["spec"] if dataset else None,
            site=sites.parse(site_item) if site_item else None,
            made=await self._made(observed),
            operator_image=self._operator_image,
            now=self._clock(),
        )
        planned = plans.plan(seen)
        if planned.needs_control and seen.site is not None:
            control = await take_control(self._own, self._link, self._controls, seen.site)
            seen = replace(seen, control=control)
            planned = plans.plan(seen)
        written = await self._reporter.write(item, observed.status, planned.status)
        if planned.delete is not None:
            await self._own.delete("Job", planned.delete.name, uid=planned.delete.uid)
        if planned.create is None:
            return planned.again_seconds
        try:
            await self._own.create(manifest.build(planned.create))
        except AlreadyExists:
            return 0.0  # a Job of the name was made since: the next look sees it
        except (Forbidden, Invalid) as refusal:
            refused = plans.not_admitted(seen, str(refusal))
            await self._reporter.write(written or item, planned.status, refused.status)
            return refused.again_seconds
        return planned.again_seconds

    async def _made(self, observed: Prediction) -> Made | None:
        item = await self._own.get_if_exists("Job", names.prediction_name(observed.metadata.uid))
        if item is None:
            return None
        return Made(
            job=parse_job(item),
            pod=await newest_pod(self._own, observed.metadata.uid, job_uid=item["metadata"]["uid"]),
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
