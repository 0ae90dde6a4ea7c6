"""The controller of Participants: writes the status of each, and wakes what waits for hospitals."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from wardround.api import names, participant
from wardround.clock import Draw
from wardround.hub.context import Context
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import ApiError
from wardround.kube.index import NamespacedName
from wardround.kube.queue import WorkQueue
from wardround.kube.retries import Retries
from wardround.plans import participant as participant_plan
from wardround.ports import Object


class ParticipantController:
    """`wakes`: called when a hospital has changed, because each round that has not ended may ask it or have asked it,
    and models may wait for it."""

    kind = participant.KIND
    # Its events come from the index of Participants and from the watch of accounts: `run`.
    sources: Mapping[str, Source] = {}

    def __init__(self, hub: Context, queue: WorkQueue[Key], *, wakes: Iterable[Callable[[], None]], draw: Draw) -> None:
        self._hub = hub
        self._queue = queue
        self._wakes = tuple(wakes)
        self._draw = draw

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        meta = item["metadata"]
        # An account is a hospital's, and its Participant is named like its namespace.
        name = meta["namespace"] if kind == "ServiceAccount" else meta["name"]
        return (Wake(Key(self.kind, meta["namespace"], name)),)

    async def reconcile(self, key: Key) -> None:
        client, index = self._hub.client, self._hub.participants
        observed = await client.get_if_exists(self.kind, key.name, key.namespace)
        if observed is None:
            index.drop(NamespacedName(key.namespace, key.name))
        else:
            index.put(observed)
            seen = participant.parse(observed)
            after = participant_plan.status(
                seen,
                self._hub.identity.fingerprint,
                self._hub.clock(),
                has_account=await self._has_account(key.namespace),
            )
            written = await self._hub.reporter.write(observed, seen.status, after)
            if written is not None:
                index.put(written)
        for wake in self._wakes:
            wake()

    async def run(self) -> None:
        """Runs without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hub.participants.run(self._changed))
            group.create_task(self._follow_accounts())

    def _changed(self, kind: str, item: Object) -> None:
        for wake in self.keys(kind, item):
            self._queue.add(wake.key)

    async def _has_account(self, hospital: str) -> bool:
        """Whether a hospital's service account is there. `kubectl wardround revoke` deletes it."""
        return await self._hub.client.get_if_exists("ServiceAccount", names.SITE_ACCOUNT, hospital) is not None

    async def _follow_accounts(self) -> None:
        """Runs without end: looks at a Participant when its hospital's account comes or goes."""
        retries = Retries(self._draw)
        fields = f"metadata.name={names.SITE_ACCOUNT}"
        while True:
            try:
                async for event, item in self._hub.client.watch("ServiceAccount", everywhere=True, fields=fields):
                    retries.succeeded()
                    if event == "LISTED":
                        # A list does not say which accounts were deleted since the one before.
                        for place in tuple(await self._hub.participants.objects()):
                            self._queue.add(Key(self.kind, place.namespace, place.name))
                    elif event != "LISTING":
                        self._changed("ServiceAccount", item)
            except ApiError as failure:
                await retries.wait(failure)
