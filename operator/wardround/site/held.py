"""Keeps a record of each SiteTask of the site in memory, so that no reconcile lists SiteTasks. Decides nothing.

The site operator writes all of a SiteTask that the records tell, and sees the rest when it looks at the task: each
change of a SiteTask or its Job leads to such a look. So the records are read from the API server once, and again after
`RELOAD_SECONDS`, for tasks that people deleted while the watch was broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wardround.api import names, sitetask
from wardround.api.sitetask import SiteTask
from wardround.plans.pod import parse_job
from wardround.plans.sitetask import memory
from wardround.plans.sitetask.held import HeldTask, held, read_signed
from wardround.ports import Api

TRAINING = f"{names.ROLE}={names.ROLE_TRAINING}"
RELOAD_SECONDS = 300.0


class HeldTasks:
    """`full_changed` is called when the site has come to hold as many tasks as it may, or fewer again. One loop."""

    def __init__(self, own: Api, full_changed: Callable[[], None]) -> None:
        self._own = own
        self._full_changed = full_changed
        self._records: dict[str, HeldTask] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        # Names of tasks that were looked at while the lists were read: the lists may be older.
        self._newer: set[str] = set()
        self._full = False

    async def every(self) -> tuple[HeldTask, ...]:
        """Raises ApiError."""
        await self._read()
        return tuple(self._records.values())

    async def others(self, name: str) -> tuple[HeldTask, ...]:
        """The records of all tasks but this one. Raises ApiError."""
        return tuple(each for each in await self.every() if each.name != name)

    async def count(self) -> int:
        """Raises ApiError."""
        count = len(await self.every())
        self._compare()
        return count

    def put(self, task: SiteTask, *, holds_job: bool | None = None) -> None:
        """The task as it is now. `holds_job` None: as it was."""
        name, same = task.metadata.name, self._same(task)
        holds = holds_job if holds_job is not None else same is not None and same.holds_job
        self._records[name] = _record(task, same, holds_job=holds)
        self._newer.add(name)
        self._compare()

    def drop(self, name: str) -> None:
        """There is no SiteTask of this name."""
        self._records.pop(name, None)
        self._newer.add(name)
        self._compare()

    def reread(self) -> None:
        """A status write failed, and the API server may have done it all the same: read everything before the next
        look. Else the site could accept an attempt twice."""
        self._read_at = None

    async def _read(self) -> None:
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._read_at is not None and now - self._read_at < RELOAD_SECONDS:
                return
            self._read_at = now
            try:
                await self._read_lists()
            except BaseException:
                self._read_at = None
                raise
        self._compare()

    async def _read_lists(self) -> None:
        self._newer.clear()
        jobs = map(parse_job, await self._own.list("Job", labels=TRAINING, fields="status.successful=0"))
        running = {job.name for job in jobs if not job.finished}
        records: dict[str, HeldTask] = {}
        async for item in self._own.each("SiteTask"):
            task = sitetask.parse(item)
            name = task.metadata.name
            records[name] = _record(task, self._same(task), holds_job=name in running)
        for name in self._newer:
            records.pop(name, None)
            if name in self._records:
                records[name] = self._records[name]
        self._records = records

    def _same(self, task: SiteTask) -> HeldTask | None:
        """The record of this very task, not of an earlier one of its name."""
        record = self._records.get(task.metadata.name)
        return record if record is not None and record.uid == task.metadata.uid else None

    def _compare(self) -> None:
        full = memory.is_full(len(self._records))
        if full is not self._full:
            self._full = full
            self._full_changed()


def _record(task: SiteTask, same: HeldTask | None, *, holds_job: bool) -> HeldTask:
    """`same`: the record of this very task, whose assignment cannot change: it is opened once."""
    signed = same.signed if same is not None else read_signed(task.spec.assignment, task.spec.hub_key)
    return held(task, signed, holds_job=holds_job)
