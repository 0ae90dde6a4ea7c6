"""A hospital as the hub sees it: a site's account, real keys, and an update sealed and sent as a courier would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from wardround.api import conditions, roundtask
from wardround.api.participant import PublicKeys
from wardround.api.roundtask import RoundTask
from wardround.kube.client import Client
from wardround.kube.errors import Conflict
from wardround.plans.assignment import base_digest
from wardround.plans.participant import fingerprint
from wardround.sealing import untrusted
from wardround.sealing.body import UPDATE, new_file_key, new_header
from wardround.sealing.files import seal_file
from wardround.sealing.keys import (
    DecryptionKey,
    RecipientKey,
    SigningKey,
    dump_verification_key,
    generate_signing_key,
    hub_fingerprint,
    load_verification_key,
)
from wardround.sealing.manifests import open_assignment, open_grants, sign_update
from wardround.sealing.wrap import update_context, wrap
from wardround.store.transfer import Store
from wardround.tensors import layout
from wardround.wire import canonical
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants
from wardround.wire.models import UpdateManifest

# Of the first weights, which the hospitals make alike.
INITIAL_DIGEST = "sha256:" + "7" * 64


def now() -> datetime:
    return datetime.now(UTC)


async def until(found: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Polls until `found` (a coroutine function) returns something true."""
    for _ in range(int(seconds / 0.05)):
        value = await found()
        if value:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


@dataclass
class Hospital:
    name: str
    client: Client
    hub_fingerprint: str
    signing: SigningKey = field(default_factory=generate_signing_key)
    decryption: DecryptionKey = field(default_factory=DecryptionKey.generate)

    @property
    def keys(self) -> PublicKeys:
        signing = dump_verification_key(self.signing.public_key())
        return PublicKeys(signing=canonical.encode(signing), decryption=canonical.encode(self.decryption.public.raw))

    @property
    def fingerprint(self) -> str:
        found = fingerprint(self.keys)
        assert found is not None
        return found

    async def publish(self) -> None:
        """Keys and datasets into status.site."""
        keys = {"signing": self.keys.signing, "decryption": self.keys.decryption}
        status = {"site": {"keys": keys, "datasets": [{"name": "breast"}]}}

        async def published() -> bool:
            found = await self.client.get("Participant", self.name)
            try:
                await self.client.apply_status(found, {}, status)
            except Conflict:  # the hub has just written its part
                return False
            return True

        await until(published, "the keys of a hospital to be published")

    async def task(self, round_name: str, attempt: int = 1) -> RoundTask:
        async def find() -> RoundTask | None:
            tasks = map(roundtask.parse, await self.client.list("RoundTask"))
            return next((t for t in tasks if (t.spec.round_ref.name, t.spec.attempt) == (round_name, attempt)), None)

        found = await until(find, f"a RoundTask of {round_name} at {self.name}")
        assert isinstance(found, RoundTask)
        return found

    def assignment(self, task: RoundTask) -> Assignment:
        """What a site checks first: the pinned hub, then its signature."""
        key = untrusted.decode(task.spec.hub_key, "HubNotPinned")
        assert hub_fingerprint(key) == self.hub_fingerprint
        return open_assignment(task.spec.assignment, load_verification_key(key))

    def grants(self, task: RoundTask) -> Grants:
        assert task.spec.grants is not None
        sealed = untrusted.decode(task.spec.grants, "KeyUnusable")
        uid, attempt = task.spec.round_ref.uid, task.spec.attempt
        return open_grants(sealed, self.decryption, round_uid=uid, attempt=attempt, participant=self.name)

    def _base_digest(self, task: RoundTask, assignment: Assignment) -> str:
        return base_digest(assignment, task.spec.hub_key) or INITIAL_DIGEST

    async def report(self, task: RoundTask, status: dict[str, Any], *kinds: tuple[str, bool, str]) -> None:
        """Writes the RoundTask's status as the site operator does: all conditions, and again on a conflict."""
        found = await self.client.get("RoundTask", task.metadata.name)
        known = roundtask.parse(found).status.conditions
        for kind, holds, reason in kinds:
            known = conditions.set_condition(known, kind, holds, reason, now=now(), generation=1)
        written = [
            {
                "type": each.type,
                "status": each.status,
                "reason": each.reason,
                "message": each.message,
                "lastTransitionTime": each.last_transition_time,
            }
            for each in known
        ]
        try:
            await self.client.apply_status(found, {}, {**status, "conditions": written})
        except Conflict:
            await self.report(task, status, *kinds)

    async def send(self, round_name: str, weights: list[float], samples: int, store: Store, folder: Path) -> None:
        """Accept, seal these weights (after a first round: differences), ask for grants, store, report."""
        task = await self.task(round_name)
        assignment = self.assignment(task)
        await self.report(task, {}, ("Accepted", True, "Accepted"))
        plain, sealed_path = folder / f"{self.name}.safetensors", folder / f"{self.name}.sealed"
        save_file({"w": np.array(weights, dtype=np.float32)}, plain)
        key = new_file_key()
        header = new_header(
            key,
            kind=UPDATE,
            round_uid=assignment.round_uid,
            attempt=assignment.attempt,
            participant=self.name,
            base_digest=self._base_digest(task, assignment),
            image_digest=assignment.image_digest,
            schema_digest=layout(plain).schema_digest,
            length=plain.stat().st_size,
        )
        sealed = seal_file(plain, sealed_path, header, key)
        context = update_context(assignment.round_uid, assignment.attempt, self.name, sealed.digest)
        manifest = UpdateManifest(
            header=header,
            digest=sealed.digest,
            wrapped_key=wrap(key, RecipientKey.load(assignment.round_public_key), context),
            samples=samples,
            metrics={"loss": "0.5"},
            suppressed=(),
            bytes=sealed.bytes,
            expires=assignment.expires,
        )
        await self.report(task, {"upload": {"bytes": sealed.bytes}}, ("Trained", True, "Trained"))

        async def granted() -> Grants | None:
            grants = self.grants(await self.task(round_name))
            return grants if grants.put else None

        grants = await until(granted, "PUT grants")
        data = sealed_path.read_bytes()
        assert [put.bytes for put in grants.put] == [len(data)]
        await store.put_bytes(grants.put[0].url, grants.put[0].headers, data)
        update = {"manifest": sign_update(manifest, self.signing), "samples": samples}
        await self.report(task, {"update": update}, ("Sent", True, "Sent"))
