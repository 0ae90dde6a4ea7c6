"""The hub of `wardround simulate`, which also seals models of a test's choice, and opens updates.

Knows no API server. A test that has one writes there what it gets from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.players.segments import opened, sealed
from wardround.api import names
from wardround.api.federatedround import Result
from wardround.documents import assignments
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Model
from wardround.plans.round.types import Dispatch, StoredModel
from wardround.plans.schema import assigned
from wardround.ports import Store
from wardround.presign import Presigner
from wardround.sealing import body
from wardround.sealing.assignments import sign_assignment
from wardround.sealing.keyed_digest import keyed_digest
from wardround.sealing.manifests import sign_model
from wardround.sealing.wrap import base_context, unwrap, update_context, wrap
from wardround.simulate import hub
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
# The spec of a Dataset with this DataSchema.
DATASET: dict[str, Any] = {
    "schemaName": "breast-v1",
    "claimName": "data",
    "path": "breast.csv",
    "identifier": {"column": "id", "type": "string"},
    "split": {},
}
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


def dispatch(participant: str, now: datetime, **fields: Any) -> Dispatch:
    """The hub's decision to ask a hospital. `fields`: what differs from the first attempt of a round of its own."""
    known = {"attempt": 1, "version": LATEST, "roster": (participant,), "expires": now + HOUR, "schema": SCHEMA}
    return Dispatch(participant=participant, **{**known, **fields})


@dataclass(frozen=True)
class Hub(hub.Hub):
    """One hub with the key of one round."""

    @property
    def key(self) -> str:
        """`spec.hubKey` of a RoundTask."""
        return canonical.encode(self.identity.public)

    def sign(self, assignment: Assignment) -> str:
        return sign_assignment(assignment, self.identity.key)

    def seal_model(self, plain: bytes, round_uid: str, *, schema_digest: str = "", task: Any = "Train") -> SealedModel:
        """A model as the result of this round."""
        key, location = body.new_file_key(), names.model_location(round_uid, 1)
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
        segments = sealed(body.Body(key, header), plain)
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
        plain = opened(self.opener(manifest), b"".join(stored))
        assert keyed_digest(self.file_key(manifest), manifest.header, digests.digest(plain)) == manifest.digest
        return plain


def parts(location: str, ciphertext: bytes) -> dict[str, bytes]:
    """A ciphertext as the objects that the store has of it."""
    cut, offset = {}, 0
    for number, length in enumerate(assignments.object_lengths(len(ciphertext))):
        cut[f"{location}/{body.part_name(number)}"] = ciphertext[offset : offset + length]
        offset += length
    return cut
