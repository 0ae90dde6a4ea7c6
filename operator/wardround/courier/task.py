"""One task's way through the courier: fetch, wait for training, seal, ask for a place, send. Starts anew at any point.

What is done is read off the workspace and the object, never off memory, so that a restart goes on where the last run
was. Nothing here is logged but names, reasons and sizes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from wardround.api import sitetask
from wardround.api.sitetask import SiteTask
from wardround.clock import Clock, Draw
from wardround.courier import fetch, send
from wardround.courier.keys import Identity
from wardround.courier.settings import Pins
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.kube.client import backoff
from wardround.kube.errors import ApiError, Conflict, NotFound
from wardround.plans.assignment import Claim, base_digest, verify
from wardround.plans.sitetask.state import is_accepted, is_final
from wardround.ports import Api, Object, Store
from wardround.sealing import untrusted
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_grants
from wardround.sealing.refused import Refused
from wardround.store.errors import StoreError
from wardround.threads import beside
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants

POLL_SECONDS = 0.2
WORKSPACE_UNUSABLE = "WorkspaceUnusable"
NOT_APPROVED = "WaitingForApproval"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What all tasks share."""

    client: Api
    identity: Identity
    pins: Pins
    store: Store
    workspace: Workspace
    turn: Turn
    clock: Clock
    draw: Draw


class TaskRunner:
    """Follows one SiteTask, of one UID, until it is final or gone."""

    def __init__(self, means: Means, item: Object) -> None:
        self._means = means
        self._item = item
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._gone = False
        self.uid: str = item["metadata"]["uid"]
        self.name: str = item["metadata"]["name"]
        self._folder: TaskFolder = means.workspace.task(self.uid)

    def observe(self, item: Object) -> None:
        """The object as the watch now has it."""
        self._item = item
        if is_final(self._task) or self._task.spec.cancel:
            self._over.set()
        self._changed.set()

    def leave(self) -> None:
        """The object is gone."""
        self._gone = True
        self._over.set()
        self._changed.set()

    async def run(self) -> None:
        """Until the end of the task, in the middle of a transfer if need be. Whatever fails before is told on the
        object and tried again."""
        failures = 0
        while not (self._gone or is_final(self._task)):
            self._changed.clear()
            try:
                await self._until_over(self._advance())
                failures = 0
                await self._changed.wait()
                continue
            except NotFound:
                break  # the task is gone, or is about to be said to be
            except Refused as refused:
                logger.warning("task %s: refused: %s", self.name, refused)
                wait = await self._tell(refused.reason, 3600.0)
            except (StoreError, ApiError, OSError) as failure:
                failures += 1
                # An OSError names a path at most; those of the store carry no URL.
                logger.warning("task %s: %s: %s", self.name, type(failure).__name__, failure)
                reason = WORKSPACE_UNUSABLE if isinstance(failure, OSError) else ""
                reason = failure.reason if isinstance(failure, StoreError) else reason
                wait = await self._tell(reason, backoff(failures, draw=self._means.draw))
            await self._change(wait)
        await beside(self._folder.remove)

    async def _until_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Does `work`, and cancels it when nobody wants it any more. Raises what it raises."""
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

    async def _advance(self) -> None:
        """Everything that can be done now. Raises Refused, StoreError, ApiError, OSError."""
        task, means = self._task, self._means
        if not is_accepted(task) or task.spec.cancel:
            return
        if not self._may(task):
            await self._report({}, NOT_APPROVED)
            return
        assignment = self._verify(task)
        hub_key = load_verification_key(untrusted.decode(task.spec.hub_key, "HubNotPinned"))
        await beside(self._folder.make)
        if not await beside(fetch.is_here, assignment, self._folder):
            grants = self._grants(task, assignment)
            if grants is None or grants.get is None:
                return
            await fetch.fetch(
                assignment,
                grants.get,
                hub_key=hub_key,
                key=means.identity.decryption,
                store=means.store,
                turn=means.turn,
                folder=self._folder,
            )
        await self._report({"input": "Ready"})
        if not await self._update_is_there():
            return
        async with means.turn.whole():
            base = base_digest(assignment, task.spec.hub_key)
            sealed = await send.seal(assignment, self._folder, means.identity.signing, base)
        await self._report({"upload": {"bytes": sealed.manifest.bytes}})
        grants = self._grants(self._task, assignment)
        if self._courier.get("update") or grants is None or grants.put is None or not send.fits(sealed, grants.put):
            return
        await send.send(sealed, grants.put, means.store, self._folder)
        await self._report({"update": sealed.report})
        logger.info("task %s: sent %d bytes", self.name, sealed.manifest.bytes)

    def _may(self, task: SiteTask) -> bool:
        """Whether people here agree, where they are asked: that a task is accepted is the site operator's word alone,
        and `spec.approved` is not his to write. Raises Refused."""
        if self._means.pins.approval == "Deny":
            raise Refused("Denied")
        return self._means.pins.approval == "Policy" or task.spec.approved

    def _verify(self, task: SiteTask) -> Assignment:
        return verify(
            Claim(
                envelope=task.spec.assignment,
                hub_key=task.spec.hub_key,
                hub_fingerprint=self._means.pins.hub_fingerprint,
                round_uid=task.spec.round_ref.uid,
                attempt=task.spec.attempt,
                site_fingerprint=self._means.identity.fingerprint,
                now=self._means.clock(),
            )
        )

    def _grants(self, task: SiteTask, assignment: Assignment) -> Grants | None:
        if not task.spec.grants:
            return None
        return open_grants(
            untrusted.decode(task.spec.grants, "KeyUnusable"),
            self._means.identity.decryption,
            round_uid=assignment.round_uid,
            attempt=assignment.attempt,
            participant=assignment.participant,
        )

    async def _update_is_there(self) -> bool:
        """Waits for training; gives up when the object changes, for then everything is looked at anew."""
        while not await beside(self._folder.is_trained):
            if await self._change(POLL_SECONDS):
                return False
        return True

    async def _change(self, seconds: float) -> bool:
        """Waits for a change of the object, at most so long; whether there was one."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return False
        return True

    @property
    def _courier(self) -> Mapping[str, Any]:
        return (self._item.get("status") or {}).get("courier") or {}

    async def _tell(self, reason: str, seconds: float) -> float:
        """Says why it does not go on; returns in how many seconds to try again."""
        if reason:
            try:
                await self._report({}, reason)
            except ApiError as failure:
                logger.warning("task %s: %s", self.name, failure)
                return min(seconds, 5.0)
        return seconds

    async def _report(self, change: Mapping[str, Any], reason: str = "") -> None:
        """Writes status.courier if that changes it. Raises ApiError.

        Progress clears the reason. A new try is none: each begins by saying what was said before, and people on both
        sides have to see the reason while it holds.
        """
        while True:
            before = dict(self._courier)
            after = before | dict(change)
            if reason:
                after["reason"] = reason
            elif after != before:
                after.pop("reason", None)
            known = (self._item.get("status") or {}).get("courier") is not None
            try:
                written = await self._means.client.apply_status(
                    self._item, {"courier": before} if known else {}, {"courier": after} if after else {}
                )
            except Conflict:
                fresh = await self._means.client.get("SiteTask", self.name)
                if fresh["metadata"]["uid"] != self.uid:
                    raise NotFound(f"task {self.name}", "another one has its name") from None
                self._item = fresh
                continue
            if written is not None:
                self._item = written
            return
