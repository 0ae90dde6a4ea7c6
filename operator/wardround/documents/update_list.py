"""Builds the list of updates that an aggregation Job reads from the store (docs/contracts.md, section 7). No I/O.

A plan is in a Secret, which has room for the URLs of 72 updates of 1 GB. The list has pages of about PAGE bytes, made
one after the other, so neither the hub operator nor the Job ever has the whole list in memory.
"""

from collections.abc import Iterator
from datetime import datetime

from wardround.api import names
from wardround.api.roundtask import RoundTask
from wardround.documents.assignments import Recipient, object_lengths
from wardround.manifests.aggregation import ACTIVE_SECONDS
from wardround.plans.round.types import Aggregate, Observation
from wardround.presign import Presigner, SignedPut
from wardround.sealing import untrusted
from wardround.sealing.body import part_name
from wardround.sealing.pages import new_page_key, seal_page
from wardround.wire import codec
from wardround.wire.aggregation import ListPage, PlannedList, PlannedPage, PlannedUpdate

# A pod's deadline starts only when the pod has a node, so the URLs must live longer.
URL_SECONDS = ACTIVE_SECONDS + 3600
PAGE = 1 << 20


class UpdateList:
    """The list of one aggregation. It has a key and a place of its own, because an earlier try may have stored pages
    under another key. `nonce`: of this try. The place is below the updates, so the hub deletes it with them."""

    def __init__(self, seen: Observation, action: Aggregate, presigner: Presigner, now: datetime, nonce: bytes) -> None:
        self._seen = seen
        self._tasks = sorted(action.tasks, key=lambda task: task.metadata.namespace)
        self._presigner = presigner
        self._now = now
        self._key = new_page_key()
        self._location = names.list_location(seen.round.metadata.uid, action.number, nonce)
        self._pages: list[PlannedPage] = []

    def objects(self) -> Iterator[tuple[SignedPut, bytes]]:
        """Make each page when it is asked for: where to store it, and its sealed bytes."""
        for updates in self._paged():
            index = len(self._pages)
            sealed = seal_page(self._key, index, codec.write_document(ListPage(updates)))
            name = f"{self._location}/page-{index:05d}"
            self._pages.append(PlannedPage(self._presigner.get(name, self._now, URL_SECONDS), len(sealed)))
            yield self._presigner.put_of(sealed, name, self._now, URL_SECONDS), sealed

    @property
    def planned(self) -> PlannedList:
        """The list as the plan names it, once all objects are made."""
        return PlannedList(self._key, len(self._tasks), tuple(self._pages))

    def _paged(self) -> Iterator[tuple[PlannedUpdate, ...]]:
        page: list[PlannedUpdate] = []
        size = 0
        for task in self._tasks:
            update = planned_update(self._seen, task, self._presigner, self._now, URL_SECONDS)
            page.append(update)
            size += len(update.manifest) + sum(map(len, update.get))
            if size >= PAGE:
                yield tuple(page)
                page, size = [], 0
        if page:
            yield tuple(page)


def planned_update(
    seen: Observation, task: RoundTask, presigner: Presigner, now: datetime, seconds: int
) -> PlannedUpdate:
    """The update that a participant has sent. `seconds`: how long the URLs of its parts live."""
    recipient = Recipient.from_participant(seen.participants[task.metadata.namespace])
    location = names.update_location(seen.round.metadata.uid, task.spec.attempt, recipient.name)
    upload, update = task.status.upload, task.status.update
    parts = range(len(object_lengths(upload.bytes if upload else 0)))
    return PlannedUpdate(
        participant=recipient.name,
        attempt=task.spec.attempt,
        manifest=update.manifest if update else "",
        signing_key=untrusted.decode(recipient.signing, "KeyUnusable"),
        get=tuple(presigner.get(f"{location}/{part_name(i)}", now, seconds) for i in parts),
    )
