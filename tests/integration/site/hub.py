"""The hub of a site under test: the player of a hub, at the API server and the store of the tests."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration.api.apiserver import Api
from tests.integration.api.objects import TRAINER
from tests.players.courier import SCHEMA_DIGEST
from tests.players.store import Server
from tests.worlds.site import ASSIGNMENT, HUB, a_reference
from wardround.api import participant, roundtask
from wardround.api.meta import RoundRef
from wardround.api.task import TaskSpec, Upload, manifest
from wardround.api.times import to_microseconds, to_seconds
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Model
from wardround.plans.participant import fingerprint
from wardround.plans.schema import assigned
from wardround.sealing import untrusted
from wardround.sealing.body import ciphertext_length
from wardround.sealing.keys import SigningKey, load_verification_key
from wardround.sealing.manifests import ExpectedUpdate, sign_model, verify_update
from wardround.store import admin
from wardround.wire.assignment import AssignedModel, AssignedReference

Object = dict[str, Any]
PARTICIPANT = "site-a"
# The spec of the site's DataSchema.
SCHEMA: Object = {
    "fields": [
        {"name": "mean_radius", "type": "number"},
        {"name": "malignant", "type": "integer", "categories": ["0", "1"]},
    ],
    "target": "malignant",
}
HUB_OPERATOR = "system:serviceaccount:wardround-hub:hub-operator"


def referenced(number: int, model: Model, recipient: Recipient, round_uid: str) -> AssignedReference:
    """A model with which an evaluation compares its own."""
    base = HUB.base(model, recipient, round_uid)
    code = {"image": TRAINER, "image_digest": TRAINER.partition("@")[2]}
    return a_reference(number, manifest=base.manifest, wrapped_key=base.wrapped_key, **code)


class Hub:
    """One hub with one participant."""

    def __init__(self, api: Api, server: Server) -> None:
        self.api = api
        self._server = server
        self._store = server.client(tries=2)

    async def open(self) -> None:
        await self._store.__aenter__()
        await admin.ensure_bucket(self._store, self._server.presigner, datetime.now(UTC))

    async def close(self) -> None:
        await self._store.__aexit__(None, None, None)

    def keys(self) -> participant.PublicKeys | None:
        """What the site has published."""
        site = participant.parse(self.api.get("Participant", PARTICIPANT, PARTICIPANT)).status.site
        return site.keys if site else None

    def approve(self) -> None:
        keys = self.keys()
        assert keys is not None
        self.api.patch("Participant", PARTICIPANT, {"spec": {"keyFingerprint": fingerprint(keys)}}, PARTICIPANT)

    def recipient(self) -> Recipient:
        return Recipient.from_participant(participant.parse(self.api.get("Participant", PARTICIPANT, PARTICIPANT)))

    async def seal_model(self, plain: bytes) -> Model:
        """Puts a model into the store, as the aggregation does."""
        sealed = HUB.seal_model(plain, str(uuid.uuid4()), schema_digest=SCHEMA_DIGEST)
        await sealed.put(self._store, self._server.presigner, datetime.now(UTC))
        return sealed.model

    def ask(
        self,
        model: Model | None = None,
        *,
        sign_by: SigningKey | None = None,
        series: AssignedModel | None = None,
        references: Sequence[Model] = (),
        round_uid: str = "",
        **changes: Any,
    ) -> Object:
        """Writes a RoundTask and returns it. `sign_by`: a key that signs the model instead of the hub's. `series`: the
        series of a FederatedModel that the round belongs to. `references`: models that an evaluation compares with.
        `round_uid`: of a round that the hub has asked before; otherwise the round is new."""
        recipient, round_uid, now = self.recipient(), round_uid or str(uuid.uuid4()), datetime.now(UTC)
        if model is not None and sign_by is not None:
            model = dataclasses.replace(model, text=sign_model(model.manifest, sign_by))
        known = {
            "round_uid": round_uid,
            "site_fingerprint": recipient.fingerprint,
            "image": TRAINER,
            "schema": assigned(SCHEMA),
            "initial": model is None,
            "base": HUB.base(model, recipient, round_uid) if model else None,
            "model": series,
            "references": tuple(referenced(*each, recipient, round_uid) for each in enumerate(references, 1)),
            "issued": to_microseconds(now),
            "expires": to_seconds(now + timedelta(hours=1)),
        }
        envelope = HUB.sign(dataclasses.replace(ASSIGNMENT, **{**known, **changes}))
        reference = RoundRef(namespace="breast-cancer", name="train-1", uid=round_uid)
        spec = TaskSpec(round_ref=reference, attempt=1, assignment=envelope, hub_key=HUB.key)
        spec = HUB.grant(spec, recipient, self._server.presigner, now, base=model, references=references)
        name = f"train-1-{hashlib.sha256(round_uid.encode()).hexdigest()[:8]}-a1"
        return self.api.create(manifest("RoundTask", name, PARTICIPANT, {}, spec), user=HUB_OPERATOR)

    def cancel(self, name: str) -> None:
        self.api.patch("RoundTask", name, {"spec": {"cancel": True}}, PARTICIPANT, user=HUB_OPERATOR)

    def delete(self, name: str) -> None:
        """Deletes a RoundTask, so that its name is free."""
        self.api.delete("RoundTask", name, PARTICIPANT)

    def touch(self, name: str) -> None:
        """Something of it changes that nobody acts on."""
        note = {"metadata": {"annotations": {"tests.wardround.io/touched": str(uuid.uuid4())}}}
        self.api.patch("RoundTask", name, note, PARTICIPANT, user=HUB_OPERATOR)

    def grant_upload(self, task: Object, length: int) -> None:
        """`length`: of the plaintext. Like the grants of an earlier hub, these are for the length alone."""
        spec, upload = roundtask.parse(task).spec, Upload(bytes=ciphertext_length(length))
        spec = HUB.grant(spec, self.recipient(), self._server.presigner, datetime.now(UTC), upload=upload)
        name = task["metadata"]["name"]
        self.api.patch("RoundTask", name, {"spec": {"grants": spec.grants}}, PARTICIPANT, user=HUB_OPERATOR)

    def open_update(self, task: Object, base_digest: str | None) -> bytes:
        """The plaintext of what lies in the store, by the site's signed manifest."""
        live = roundtask.parse(self.api.get("RoundTask", task["metadata"]["name"], PARTICIPANT))
        assert live.status.update is not None
        uid = live.spec.round_ref.uid
        expected = ExpectedUpdate(uid, 1, PARTICIPANT, TRAINER.split("@")[1], base_digest, SCHEMA_DIGEST)
        key = load_verification_key(untrusted.decode(self.recipient().signing, "KeyUnusable"))
        update = verify_update(live.status.update.manifest, key, expected, datetime.now(UTC))
        return HUB.open_update(update, (part.read_bytes() for part in self.stored(uid)))

    def stored(self, round_uid: str) -> list[Path]:
        """The parts of the site's update in the store."""
        folder: Path = self._server.folder / "wardround" / "updates" / round_uid / "1" / PARTICIPANT
        return sorted(folder.iterdir())
