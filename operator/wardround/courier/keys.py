"""The site's own keys: made here once, kept in the one Secret that the courier may touch, public halves published."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.names import COURIER_KEYS, SITE
from wardround.kube.errors import Conflict
from wardround.ports import Api
from wardround.sealing.keys import (
    DecryptionKey,
    SigningKey,
    dump_signing_key,
    dump_verification_key,
    generate_signing_key,
    load_signing_key,
    participant_fingerprint,
)
from wardround.wire.canonical import encode

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    signing: SigningKey = field(repr=False)
    decryption: DecryptionKey = field(repr=False)

    @classmethod
    def generate(cls) -> Identity:
        return cls(generate_signing_key(), DecryptionKey.generate())

    @property
    def fingerprint(self) -> str:
        return participant_fingerprint(dump_verification_key(self.signing.public_key()), self.decryption.public.raw)

    def published(self) -> dict[str, Any]:
        signing = encode(dump_verification_key(self.signing.public_key()))
        keys = {"signing": signing, "decryption": encode(self.decryption.public.raw)}
        return {"keys": keys, "fingerprint": self.fingerprint}


async def load_or_create(client: Api) -> Identity:
    """The keys in the Secret, made first if it is empty. Of two couriers that make some, one wins.

    Raises ApiError, and Refused("KeyUnusable") where the Secret holds something else: overwriting could destroy the
    keys that the hub has pinned, so that is for people.
    """
    while True:
        secret = await client.get("Secret", COURIER_KEYS)
        data = secret.get("data") or {}
        if data:
            return _load(data)
        fresh = Identity.generate()
        body = {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": {
                "signing": _b64(dump_signing_key(fresh.signing)),
                "decryption": _b64(fresh.decryption.raw),
            },
        }
        try:
            await client.patch("Secret", COURIER_KEYS, body)
        except Conflict:
            continue
        logger.info("made this site's keys: fingerprint %s", fresh.fingerprint)
        return fresh


async def publish(client: Api, identity: Identity) -> None:
    """Writes Site.status.courier, if it says something else. Raises ApiError, Conflict among them."""
    site = await client.get("Site", SITE)
    before = (site.get("status") or {}).get("courier")
    await client.apply_status(site, {} if before is None else {"courier": before}, {"courier": identity.published()})


def _load(data: Mapping[str, str]) -> Identity:
    signing, decryption = (base64.b64decode(data.get(name, "")) for name in ("signing", "decryption"))
    return Identity(load_signing_key(signing), DecryptionKey.load(decryption))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
