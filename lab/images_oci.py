"""Writes OCI archives that containerd imports under the name `repository@sha256:...`. Knows nothing of buildah."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# containerd names an imported image by this annotation: a kubelet finds `repository@sha256:...` without a registry.
NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class ImageRef:
    """`reference` is `repository@sha256:...`: what `ctr --namespace k8s.io images import ARCHIVE` brings in."""

    reference: str
    archive: Path


def read(archive: Path) -> ImageRef:
    """The reference that an archive written here carries."""
    with tarfile.open(archive) as tar:
        # The index is the first member, so that a gigabyte behind it is not read.
        first = tar.next()
        content = tar.extractfile(first) if first is not None and first.name == "index.json" else None
        if content is None:
            raise LabError(f"{archive} is not an archive that the lab wrote: delete it, it is built again")
        index = json.load(content)
    return ImageRef(index["manifests"][0]["annotations"][NAME], archive)


def archive_layout(layout: Path, repository: str, archive: Path) -> ImageRef:
    """One archive of an OCI layout that holds one image."""
    manifest = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    index, reference = _index(repository, manifest)
    blobs = sorted((layout / "blobs" / "sha256").iterdir())
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        _add(tar, "index.json", index)
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for blob in blobs:
            tar.add(blob, arcname=f"blobs/sha256/{blob.name}")
    partial.replace(archive)
    return ImageRef(reference, archive)


def archive_files(
    repository: str, files: Mapping[str, Path], entrypoint: Sequence[str], archive: Path, user: str = "65532:65532"
) -> ImageRef:
    """An image of a few static programs and nothing else: `files` maps a path in the image to a file here."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for target, source in sorted(files.items()):
            _add(tar, target.lstrip("/"), source.read_bytes(), mode=0o755)
    diff = _digest(layer.getvalue())
    config = _json(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "User": user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": diff, "size": len(layer.getvalue())}],
        }
    )
    index, reference = _index(repository, {"mediaType": MANIFEST, "digest": _digest(manifest), "size": len(manifest)})
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        _add(tar, "index.json", index)
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for blob in (config, manifest, layer.getvalue()):
            _add(tar, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob)
    partial.replace(archive)
    return ImageRef(reference, archive)


def _index(repository: str, manifest: Mapping[str, Any]) -> tuple[bytes, str]:
    reference = f"{repository}@{manifest['digest']}"
    return _json({"schemaVersion": 2, "manifests": [{**manifest, "annotations": {NAME: reference}}]}), reference


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = mode
    tar.addfile(member, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
