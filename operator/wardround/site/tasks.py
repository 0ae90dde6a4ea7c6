"""One task at the site: observe, plan, execute. The plans decide; this only reads, and writes what they say."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.api import dataset, names, roundtask, sitetask
from wardround.api import site as sites
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTaskStatus
from wardround.api.sitetask import SiteTask, SiteTaskSpec, SiteTaskStatus
from wardround.api.task import manifest
from wardround.api.times import to_seconds
from wardround.clock import Clock
from wardround.documents.training import training_job
from wardround.kube.errors import ApiError, Forbidden, Invalid, NotFound
from wardround.kube.events import Reporter
from wardround.manifests.training import build
from wardround.plans import dataset as dataset_plan
from wardround.plans import link_local
from wardround.plans.sitetask import hub as telling
from wardround.plans.sitetask import memory
from wardround.plans.sitetask import plan as plans
from wardround.plans.sitetask import pod as pods
from wardround.plans.sitetask.state import is_accepted, is_final, needs_no_place
from wardround.plans.sitetask.status import hampered
from wardround.plans.sitetask.types import Action, Observation, Plan, sooner
from wardround.ports import Api, Object
from wardround.site.control import Control, TakesControl
from wardround.site.link import HubLink
from wardround.wire import codec
from wardround.wire.training import LiveRounds

TRAINING = f"{names.ROLE}={names.ROLE_TRAINING}"
# Between two looks at a task for which there was no room.
FULL_SECONDS = 30.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Live:
    """What was read, as JSON, beside what the plan sees of it."""

    seen: Observation
    site: Object
    task: Object
    round_task: Object | None
    datasets: Mapping[str, Object]
    control: Control | None


@dataclass(frozen=True)
class _Hub:
    """What the hub has of a task, if it was `reached`; `failure`: why it was not, though it is not known to be away."""

    reached: bool
    task: Object | None = None
    failure: ApiError | None = None


class TaskReconciler:
    """`wake` asks for another task to be looked at: one that waits for the place that this one gives up.

    `full_changed`: the site has come to hold as many tasks as it may, or fewer again.
    """

    def __init__(
        self,
        own: Api,
        reporter: Reporter,
        link: HubLink,
        *,
        operator_image: str,
        participant: Callable[[], Participant | None],
        wake: Callable[[str], None],
        full_changed: Callable[[], None],
        controls: TakesControl,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._own = own
        self._reporter = reporter
        self._link = link
        self._image = operator_image
        self._participant = participant
        self._wake = wake
        self._full_changed = full_changed
        self._full = False
        self._controls = controls
        # When the hub was last told of a task that runs, by name. A new process tells at once.
        self._told: dict[str, datetime] = {}
        # For which there was no room when they were last looked at.
        self._left_alone: set[str] = set()

    async def reconcile(self, name: str) -> float | None:
        """Returns in how many seconds to look again.

        Raises ApiError, to be tried again: of the own cluster, or of a hub that could not be seen or told. What can be
        done without the hub is done all the same.
        """
        hub = await self._round_task(name)
        again = await self._reconcile(name, hub)
        if hub.failure is not None:
            raise hub.failure
        return again

    async def _reconcile(self, name: str, hub: _Hub) -> float | None:
        self._left_alone.discard(name)
        live = await self._observe(name, hub)
        if name in self._left_alone:
            return FULL_SECONDS
        plan = plans.plan(live.seen) if live is not None else None
        if live is None or plan is None:
            self._told.pop(name, None)
            return None
        return sooner(plan.again_seconds, await self._execute(live, plan))

    async def _observe(self, name: str, hub: _Hub) -> _Live | None:
        try:
            site_item = await self._own.get("Site", names.SITE)
        except NotFound:
            return None
        site = sites.parse(site_item)
        there = hub.task
        item = await self._find("SiteTask", name)
        if item is None:
            item = await self._take(name, there) if there is not None else None
        if item is None:
            return None
        task = sitetask.parse(item)
        if there is not None and there["metadata"]["uid"] != task.spec.round_task_uid:
            await self._refuse_recreated(there)
            there = None
        datasets = {each["metadata"]["name"]: each for each in await self._own.list("Dataset")}
        job = await self._job(task)
        others = await self._others(name) if plans.looks_at_others(task, job) else ()
        control = await self._control(site, task) if job is None else None
        return _Live(
            seen=Observation(
                site=site,
                task=task,
                round_task=roundtask.parse(there) if there else None,
                hub_reached=hub.reached,
                others=others,
                busy=await self._busy() if others and job is None else frozenset(),
                datasets={key: each["spec"] for key, each in datasets.items()},
                job=job,
                pod=await self._pod(task) if job else None,
                isolation_proven=control is not None and control.proven,
                now=self._clock(),
            ),
            site=site_item,
            task=item,
            round_task=there,
            datasets=datasets,
            control=control,
        )

    async def _round_task(self, name: str) -> _Hub:
        """While the hub is known to be away nothing waits for it: all tasks are looked at once it is back."""
        if self._link.client is None or not self._link.connected:
            return _Hub(reached=False)
        try:
            return _Hub(reached=True, task=await self._link.client.get("RoundTask", name))
        except NotFound:
            return _Hub(reached=True)
        except ApiError as failure:
            return _Hub(reached=False, failure=failure)

    async def _find(self, kind: str, name: str) -> Object | None:
        try:
            return await self._own.get(kind, name)
        except NotFound:
            return None

    async def _job(self, task: SiteTask) -> pods.Job | None:
        found = await self._find("Job", task.metadata.name)
        return pods.parse_job(found) if found is not None and _owned(found, task) else None

    async def _others(self, name: str) -> tuple[SiteTask, ...]:
        """Hundreds, of 4 kB each: read only where something depends on them."""
        items = await self._own.list("SiteTask")
        full = len(items) >= memory.MOST
        if full is not self._full:
            self._full = full
            self._full_changed()
        return tuple(sitetask.parse(item) for item in items if item["metadata"]["name"] != name)

    async def _busy(self) -> frozenset[str]:
        """Names of the Jobs that are not over. Those that ended well, which are most, stay at the API server."""
        jobs = await self._own.list("Job", labels=TRAINING, fields="status.successful=0")
        return frozenset(job.name for job in map(pods.parse_job, jobs) if not job.finished)

    async def _take(self, name: str, there: Object) -> Object | None:
        """A new SiteTask, if there is room for one."""
        await self._others(name)
        if not self._full:
            return await self._mirror(there)
        self._left_alone.add(name)
        await self._leave_alone(there, "TooManyTasks", memory.FULL)
        return None

    async def _mirror(self, there: Object) -> Object | None:
        """The SiteTask of a RoundTask that has none yet. What has ended there is not begun here."""
        task = roundtask.parse(there)
        if is_final(task) or task.spec.cancel:
            return None
        spec = SiteTaskSpec(
            round_ref=task.spec.round_ref,
            round_task_uid=task.metadata.uid,
            attempt=task.spec.attempt,
            assignment=task.spec.assignment,
            hub_key=task.spec.hub_key,
            grants=task.spec.grants,
        )
        labels = names.task_labels(
            task.spec.round_ref.name, task.spec.round_ref.uid, task.metadata.namespace, task.spec.attempt
        )
        item = manifest(sitetask.KIND, task.metadata.name, self._own.namespace, labels, spec)
        try:
            return await self._own.create(item)
        except (Forbidden, Invalid) as refused:
            await self._leave_alone(there, "SiteTaskNotAdmitted", str(refused))
            raise

    async def _leave_alone(self, there: Object, reason: str, said: str) -> None:
        """`said`: for this site's log; the hub hears the reason alone."""
        task = roundtask.parse(there)
        if is_final(task) or task.spec.cancel or self._link.client is None:
            return
        status = telling.left_alone(task, reason, self._clock())
        if status != task.status:
            logger.warning("task %s: %s", task.metadata.name, said)
            await self._link.client.apply_status(there, codec.dump(task.status), codec.dump(status))

    async def _refuse_recreated(self, there: Object) -> None:
        task = roundtask.parse(there)
        if not is_final(task) and self._link.client is not None:
            refused = telling.refuse_recreated(task, self._clock())
            await self._link.client.apply_status(there, codec.dump(task.status), codec.dump(refused))

    async def _control(self, site: sites.Site, task: SiteTask) -> Control | None:
        """The positive control, when a Job may be about to be made."""
        if not is_accepted(task) or is_final(task):
            return None
        node, own = await self._addresses()
        hub = self._link.client.server if self._link.client else ""
        return await self._controls.take(hub=hub, store=site.spec.store.origin, node=node, own=own)

    async def _addresses(self) -> tuple[Sequence[str], Sequence[str]]:
        """Of this pod's node and of this pod. Outside a cluster there is neither."""
        try:
            status = (await self._own.get("Pod", os.environ.get("HOSTNAME", "none")))["status"]
        except NotFound:
            return (), ()
        return (
            [each["ip"] for each in status.get("hostIPs", ())],
            [each["ip"] for each in status.get("podIPs", ())],
        )

    async def _pod(self, task: SiteTask) -> pods.Pod | None:
        found = await self._own.list("Pod", labels=f"{names.TASK_UID}={task.metadata.uid}")
        newest = max(found, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)
        return pods.parse_pod(newest) if newest else None

    async def _execute(self, live: _Live, plan: Plan) -> float | None:
        """Returns in how many seconds there is more to tell the hub."""
        task = live.seen.task
        await self._tell_dataset(live, plan)
        await self._tell_site(live, plan)
        after = await self._write(live, task, plan.status)
        failure: Exception | None = None
        for action in plan.actions:
            try:
                after = await self._act(action, live, plan, after)
            except Exception as raised:
                failure = raised
                refused = isinstance(raised, Forbidden | Invalid)
                told = hampered(_with(task, after), action, _said(raised), live.seen.now, refused=refused)
                after = await self._write(live, _with(task, after), told)
                break
        # Whatever became of the actions, the hub hears how the task stands.
        again = await self._tell_hub(live, after, plan)
        if failure is not None:
            raise failure
        return again

    async def _act(self, action: Action, live: _Live, plan: Plan, after: SiteTaskStatus) -> SiteTaskStatus:
        """The status afterwards."""
        task = live.seen.task
        match action:
            case "CreateJob":
                await self._create_job(live, plan)
            case "DeleteJob" if live.seen.job is not None:
                await self._own.delete("Job", live.seen.job.name, uid=live.seen.job.uid)
            case "DeleteTask":
                await self._own.delete("SiteTask", task.metadata.name, uid=task.metadata.uid)
            case "Mirror" if live.seen.round_task is not None:
                spec = live.seen.round_task.spec
                change = {"grants": spec.grants, **({"cancel": True} if spec.cancel else {})}
                body = {"metadata": {"uid": task.metadata.uid}, "spec": change}
                mirrored = await self._own.patch("SiteTask", task.metadata.name, body)
                live.task["metadata"]["resourceVersion"] = mirrored["metadata"]["resourceVersion"]
        return after

    async def _write(self, live: _Live, task: SiteTask, status: SiteTaskStatus) -> SiteTaskStatus:
        """`task` as it was written last. Whoever waits for what this gives up is woken."""
        # What the courier has written meanwhile is for the next look.
        written = await self._reporter.write(live.task, _without_courier(task.status), _without_courier(status))
        if written is None:
            return status
        live.task["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"]
        _log(task, status)
        ends = is_final(_with(task, status)) and not is_final(task)
        if not ends and not _gives_up_its_place(task, status):
            return status
        others = live.seen.others or await self._others(task.metadata.name)
        if _gives_up_its_place(task, status):
            for other in others:
                if not is_final(other):
                    self._wake(other.metadata.name)
        if ends:
            every = (_with(task, status), *others)
            for name in memory.dispensable(every):
                self._wake(name)
        return status

    async def _create_job(self, live: _Live, plan: Plan) -> None:
        seen, assignment = live.seen, plan.assignment
        if assignment is None or live.control is None:
            raise RuntimeError("a Job was planned without assignment or control")
        participant = self._participant()
        pin = seen.site.spec.hub.fingerprint
        rounds = memory.live_rounds(seen.task, seen.others, pin, seen.now)
        states = memory.live_states(seen.task, seen.others, pin, rounds)
        job = training_job(
            seen.site,
            seen.task,
            assignment,
            live.datasets[assignment.dataset_name],
            isolation=live.control.targets,
            isolation_seconds=live.control.seconds,
            max_samples=participant.spec.max_samples if participant else None,
            live=LiveRounds(tuple(rounds), tuple(states), to_seconds(seen.now)),
            operator_image=self._image,
        )
        await self._own.create(build(job))

    async def _tell_dataset(self, live: _Live, plan: Plan) -> None:
        item = live.datasets.get(plan.assignment.dataset_name) if plan.assignment else None
        if plan.prepared is None or item is None:
            return
        found = dataset.parse(item)
        status = dataset_plan.plan(
            item["spec"],
            found.status,
            plan.prepared,
            generation=found.metadata.generation,
            now=live.seen.now,
        )
        await self._reporter.write(item, found.status, status)

    async def _tell_site(self, live: _Live, plan: Plan) -> None:
        if plan.watched is None:
            return
        site = live.seen.site
        status = link_local.plan(site.status, plan.watched, generation=site.metadata.generation, now=live.seen.now)
        await self._reporter.write(live.site, site.status, status)

    async def _tell_hub(self, live: _Live, status: SiteTaskStatus, plan: Plan) -> float | None:
        if live.seen.round_task is None or live.round_task is None or self._link.client is None:
            return None
        name, now = live.seen.task.metadata.name, live.seen.now
        before: RoundTaskStatus = live.seen.round_task.status
        after = telling.mirror(status, live.seen.round_task, plan.assignment)
        told = self._told.get(name)
        seconds = telling.due(before, after, (now - told).total_seconds() if told else math.inf)
        if seconds != 0:
            return seconds
        await self._link.client.apply_status(live.round_task, codec.dump(before), codec.dump(after))
        if is_final(_with(live.seen.task, status)):
            self._told.pop(name, None)
        else:
            self._told[name] = now
        return None


def _owned(job: Mapping[str, Any], task: SiteTask) -> bool:
    """Not of an older SiteTask of the same name, which the garbage collector is about to remove."""
    return any(owner["uid"] == task.metadata.uid for owner in job["metadata"].get("ownerReferences", ()))


def _gives_up_its_place(task: SiteTask, status: SiteTaskStatus) -> bool:
    return needs_no_place(_with(task, status)) and not needs_no_place(task)


def _with(task: SiteTask, status: SiteTaskStatus) -> SiteTask:
    return dataclasses.replace(task, status=status)


def _without_courier(status: SiteTaskStatus) -> SiteTaskStatus:
    return dataclasses.replace(status, courier=None)


def _said(failure: Exception) -> str:
    return str(failure) if isinstance(failure, ApiError) else f"{type(failure).__name__}: {failure}"


def _log(task: SiteTask, status: SiteTaskStatus) -> None:
    before = {each.type: each for each in task.status.conditions}
    for each in status.conditions:
        old = before.get(each.type)
        if each.status == "True" and each.type != "Stalled" and (old is None or old.reason != each.reason):
            logger.info("task %s: %s %s %s", task.metadata.name, each.type, each.reason, each.message)
