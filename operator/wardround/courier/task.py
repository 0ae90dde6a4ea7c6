"""Follows one task: asks plans/courier for the next step and carries it out. Decides nothing, starts anew at any point.

It reads from the workspace and the object what is done already, and never from memory. So a restarted courier continues
where the last one stopped. The log has only names, reasons and sizes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import partial, singledispatchmethod
from typing import Any

from wardround.api import approval, sitetask
from wardround.api.sitetask import CourierReport, SiteTask
from wardround.clock import Clock, Draw
from wardround.courier import fetch, send
from wardround.courier.keys import Identity
from wardround.courier.models import ModelsUnusable, ModelsVolume, package
from wardround.courier.settings import Pins
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.kube.client import backoff
from wardround.kube.errors import ApiError, Conflict, NotFound
from wardround.plans.courier.report import report
from wardround.plans.courier.step import MODEL, UNREPORTED_SECONDS, after, failures_after, next_step, stops_transfers
from wardround.plans.courier.types import (
    ApprovalView,
    AwaitUpdate,
    Deliver,
    Fetch,
    FolderView,
    Leave,
    LookAtApproval,
    LookAtFolder,
    Observation,
    OpenedGrants,
    OpenGrants,
    Report,
    Rest,
    Seal,
    Send,
    Trouble,
    TryAgain,
    Work,
)
from wardround.ports import Api, Object, Store
from wardround.sealing import untrusted
from wardround.sealing.grants import open_grants
from wardround.sealing.keys import load_verification_key
from wardround.sealing.refused import Refused
from wardround.store.errors import StoreError
from wardround.threads import beside, beside_until_cancelled

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What all tasks share. `models`: None if the site takes no deliveries."""

    client: Api
    identity: Identity
    pins: Pins
    store: Store
    workspace: Workspace
    models: ModelsVolume | None
    turn: Turn
    clock: Clock
    draw: Draw


@dataclass
class Pass:
    """The results of the steps since the courier last rested."""

    approval: ApprovalView | None = None
    folder: FolderView | None = None
    grants: OpenedGrants | None = None
    sealed: send.Sealed | None = None
    sent: bool = False
    delivered: bool = False


