"""What the hub operator does for every ModelTransfer and ModelPush: reads the person's key, writes, deletes."""

from __future__ import annotations

import logging

from wardround.hub.context import Context
from wardround.kube.events import Status
from wardround.plans.events import headline
from wardround.plans.request import Request
from wardround.ports import Object
from wardround.sealing.keys import RecipientKey
from wardround.sealing.refused import Refused

logger = logging.getLogger(__name__)


def key_usable(request: Request) -> bool:
    """Whether `spec.publicKey` is a public key."""
    try:
        RecipientKey.parse(request.spec.public_key)
    except Refused:
        return False
    return True


async def write(hub: Context, item: Object, before: Status, after: Status) -> None:
    """Writes the status if it differs, and logs the reason. Raises ApiError."""
    if await hub.reporter.write(item, before, after) is None:
        return
    shown, metadata = headline(after.conditions), item["metadata"]
    reason = shown.reason if shown else ""
    logger.info("%s %s/%s: %s", item["kind"], metadata["namespace"], metadata["name"], reason)


async def delete(hub: Context, kind: str, request: Request) -> None:
    """Deletes this request, and no later one of the same name. Raises ApiError."""
    metadata = request.metadata
    await hub.client.delete_if_exists(kind, metadata.name, metadata.namespace, uid=metadata.uid)
