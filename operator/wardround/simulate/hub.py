"""Plays the hub of one round: asks hospitals, grants them places in a store, and lists their updates. Decides nothing.

The hub's own code makes all documents. The simulation plays its rounds with this hub, and so do the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from wardround.api import names
from wardround.api.federatedround import FederatedRound
from wardround.api.task import TaskSpec, Upload
from wardround.documents import assignments
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Identity, Model
from wardround.documents.update_list import UpdateList
from wardround.plans.round.types import Aggregate, Dispatch, Observation
from wardround.ports import Store
from wardround.presign import Presigner
from wardround.sealing.keys import DecryptionKey
from wardround.store.put_each import put_each
from wardround.wire.aggregation import PlannedList


@dataclass(frozen=True)
class Hub:
    """One hub with the key of one round."""

    identity: Identity = field(default_factory=Identity.generate)
    round_key: DecryptionKey = field(default_factory=DecryptionKey.generate)

    def ask(
        self,
        federated_round: FederatedRound,
        recipient: Recipient,
        dispatch: Dispatch,
        now: datetime,
        base: Model | None = None,
        references: Sequence[Model] = (),
    ) -> TaskSpec:
        """The spec of a RoundTask, without grants."""
        public = self.round_key.public.raw
        return assignments.assign(federated_round, recipient, dispatch, public, base, self.identity, now, references)

    def grant(
        self,
        spec: TaskSpec,
        recipient: Recipient,
        presigner: Presigner,
        now: datetime,
        *,
        base: Model | None = None,
        references: Sequence[Model] = (),
        upload: Upload | None = None,
    ) -> TaskSpec:
        """The same with grants: for its models, and for a sealed update."""
        uid, attempt = spec.round_ref.uid, spec.attempt
        location = names.update_location(uid, attempt, recipient.name)
        sealed, _ = assignments.grant(recipient, uid, attempt, location, base, upload, presigner, now, references)
        return replace(spec, grants=sealed)

    async def list_updates(
        self, seen: Observation, action: Aggregate, store: Store, presigner: Presigner, now: datetime, nonce: bytes
    ) -> PlannedList:
        """Store the list of the updates that the aggregation combines."""
        updates = UpdateList(seen, action, presigner, now, nonce)
        await put_each(store, updates.objects())
        return updates.planned