class TaskRunner:
    """Follows one SiteTask, of one UID, until it is final or gone."""

    def __init__(self, means: Means, item: Object) -> None:
        self._means = means
        self._item = item
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._deleted = False
        self._pass = Pass()
        self.uid: str = item["metadata"]["uid"]
        self.name: str = item["metadata"]["name"]
        self._folder: TaskFolder = means.workspace.task(self.uid)

    def observe(self, item: Object) -> None:
        """The object as the watch now has it."""
        self._item = item
        if stops_transfers(self._task):
            self._over.set()
        self._changed.set()

    def leave(self) -> None:
        """The object is gone."""
        self._deleted = True
        self._over.set()
        self._changed.set()

    async def run(self) -> None:
        """Until the end of the task, in the middle of a transfer if need be."""
        failures = 0
        while True:
            self._changed.clear()
            step: Rest | Leave | TryAgain
            try:
                decided = next_step(self._observation())
                if not isinstance(decided, Rest | Leave):
                    await self._until_over(self.perform(decided))
                    failures = failures_after(decided, failures)
                    continue
                step = decided
            except (Refused, StoreError, ApiError, ModelsUnusable, OSError) as failure:
                # An OSError names a path at most, and the store's errors carry no URL.
                logger.warning("task %s: %s: %s", self.name, type(failure).__name__, failure)
                step = after(_trouble(failure), failures)
            self._pass = Pass()
            if isinstance(step, Leave):
                break
            if isinstance(step, Rest):
                failures = failures_after(step, failures)
                await self._changed.wait()
            else:
                failures = step.failures
                await self._change(await self._report_trouble(step))
        await beside(self._folder.remove)

    def _observation(self) -> Observation:
        made = self._pass
        return Observation(
            task=self._task,
            deleted=self._deleted,
            approval=self._means.pins.approval,
            hub_fingerprint=self._means.pins.hub_fingerprint,
            lowest_version=self._means.pins.lowest_assignment_version,
            site_fingerprint=self._means.identity.fingerprint,
            takes_models=self._means.models is not None,
            read_approval=made.approval,
            folder=made.folder,
            grants=made.grants,
            sealed=made.sealed.view if made.sealed else None,
            sent=made.sent,
            delivered=made.delivered,
            now=self._means.clock(),
        )

    async def _until_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Does `work`, and cancels it when the task is over. Raises what `work` raises."""
        working, over = asyncio.create_task(work), asyncio.create_task(self._over.wait())
        both = (working, over)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            # Nobody writes into the folder any more when it is removed.
            await asyncio.wait(both)
        if not working.cancelled():
            working.result()

    @property
    def _task(self) -> SiteTask:
        return sitetask.parse(self._item)

    @singledispatchmethod
    async def perform(self, step: Work) -> None:
        """Raises Refused, StoreError, ApiError, ModelsUnusable, OSError."""
        raise TypeError(f"no way to perform {step}")

    @perform.register
    async def _look_at_approval(self, step: LookAtApproval) -> None:
        item = await self._means.client.get_if_exists(approval.KIND, step.name)
        self._pass.approval = ApprovalView(approval.parse(item) if item else None)

    @perform.register
    async def _look(self, _: LookAtFolder) -> None:
        await beside(self._folder.make)
        self._pass.folder = await beside(self._folder.look)

    @perform.register
    async def _open_grants(self, step: OpenGrants) -> None:
        grants = open_grants(
            untrusted.decode(step.text, "KeyUnusable"),
            self._means.identity.decryption,
            round_uid=step.assignment.round_uid,
            attempt=step.assignment.attempt,
            participant=step.assignment.participant,
        )
        self._pass.grants = OpenedGrants(step.text, grants)

    @perform.register
    async def _fetch(self, step: Fetch) -> None:
        await fetch.fetch(
            step,
            hub_key=load_verification_key(untrusted.decode(self._task.spec.hub_key, "HubNotPinned")),
            key=self._means.identity.decryption,
            store=self._means.store,
            turn=self._means.turn,
            folder=self._folder,
        )
        self._pass.folder = await beside(self._folder.look)

    @perform.register
    async def _await_update(self, step: AwaitUpdate) -> None:
        while not await beside(self._folder.is_trained):
            if await self._change(step.requeue_after):
                self._pass = Pass()
                return
        self._pass.folder = await beside(self._folder.look)

    @perform.register
    async def _seal(self, step: Seal) -> None:
        async with self._means.turn.whole():
            self._pass.sealed = await send.seal(
                step.assignment, self._folder, self._means.identity.signing, step.base_digest
            )

    @perform.register
    async def _send(self, step: Send) -> None:
        await send.send(step.puts, self._means.store, self._folder)
        self._pass.sent = True
        logger.info("task %s: sent %d bytes", self.name, sum(put.bytes for put in step.puts))

    @perform.register
    async def _deliver(self, step: Deliver) -> None:
        claim = self._means.models
        assert claim is not None, "the plan refuses a delivery where there is no claim of models"
        wanted = package(step.assignment, untrusted.decode(self._task.spec.hub_key, "HubNotPinned"))
        async with self._means.turn.whole():
            await beside_until_cancelled(partial(claim.put, wanted, self._folder.input / MODEL))
        self._pass.delivered = True
        logger.info("task %s: delivered version %d of model %s", self.name, wanted.version, wanted.owner.name)

    @perform.register
    async def _report(self, step: Report) -> None:
        """Writes status.courier if that changes it. Raises ApiError."""
        while True:
            observed, before = self._item, dict(self._reported)
            written_before = (self._item.get("status") or {}).get("courier") is not None
            changed = report(before, step.change, step.reason)
            try:
                written = await self._means.client.apply_status(
                    self._item, {"courier": before} if written_before else {}, {"courier": changed} if changed else {}
                )
            except Conflict:
                fresh = await self._means.client.get("SiteTask", self.name)
                if fresh["metadata"]["uid"] != self.uid:
                    raise NotFound(f"task {self.name}", "another SiteTask has its name now") from None
                self._answered(observed, fresh)
                continue
            if written is not None:
                self._answered(observed, written)
            return

    def _answered(self, observed: Object, item: Object) -> None:
        """The API server's answer, unless the watch has told of another version since the courier asked."""
        if self._item is observed:
            self._item = item

    @property
    def _reported(self) -> Mapping[str, Any]:
        return (self._item.get("status") or {}).get("courier") or {}

    async def _change(self, seconds: float) -> bool:
        """Waits for a change of the object, at most so long. Returns whether there was one."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _report_trouble(self, step: TryAgain) -> float:
        """Reports why the task does not go on. Returns in how many seconds to try again."""
        seconds = step.requeue_after
        if seconds is None:
            seconds = backoff(step.failures, draw=self._means.draw)
        if step.reason:
            try:
                await self.perform(Report(change=CourierReport(), reason=step.reason))
            except ApiError as failure:
                logger.warning("task %s: %s", self.name, failure)
                return min(seconds, UNREPORTED_SECONDS)
        return seconds


def _trouble(failure: Exception) -> Trouble:
    match failure:
        case NotFound():
            return Trouble(kind="Gone")
        case Refused():
            return Trouble(kind="Refused", reason=failure.reason)
        case StoreError():
            return Trouble(kind="Store", reason=failure.reason)
        case ModelsUnusable():
            return Trouble(kind="Models", reason=failure.reason)
        case OSError():
            return Trouble(kind="Workspace")
        case _:
            return Trouble(kind="Api")
