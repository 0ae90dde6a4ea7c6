"""Plays a hospital's courier for one task: fetches the models, seals the update, sends it. Uses the courier's own code.

The simulation plays its rounds with this courier, and so do the tests. There is no API server: grants are passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from wardround.courier import fetch, send
from wardround.courier.keys import Identity
from wardround.courier.send import Sealed
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder
from wardround.plans.courier.step import fits, granted_inputs
from wardround.plans.courier.types import Fetch
from wardround.ports import Store
from wardround.sealing.keys import load_verification_key
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants


@dataclass(frozen=True)
class Courier:
    """`identity`: the hospital's keys. `folder`: the task's workspace."""

    identity: Identity
    assignment: Assignment
    folder: TaskFolder

    async def fetch(self, grants: Grants, hub_key: bytes, store: Store) -> None:
        """Fetch and open all models of the task. `hub_key`: that of the verified assignment."""
        for wanted, grant in granted_inputs(self.assignment, grants):
            await fetch.fetch(
                Fetch(assignment=self.assignment, grant=grant, input=wanted),
                hub_key=load_verification_key(hub_key),
                key=self.identity.decryption,
                store=store,
                turn=Turn(),
                folder=self.folder,
            )

    async def seal(self, base_digest: str) -> Sealed:
        """Seal the update that `check` has left. `base_digest`: of the model that it has to name."""
        return await send.seal(self.assignment, self.folder, self.identity.signing, base_digest)

    async def send(self, sealed: Sealed, grants: Grants, store: Store) -> None:
        """Store the ciphertext, by grants for exactly this ciphertext."""
        assert grants.put is not None, "the hub has granted an upload"
        assert fits(sealed.view, grants.put), "the grants are for this ciphertext"
        await send.send(grants.put, store, self.folder)
