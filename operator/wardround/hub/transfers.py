"""The controller of ModelTransfers: observe, plan, execute, one status write. It reads no transfer of another hub."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardround.api import conditions, modeltransfer, modelversion
from wardround.api.modeltransfer import ModelTransfer
from wardround.documents import transfers as documents
from wardround.documents.keys import Model
from wardround.hub import requests, vault
from wardround.hub.context import Context
from wardround.hub.observe import get_round
from wardround.kube.controller import Key, Source, Wake
from wardround.plans import transfer as transfer_plan
from wardround.plans.transfer import Observation
from wardround.ports import Object
from wardround.sealing.cards import open_card
from wardround.sealing.refused import Refused
from wardround.threads import beside

logger = logging.getLogger(__name__)


class TransferController:
    kind = modeltransfer.KIND
    sources: Mapping[str, Source] = {modeltransfer.KIND: Source.EVERYWHERE}

    def __init__(self, hub: Context) -> None:
        self._hub = hub

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return (Wake(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])),)

    async def run(self) -> None:
        """Nothing to run: the first list names every transfer, and each is looked at again when its time is over."""

    async def reconcile(self, key: Key) -> float | None:
        """Raises ApiError. After a crash the transfer is looked at again, and gets another wrapping of the same key."""
        hub = self._hub
        item = await hub.client.get_if_exists(self.kind, key.name, key.namespace)
        if item is None:
            return None
        transfer = modeltransfer.parse(item)
        over = conditions.is_over(transfer.status.conditions)
        model = None if over else await self._model(transfer)
        plan = transfer_plan.plan(
            Observation(
                transfer=transfer,
                stored=model.stored if model else None,
                has_card=model is not None and self._names(model, key.namespace),
                key_usable=requests.key_usable(transfer),
                now=hub.clock(),
            )
        )
        if plan.delete:
            await requests.delete(hub, self.kind, transfer)
            return None
        status = plan.status
        if plan.give and model is not None:
            arguments = (transfer, model, hub.identity, hub.external, hub.settings.store_ca, hub.clock())
            status = replace(status, model=await beside(documents.give, *arguments))
        await requests.write(hub, item, transfer.status, status)
        return plan.requeue_after

    async def _model(self, transfer: ModelTransfer) -> Model | None:
        """The result that the transfer names, with the hub's key and card of it."""
        namespace, spec = transfer.metadata.namespace, transfer.spec
        uid = None
        if spec.round_name is not None:
            live = await get_round(self._hub.client, namespace, spec.round_name)
            uid = live[1].metadata.uid if live else None
        elif spec.version_name is not None:
            item = await self._hub.client.get_if_exists(modelversion.KIND, spec.version_name, namespace)
            if item is None:
                return None
            uid = modelversion.parse(item).spec.round_uid
        try:
            return await vault.model(self._hub.client, uid, self._hub.identity) if uid else None
        except (Refused, KeyError, ValueError) as damage:
            logger.error("the result of round %s is of no use: %s", uid, type(damage).__name__)
            return None

    def _names(self, model: Model, namespace: str) -> bool:
        """Whether the hub's card says that the model belongs to this namespace, and is this file."""
        try:
            card = open_card(model.card, self._hub.identity.key.public_key())
        except Refused:
            return False
        return (card.round_namespace, card.model.digest) == (namespace, model.manifest.digest)
