"""Plays a hub: signs assignments, seals models, grants places in a store, opens updates. Uses the hub's own code.

Knows no API server. A test that has one writes there what it gets from here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from wardround.api.federatedround import FederatedRound, Result
from wardround.api.task import TaskSpec
from wardround.documents import assignments
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Identity, Model
from wardround.plans.round.types import Dispatch, StoredModel
from wardround.plans.schema import assigned
from wardround.ports import Store
from wardround.presign import Presigner
from wardround.sealing import body
from wardround.sealing.keyed_digest import keyed_digest
from wardround.sealing.keys import DecryptionKey
from wardround.sealing.manifests import sign_assignment, sign_model
from wardround.sealing.wrap import base_context, unwrap, update_context, wrap
from wardround.wire import canonical, digests
from wardround.wire.assignment import AssignedBase, Assignment
from wardround.wire.models import ModelManifest, UpdateManifest
from wardround.wire.versions import LATEST

# The spec of the DataSchema that rounds name, and what assignments say of it.
DATA_SCHEMA: dict[str, Any] = {
    "fields": [{"name": "radius", "type": "number"}, {"name": "malignant", "type": "boolean"}],
    "target": "malignant",
}
SCHEMA = assigned(DATA_SCHEMA)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SealedModel:
    """A model as the hub keeps it. `objects`: what lies in the store, by key."""

    model: Model
    objects: Mapping[str, bytes]

    async def put(self, store: Store, presigner: Presigner, now: datetime) -> None:
        for key, data in self.objects.items():
            upload = presigner.put(key, now, int(HOUR.total_seconds()), length=len(data))
            assert await store.put_bytes(upload.url, upload.headers, data)


@dataclass(frozen=True)
class Hub:
    """One hub with the key of one round."""

    identity: Identity = field(default_factory=Identity.generate)
    round_key: DecryptionKey = field(default_factory=DecryptionKey.generate)

    @property
    def key(self) -> str:
        """`spec.hubKey` of a RoundTask."""
        return canonical.encode(self.identity.public)

    def ask(
        self,
        federated_round: FederatedRound,
        recipient: Recipient,
        now: datetime,
        base: Model | None = None,
        **more: Any,
    ) -> TaskSpec:
        """The spec of a RoundTask without grants. `more` are fields of the action `Dispatch`."""
        known = {"attempt": 1, "version": LATEST, "roster": (recipient.name,), "expires": now + HOUR, "schema": SCHEMA}
        action = Dispatch(participant=recipient.name, **{**known, **more})
        public = self.round_key.public.raw
        return assignments.assign(federated_round, recipient, action, public, base, self.identity, now)

    def sign(self, assignment: Assignment) -> str:
        return sign_assignment(assignment, self.identity.key)

    def seal_model(self, plain: bytes, round_uid: str, *, schema_digest: str = "", task: Any = "Train") -> SealedModel:
        """As the aggregation of this round seals its result."""
        key, location = body.new_file_key(), f"models/{round_uid}/1"
        header = body.new_header(
            key,
            kind=body.MODEL,
            round_uid=round_uid,
            attempt=1,
            participant="",
            base_digest="",
            image_digest="",
            schema_digest=schema_digest,
            length=len(plain),
        )
        sealer = body.Body(key, header)
        spans = (body.segment_span(index, len(plain)) for index in range(sealer.segments))
        segments = [sealer.seal(index, plain[start : start + size]) for index, (start, size) in enumerate(spans)]
        hashes = b"".join(hashlib.sha256(each).digest() for each in segments)
        ciphertext, digest = b"".join(segments), digests.digest(plain)
        manifest = ModelManifest(header, digest, digests.digest(hashes), location, len(ciphertext))
        result = Result(digest=digest, location=location, bytes=len(plain), samples=1)
        model = Model(key, sign_model(manifest, self.identity.key), manifest, StoredModel(task=task, result=result))
        return SealedModel(model, {f"{location}/segments": hashes, **parts(location, ciphertext)})

    def base(self, model: Model, recipient: Recipient, round_uid: str) -> AssignedBase:
        """A model as the base of an assignment that a test changes afterwards."""
        context = base_context(round_uid, 1, recipient.name, model.manifest.digest)
        return AssignedBase(model.text, wrap(model.data_key, recipient.decryption, context))

    def grant(
        self,
        spec: TaskSpec,
        recipient: Recipient,
        presigner: Presigner,
        now: datetime,
        *,
        base: Model | None = None,
        upload_bytes: int | None = None,
    ) -> TaskSpec:
        """The same with grants: for its base, and for an update of so many bytes of ciphertext."""
        uid, attempt = spec.round_ref.uid, spec.attempt
        location = f"updates/{uid}/{attempt}/{recipient.name}"
        sealed, _ = assignments.grant(recipient, uid, attempt, location, base, upload_bytes, presigner, now)
        return dataclasses.replace(spec, grants=sealed)

    def file_key(self, manifest: UpdateManifest) -> bytes:
        """The key of an update's ciphertext."""
        header = manifest.header
        context = update_context(header.round_uid, header.attempt, header.participant, manifest.digest)
        return unwrap(manifest.wrapped_key, self.round_key, context)

    def opener(self, manifest: UpdateManifest) -> body.Body:
        """With the key of an update's ciphertext. It is the site's too, so it can seal as well."""
        return body.Body(self.file_key(manifest), manifest.header)

    def open_update(self, manifest: UpdateManifest, stored: Iterable[bytes]) -> bytes:
        """The plaintext of an update whose parts lie in the store. Its digest is checked."""
        opener, header = self.opener(manifest), manifest.header
        ciphertext, plain = b"".join(stored), b""
        for index in range(opener.segments):
            _, size = body.segment_span(index, header.length)
            place = index * body.SEALED_SEGMENT
            plain += opener.open(index, ciphertext[place : place + size + body.TAG])
        assert keyed_digest(self.file_key(manifest), header, digests.digest(plain)) == manifest.digest
        return plain


def parts(location: str, ciphertext: bytes) -> dict[str, bytes]:
    """A ciphertext as the objects that the store has of it."""
    cut, offset = {}, 0
    for number, length in enumerate(assignments.object_lengths(len(ciphertext))):
        cut[f"{location}/{body.part_name(number)}"] = ciphertext[offset : offset + length]
        offset += length
    return cut
