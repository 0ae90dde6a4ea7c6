"""What an operator is made of: one controller a kind, and a manager that brings events to queues and keys to workers.

For another kind, write a class with the members of `Controller` and add a line to the operator's table of controllers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from wardround.api.times import to_seconds
from wardround.kube.queue import WorkQueue
from wardround.ports import Object


class Key(NamedTuple):
    """Names what a controller reconciles."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Wake(NamedTuple):
    """A key to work on. `behind`: after all keys that are not `behind`."""

    key: Key
    behind: bool = False


def gone(item: Object, now: datetime) -> Object:
    """The object as the last event shows it, with a `deletionTimestamp`. The API server gives an object none if it
    deletes the object at once."""
    return {**item, "metadata": {"deletionTimestamp": to_seconds(now), **item["metadata"]}}


class Source(Enum):
    """Where the events of a kind come from."""

    OWN = "the operator's own namespace"
    EVERYWHERE = "all namespaces"
    HUB = "the hospital's namespace on its hub"


class Controller(Protocol):
    """One kind: which keys an event concerns, and what is done about a key."""

    @property
    def kind(self) -> str:
        """The kind of its keys."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """The kinds whose events concern it."""

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        """Which keys an event concerns. Reads nothing but the object."""

    async def reconcile(self, key: Key) -> float | None:
        """Make it as it should be. Is retried if it raises.

        Return `requeue_after`: in how many seconds to reconcile the key again, None for the next event.
        """

    async def run(self) -> None:
        """Runs what the controller has to do beside the queue, for which there is no event of `sources`. May return at
        once."""


class Manager:
    """Controllers that share one queue and its workers."""

    def __init__(self, controllers: Sequence[Controller], queue: WorkQueue[Key], workers: int) -> None:
        self._controllers = {each.kind: each for each in controllers}
        if len(self._controllers) != len(controllers):
            raise ValueError("two controllers of one kind")
        self._queue = queue
        self._workers = workers

    def kinds(self, source: Source) -> tuple[str, ...]:
        """The kinds to be watched there."""
        kinds = (kind for each in self._controllers.values() for kind, at in each.sources.items() if at is source)
        return tuple(dict.fromkeys(kinds))

    def changed(self, kind: str, item: Object) -> None:
        """An object was listed or has changed."""
        for controller in self._controllers.values():
            if kind in controller.sources:
                for wake in controller.keys(kind, item):
                    self._queue.add(wake.key, behind=wake.behind)

    async def run(self) -> None:
        """Runs without end."""
        async with asyncio.TaskGroup() as group:
            for controller in self._controllers.values():
                group.create_task(controller.run(), name=controller.kind)
            for _ in range(self._workers):
                group.create_task(self._queue.work(self._reconcile))

    async def _reconcile(self, key: Key) -> float | None:
        return await self._controllers[key.kind].reconcile(key)
