"""Writes OCI archives that containerd imports under the name `repository@sha256:...`. Knows nothing of buildah."""

import hashlib
import io
import json
import os
import platform
import tarfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.errors import LabError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# containerd names an imported image by this annotation, so that a kubelet finds `repository@sha256:...` without a
# registry.
NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class ImageRef:
    """`reference`: `repository@sha256:...`, the image's name after `ctr --namespace k8s.io images import ARCHIVE`."""

    reference: str
    archive: Path


def read(archive: Path) -> ImageRef:
    """The reference in an archive that this module wrote. Raises LabError for another archive."""
    with tarfile.open(archive) as tar:
        # The index is the first member, so the layers are not read.
        first = tar.next()
        content = tar.extractfile(first) if first is not None and first.name == "index.json" else None
        if content is None:
            raise LabError(f"{archive} is not an archive of the lab: delete it, and the lab builds it again")
        index = json.load(content)
    return ImageRef(index["manifests"][0]["annotations"][NAME], archive)


def archive_saved(saved: Path, repository: str, archive: Path) -> ImageRef:
    """Converts an archive in Docker's older format (`buildah push docker-archive:`). Its layers are not compressed:
    compressing a gigabyte, and unpacking it on the same machine, would take most of a minute."""
    with tarfile.open(saved) as source:
        (image,) = json.loads(_member(source, "manifest.json").read())
        config = _member(source, image["Config"]).read()
        diffs = json.loads(config)["rootfs"]["diff_ids"]
        members = [source.getmember(name) for name in image["Layers"]]
        layers = [(diff, member.size) for diff, member in zip(diffs, members, strict=True)]
        contents = (_member(source, member.name) for member in members)
        return _write(archive, repository, config, layers, contents)


def archive_files(
    repository: str, files: Mapping[str, Path], entrypoint: Sequence[str], archive: Path, user: str = "65532:65532"
) -> ImageRef:
    """An image that holds only static programs. `files` maps a path in the image to a file on this machine."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for target, source in sorted(files.items()):
            _add(tar, target.lstrip("/"), source.read_bytes(), mode=0o755)
    content = layer.getvalue()
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "User": user, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(content)]},
    }
    layers = [(_digest(content), len(content))]
    return _write(archive, repository, _json(config), layers, [io.BytesIO(content)])


def archive_over(base: ImageRef, repository: str, layer: bytes, changes: Mapping[str, Any], archive: Path) -> ImageRef:
    """The image `base` with one more layer (a tar) and with `changes` in its configuration.

    The archive holds only the new layer, so it can be imported only where the base image is.
    """
    with tarfile.open(base.archive) as tar:
        manifest = json.loads(_member(tar, _blob(base.reference.split("@")[1])).read())
        config = json.loads(_member(tar, _blob(manifest["config"]["digest"])).read())
    config["config"] |= changes
    config["rootfs"]["diff_ids"].append(_digest(layer))
    config.pop("history", None)
    below = [(each["digest"], each["size"]) for each in manifest["layers"]]
    layers = [*below, (_digest(layer), len(layer))]
    return _write(archive, repository, _json(config), layers, [*[None] * len(below), io.BytesIO(layer)])


def _write(
    archive: Path,
    repository: str,
    config: bytes,
    layers: Sequence[tuple[str, int]],
    contents: Iterable[IO[bytes] | None],
) -> ImageRef:
    """Write the archive and rename it into place. `layers`: digest and size of each. `contents`: the layers; None for a
    layer that the archive leaves out."""
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest, "size": size} for digest, size in layers],
        }
    )
    reference = f"{repository}@{_digest(manifest)}"
    described = {
        "mediaType": MANIFEST,
        "digest": _digest(manifest),
        "size": len(manifest),
        "annotations": {NAME: reference},
    }
    # A unique name, because another process may write the same archive now. Both results are equal.
    partial = archive.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    with tarfile.open(partial, "w") as tar:
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [described]}))
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for blob in (manifest, config):
            _add(tar, _blob(_digest(blob)), blob)
        for (digest, size), content in zip(layers, contents, strict=True):
            if content is None:
                continue
            member = tarfile.TarInfo(_blob(digest))
            member.size = size
            tar.addfile(member, content)
    partial.replace(archive)
    return ImageRef(reference, archive)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    content = tar.extractfile(name)
    if content is None:
        raise LabError(f"{tar.name!r} holds no plain file {name}")
    return content


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = mode
    tar.addfile(member, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
