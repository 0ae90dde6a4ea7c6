"""Asks the hub by a ModelPush for a place to upload to, and waits until the hub has checked the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wardround.api import modelpush
from wardround.api.meta import API_VERSION
from wardround.api.modelpush import ModelPush
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError
from wardround.extras.model_requests import INSTALL, check_fingerprint, is_complete, wait_for
from wardround.sealing.keys import DecryptionKey
from wardround.wire import canonical


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
    check_fingerprint(wanted.fingerprint)
    try:
        from wardround.card import push as upload
        from wardround.card.folder import FolderRefused
        from wardround.card.own_request import OwnRequest
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
            offered = _wait(hub, made, wanted, lambda live: live.status.upload is not None)
            assert offered.status.upload is not None, "the condition of the wait"
            own = OwnRequest(key, offered.metadata.uid, user, wanted.fingerprint)
            upload.upload(offered.status.upload, own, prepared, Path(scratch))
            hub.patch(modelpush.KIND, wanted.name, wanted.namespace, {"spec": {"uploaded": True}})
            _wait(hub, made, wanted, is_complete)
        except (FolderRefused, upload.UploadFailed) as failure:
            raise CommandError(f"Nothing was pushed: {failure}.") from None
        finally:
            hub.delete(modelpush.KIND, wanted.name, wanted.namespace)
    return [
        f"Pushed modelversion/{wanted.name} -n {wanted.namespace}: {prepared.bytes} bytes, {prepared.digest}",
        f"To train the model further, set initial.pushed of a FederatedModel to {wanted.name}",
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


def _wait(hub: Cluster, made: Object, wanted: Wanted, reached: Callable[[ModelPush], bool]) -> ModelPush:
    return wait_for(hub, made, wanted.seconds, modelpush.parse, reached, "Nothing was pushed.")
