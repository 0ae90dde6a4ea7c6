"""Writes statuses, and an Event after each status that changed the headline. plans.events decides its text."""

import asyncio
import hashlib
import logging
from datetime import datetime
from typing import Protocol

from wardround.api.conditions import Conditions
from wardround.api.times import to_microseconds
from wardround.clock import Clock
from wardround.plans import events
from wardround.plans.events import Event
from wardround.ports import Api, Object
from wardround.wire import codec

# Events of about 1 KiB each. If the API server takes none, further Events are lost: Events are best effort, conditions
# are not.
MOST_WAITING = 256
WINDOW_SECONDS = 600
logger = logging.getLogger(__name__)


class Status(Protocol):
    """The status of any of our kinds, as a dataclass."""

    @property
    def conditions(self) -> Conditions: ...


class Reporter:
    """Writes at most one Event for each transition.

    Only one status write of a version of the object succeeds, so a transition is written once. A crash between the
    write and its Event loses the Event. The name of an Event comes from object, headline and time of day. So a
    condition that goes back and forth, for example because of a site, makes one Event in `WINDOW_SECONDS`.

    `controller`: `domain/name`. `instance` tells this process from another.
    """

    def __init__(self, client: Api, controller: str, instance: str, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._controller = controller
        self._instance = instance
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(MOST_WAITING)

    async def write(self, observed: Object, before: Status, after: Status, *, steps: bool = True) -> Object | None:
        """Writes the change of a status, and never waits for its Event. Raises ApiError, see Client.apply_status.
        `steps`: as of plans.events."""
        written = await self._client.apply_status(observed, codec.dump(before), codec.dump(after))
        if written is not None:
            for event in events.transitions(before.conditions, after.conditions, steps=steps):
                self._tell(observed, event)
        return written

    def _tell(self, observed: Object, event: Event) -> None:
        try:
            self._waiting.put_nowait(self._manifest(observed, event, self._clock()))
        except asyncio.QueueFull:
            logger.warning("no room for the Event %s of %s", event.reason, observed["metadata"]["name"])

    async def run(self) -> None:
        """Writes the waiting Events one after the other, for ever."""
        while True:
            manifest = await self._waiting.get()
            try:
                await self._client.create_if_absent(manifest)
            except Exception as failure:  # no failure of an Event may end the work
                logger.warning("Event %s: %s", manifest["reason"], failure)

    def _manifest(self, observed: Object, event: Event, now: datetime) -> Object:
        meta = observed["metadata"]
        window = int(now.timestamp()) // WINDOW_SECONDS
        digest = hashlib.sha256(f"{meta['uid']}/{event.action}/{event.reason}/{window}".encode()).hexdigest()[:16]
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name'][:200].rstrip('-.')}.{digest}", "namespace": meta["namespace"]},
            "eventTime": to_microseconds(now),
            "type": event.type,
            "reason": event.reason,
            "action": event.action,
            "note": event.note,
            "regarding": {
                "apiVersion": observed["apiVersion"],
                "kind": observed["kind"],
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "reportingController": self._controller,
            "reportingInstance": self._instance,
        }
