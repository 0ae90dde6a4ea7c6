"""Asks the hub by a ModelPush for a place to upload to, and waits until the hub has checked the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wardround.api import conditions, modelpush
from wardround.api.meta import API_VERSION
from wardround.api.modelpush import ModelPush
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError
from wardround.extras.model_pull import INSTALL, POLL_SECONDS
from wardround.reasons.registry import reason_for
from wardround.sealing.keys import DecryptionKey
from wardround.wire import canonical
from wardround.wire.digests import DIGEST


@dataclass(frozen=True)
class Wanted:
    """`name`: of the ModelVersion. `schema`: of the DataSchema. `fingerprint`: of the hub, as the person named it."""

    name: str
    namespace: str
    schema: str
    fingerprint: str
    seconds: float


def push(hub: Cluster, folder: Path, wanted: Wanted) -> list[str]:
    """Uploads the model of a folder. Returns lines for the person. Raises CommandError."""
    if not DIGEST.fullmatch(wanted.fingerprint):
        raise CommandError(
            "--hub-fingerprint is sha256: and 64 hexadecimal digits, as the hub's administrator tells them."
        )
    try:
        from wardround.card import push as upload
        from wardround.card.folder import FolderRefused
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise CommandError(
            f"`model push` needs {error.name}, which is not installed. Run, in a copy of Wardround's repository: "
            f"{INSTALL}"
        ) from error
    with TemporaryDirectory() as scratch:
        key, user = DecryptionKey.generate(), hub.user()
        try:
            prepared = upload.prepare(folder, Path(scratch))
        except FolderRefused as refusal:
            raise CommandError(f"Nothing was pushed: {refusal}.") from None
        made = hub.create(_manifest(wanted, prepared, key, user))
        try:
            offered = _until(hub, made, wanted.seconds, lambda live: live.status.upload is not None)
            assert offered.status.upload is not None, "the condition of the wait"
            asked = upload.Asked(key, offered.metadata.uid, user, wanted.fingerprint)
            upload.upload(offered.status.upload, asked, prepared, Path(scratch))
            hub.patch(modelpush.KIND, wanted.name, wanted.namespace, {"spec": {"uploaded": True}})
            _until(hub, made, wanted.seconds, lambda live: conditions.is_true(live.status.conditions, "Complete"))
        except (FolderRefused, upload.UploadFailed) as failure:
            raise CommandError(f"Nothing was pushed: {failure}.") from None
        finally:
            hub.delete(modelpush.KIND, wanted.name, wanted.namespace)
    return [
        f"Pushed modelversion/{wanted.name} -n {wanted.namespace}: {prepared.bytes} bytes, {prepared.digest}",
        f"To train it further: set initial.pushed of a FederatedModel to {wanted.name}",
    ]


def _manifest(wanted: Wanted, prepared: Any, key: DecryptionKey, user: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": modelpush.KIND,
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": {
            "schemaName": wanted.schema,
            "digest": prepared.digest,
            "bytes": prepared.bytes,
            "tensorsDigest": prepared.tensors_digest,
            "publicKey": canonical.encode(key.public.raw),
            "requestedBy": user,
        },
    }


def _until(
    hub: Cluster,
    made: Object,
    seconds: float,
    reached: Callable[[ModelPush], bool],
    sleep: Callable[[float], Any] = time.sleep,
) -> ModelPush:
    """The push once it has come so far. Raises CommandError if it has failed, or the time is over."""
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    until = time.monotonic() + seconds
    while True:
        item = hub.get(modelpush.KIND, name, namespace)
        if item is None:
            raise CommandError(f"Nothing was pushed: somebody deleted ModelPush {name}. Run the command again.")
        live = modelpush.parse(item)
        if reached(live):
            return live
        if conditions.is_true(live.status.conditions, "Failed"):
            failed = conditions.find(live.status.conditions, "Failed")
            reason = failed.reason if failed else ""
            raise CommandError(f"Nothing was pushed. {reason}: {reason_for(reason).text}")
        if time.monotonic() > until:
            raise CommandError(
                f"The hub operator has not answered within {seconds:g} s. Ask the hub's administrator whether it runs."
            )
        sleep(POLL_SECONDS)
