"""Shows in the status of a ModelVersion which card of its model is the newest. Changes no card."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from wardround.api import modelversion
from wardround.api.modelversion import VersionCard
from wardround.documents import cards
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.sealing.refused import Refused

logger = logging.getLogger(__name__)


async def newest(hub: Context, round_uid: str) -> VersionCard | None:
    """The card of the model of this round or ModelPush; None without a card that this hub can use. Raises ApiError."""
    try:
        model = await vault.model(hub.client, round_uid, hub.identity)
        return cards.shown(model.card, hub.identity) if model and model.card else None
    except (Refused, KeyError, ValueError) as damage:
        # No version may wait for it: its model is there.
        logger.error("the card of the model of %s is of no use: %s", round_uid, type(damage).__name__)
        return None


async def show(hub: Context, namespace: str, version_names: Iterable[str], round_uid: str) -> None:
    """Writes it into those of these ModelVersions whose model this round or ModelPush has made. Raises ApiError."""
    items = [await hub.client.get_if_exists(modelversion.KIND, name, namespace) for name in version_names]
    card = await newest(hub, round_uid) if any(items) else None
    for item in filter(None, items):
        version = modelversion.parse(item)
        if version.spec.round_uid == round_uid and card is not None:
            await hub.reporter.write(item, version.status, replace(version.status, card=card))
