"""The hub's part, played with the real sealing: pins keys, seals models, writes RoundTasks, grants, opens updates."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration.api.apiserver import Api
from tests.integration.api.objects import TRAINER
from tests.integration.store.conftest import Server
from tests.unit.plans_site.world import HUB, HUB_DER, signed
from wardround.api.times import to_microseconds
from wardround.sealing import body, untrusted
from wardround.sealing.keys import DecryptionKey, RecipientKey, load_verification_key, participant_fingerprint
from wardround.sealing.manifests import ExpectedUpdate, seal_grants, sign_model, verify_update
from wardround.sealing.wrap import base_context, unwrap, update_context, wrap
from wardround.store import admin
from wardround.store.transfer import Store
from wardround.wire import canonical, digests
from wardround.wire.assignment import AssignedBase
from wardround.wire.grants import Get, Grants, Put
from wardround.wire.models import ModelManifest

Object = dict[str, Any]
PARTICIPANT = "site-a"
SCHEMA_DIGEST = digests.digest(b"schema")
HOUR = 3600


@dataclass(frozen=True)
class Model:
    manifest: ModelManifest
    key: bytes


class Hub:
    """One hub with one participant."""

    def __init__(self, api: Api, server: Server) -> None:
        self.api = api
        self._server = server
        self._store = Store(server.origin, server.ca, tries=2)
        self.round_key = DecryptionKey.generate()

    async def open(self) -> None:
        await self._store.__aenter__()
        await admin.ensure_bucket(self._store, self._server.presigner, datetime.now(UTC))

    async def close(self) -> None:
        await self._store.__aexit__(None, None, None)

    def keys(self) -> tuple[bytes, bytes] | None:
        """What the site has published: signing key, decryption key."""
        site = (self.api.get("Participant", PARTICIPANT, PARTICIPANT).get("status") or {}).get("site") or {}
        if "keys" not in site:
            return None
        return tuple(untrusted.decode(site["keys"][each], "KeyUnusable") for each in ("signing", "decryption"))  # type: ignore[return-value]

    def approve(self) -> None:
        keys = self.keys()
        assert keys is not None
        pin = {"spec": {"keyFingerprint": participant_fingerprint(*keys)}}
        self.api.patch("Participant", PARTICIPANT, pin, PARTICIPANT)

    async def seal_model(self, plain: bytes) -> Model:
        """Puts a model into the store, as the aggregation does."""
        round_uid, key = str(uuid.uuid4()), body.new_file_key()
        header = body.new_header(
            key,
            kind=body.MODEL,
            round_uid=round_uid,
            attempt=1,
            participant="",
            base_digest="",
            image_digest="",
            schema_digest=SCHEMA_DIGEST,
            length=len(plain),
        )
        sealer = body.Body(key, header)
        segments = []
        for index in range(sealer.segments):
            offset, size = body.segment_span(index, len(plain))
            segments.append(sealer.seal(index, plain[offset : offset + size]))
        hashes = b"".join(hashlib.sha256(segment).digest() for segment in segments)
        ciphertext, location = b"".join(segments), f"models/{round_uid}/1"
        offset = 0
        for number, length in enumerate(body.part_lengths(len(plain))):
            await self._put(f"{location}/{body.part_name(number)}", ciphertext[offset : offset + length])
            offset += length
        await self._put(f"{location}/segments", hashes)
        manifest = ModelManifest(
            header, digests.digest(plain), digests.digest(hashes), location, body.ciphertext_length(len(plain))
        )
        return Model(manifest, key)

    def ask(self, model: Model | None = None, *, sign_by: Any = HUB, **changes: Any) -> Object:
        """Writes a RoundTask and returns it."""
        keys = self.keys()
        assert keys is not None
        round_uid = str(uuid.uuid4())
        base = None
        if model is not None:
            context = base_context(round_uid, 1, PARTICIPANT, model.manifest.digest)
            wrapped = wrap(model.key, RecipientKey.load(keys[1]), context)
            base = AssignedBase(sign_model(model.manifest, sign_by), wrapped)
        assignment = {
            "round_uid": round_uid,
            "site_fingerprint": participant_fingerprint(*keys),
            "round_public_key": self.round_key.public.raw,
            "image": TRAINER,
            "initial": model is None,
            "base": base,
            "issued": to_microseconds(datetime.now(UTC)),
            "expires": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        name = f"train-1-{hashlib.sha256(round_uid.encode()).hexdigest()[:8]}-a1"
        task = {
            "apiVersion": "wardround.io/v1alpha1",
            "kind": "RoundTask",
            "metadata": {"name": name, "namespace": PARTICIPANT},
            "spec": {
                "roundRef": {"namespace": "breast-cancer", "name": "train-1", "uid": round_uid},
                "attempt": 1,
                "assignment": signed(**(assignment | changes)),
                "hubKey": canonical.encode(HUB_DER),
                "grants": self._grants(round_uid, self._get(model), None),
            },
        }
        return self.api.create(task, user=HUB_OPERATOR)

    def cancel(self, name: str) -> None:
        self.api.patch("RoundTask", name, {"spec": {"cancel": True}}, PARTICIPANT, user=HUB_OPERATOR)

    def touch(self, name: str) -> None:
        """Something of it changes that nobody acts on."""
        note = {"metadata": {"annotations": {"tests.wardround.io/touched": str(uuid.uuid4())}}}
        self.api.patch("RoundTask", name, note, PARTICIPANT, user=HUB_OPERATOR)

    def grant_upload(self, task: Object, length: int) -> None:
        """`length` is the plaintext's: what the courier may put is derived from it."""
        prefix = f"updates/{task['spec']['roundRef']['uid']}/1/{PARTICIPANT}"
        puts = []
        for number, part in enumerate(body.part_lengths(length)):
            upload = self._server.presigner.put(
                f"{prefix}/{body.part_name(number)}", datetime.now(UTC), HOUR, length=part
            )
            puts.append(Put(upload.url, part, upload.headers))
        grants = self._grants(task["spec"]["roundRef"]["uid"], None, tuple(puts))
        name = task["metadata"]["name"]
        self.api.patch("RoundTask", name, {"spec": {"grants": grants}}, PARTICIPANT, user=HUB_OPERATOR)

    def open_update(self, task: Object, base_digest: str | None) -> bytes:
        """The plaintext of what lies in the store, by the site's signed manifest."""
        keys = self.keys()
        assert keys is not None
        live = self.api.get("RoundTask", task["metadata"]["name"], PARTICIPANT)
        uid = task["spec"]["roundRef"]["uid"]
        expected = ExpectedUpdate(uid, 1, PARTICIPANT, TRAINER.split("@")[1], base_digest, SCHEMA_DIGEST)
        text = live["status"]["update"]["manifest"]
        manifest = verify_update(text, load_verification_key(keys[0]), expected, datetime.now(UTC))
        context = update_context(uid, 1, PARTICIPANT, manifest.digest)
        opener = body.Body(unwrap(manifest.wrapped_key, self.round_key, context), manifest.header)
        folder: Path = self._server.folder / "wardround" / "updates" / uid / "1" / PARTICIPANT
        ciphertext = b"".join(part.read_bytes() for part in sorted(folder.iterdir()))
        plain = b""
        for index in range(opener.segments):
            _, size = body.segment_span(index, manifest.header.length)
            place = index * body.SEALED_SEGMENT
            plain += opener.open(index, ciphertext[place : place + size + body.TAG])
        assert digests.digest(plain) == manifest.digest
        return plain

    async def _put(self, key: str, data: bytes) -> None:
        upload = self._server.presigner.put(key, datetime.now(UTC), HOUR, length=len(data))
        await self._store.put_bytes(upload.url, upload.headers, data)

    def _get(self, model: Model | None) -> Get | None:
        if model is None:
            return None
        manifest, sign = model.manifest, self._server.presigner
        parts = [body.part_name(number) for number in range(len(body.part_lengths(manifest.header.length)))]
        now = datetime.now(UTC)
        return Get(
            sign.get(f"{manifest.location}/segments", now, HOUR),
            tuple(sign.get(f"{manifest.location}/{part}", now, HOUR) for part in parts),
        )

    def _grants(self, round_uid: str, get: Get | None, put: tuple[Put, ...] | None) -> str:
        keys = self.keys()
        assert keys is not None
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        sealed = seal_grants(
            Grants(expires, get, put),
            RecipientKey.load(keys[1]),
            round_uid=round_uid,
            attempt=1,
            participant=PARTICIPANT,
        )
        return canonical.encode(sealed)


HUB_OPERATOR = "system:serviceaccount:wardround-hub:hub-operator"
