"""Builds the images of the lab's clusters with the Dockerfile at the root, and caches them by content.

The lab makes its own base images from Debian packages, so a build needs no image registry. The results are OCI
archives, which containerd imports under their digests.
"""

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import images_base, toolchain, unpacked
from lab.errors import LabError
from lab.images_base import BaseImage, Buildah
from lab.images_oci import ImageRef, archive_files, archive_saved, read

ROOT = Path(__file__).parents[1]
REPOSITORY = "localhost/wardround"
# How many archives of an image are kept, so that switching between two branches builds nothing.
KEPT = 2
MOST_LAYERS = 100

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Images:
    operator: ImageRef
    trainer: ImageRef
    store: ImageRef
    unpacked: Path  # a folder of containerd with all three images


@dataclass(frozen=True)
class BuildTarget:
    """One target of the Dockerfile. Its content depends on `sources` and on `bases` (by build argument) only."""

    name: str
    bases: Mapping[str, BaseImage]
    sources: tuple[str, ...]


OPERATOR = BuildTarget(
    "operator",
    {"OPERATOR_BASE": images_base.OPERATOR, "LAUNCHER_BASE": images_base.LAUNCHER},
    ("Dockerfile", ".dockerignore", "requirements/operator.txt", "operator/wardround", "launcher", "kernels"),
)
TRAINER = BuildTarget(
    "trainer",
    {"TRAINER_BASE": images_base.TRAINER},
    ("Dockerfile", ".dockerignore", "requirements/trainer.txt", "trainer_image/wardround_trainer"),
)


def build_all(progress: Progress) -> Images:
    """All images. Builds those whose content changed. Raises LabError if one cannot be built."""
    with _locked(progress) as folder:
        operator = _build(OPERATOR, folder, progress)
        trainer = _build(TRAINER, folder, progress)
        store = _store(folder, progress)
        everything = unpacked.ensure([operator, trainer, store], folder / "unpacked", progress)
        return Images(operator, trainer, store, everything)


def build(target: BuildTarget, progress: Progress) -> ImageRef:
    """One image. Builds it if its content changed. Raises LabError if it cannot be built."""
    with _locked(progress) as folder:
        return _build(target, folder, progress)


def run_in(target: BuildTarget, command: Sequence[str], volumes: Iterable[str], progress: Progress) -> str:
    """Run a command as the image's user in a new container. Returns its output. Raises LabError if it fails."""
    with _locked(progress) as folder:
        buildah = Buildah(folder)
        image = _name(target)
        if not buildah.has(image):
            _build_image(target, folder, buildah, progress)
        container = buildah.run("from", "--pull-never", image)
        try:
            mounts = [f"--volume={volume}" for volume in volumes]
            return buildah.run("run", "--isolation=chroot", *mounts, container, "--", *command)
        finally:
            buildah.run("rm", container)


def content_key(paths: Iterable[Path], *further: str) -> str:
    """Sixteen hex digits of a hash over names and contents of files and folders, and further strings."""
    digest = hashlib.sha256()
    for part in further:
        digest.update(part.encode() + b"\0")
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                digest.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _key(target: BuildTarget) -> str:
    return content_key((ROOT / source for source in target.sources), *(base.image for base in target.bases.values()))


def _name(target: BuildTarget) -> str:
    return f"{REPOSITORY}/{target.name}:{_key(target)}"


def _build(target: BuildTarget, folder: Path, progress: Progress) -> ImageRef:
    archive = folder / "archives" / f"{target.name}-{_key(target)}.tar"
    if archive.exists():
        os.utime(archive)
        return read(archive)
    started = time.monotonic()
    buildah = Buildah(folder)
    image = _build_image(target, folder, buildah, progress)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        saved = Path(scratch) / "saved.tar"
        buildah.run("push", "--quiet", image, f"docker-archive:{saved}")
        built = archive_saved(saved, f"{REPOSITORY}/{target.name}", archive)
    progress(f"image {target.name}: {time.monotonic() - started:.0f} s, {archive.stat().st_size // 1_000_000} MB")
    _prune(archive.parent, target.name)
    _tidy(buildah)
    return built


def _build_image(target: BuildTarget, folder: Path, buildah: Buildah, progress: Progress) -> str:
    bases = {name: images_base.ensure(base, buildah, folder, progress) for name, base in target.bases.items()}
    image = _name(target)
    progress(f"image {target.name}: building")
    # With a fixed timestamp, equal content has an equal digest. Bytecode is compiled without timestamps.
    buildah.build(
        ROOT,
        f"--file={ROOT / 'Dockerfile'}",
        f"--target={target.name}",
        *(f"--build-arg={name}={base}" for name, base in bases.items()),
        "--timestamp=0",
        f"--tag={image}",
    )
    return image


def _store(folder: Path, progress: Progress) -> ImageRef:
    """The object store's image: one static program. Outside the lab, use versitygw's own image."""
    program = toolchain.tool("versitygw")
    key = hashlib.sha256(program.read_bytes()).hexdigest()[:16]
    archive = folder / "archives" / f"store-{key}.tar"
    if archive.exists():
        return read(archive)
    progress("image store: one program")
    built = archive_files(
        f"{REPOSITORY}/store", {"/usr/local/bin/versitygw": program}, ["/usr/local/bin/versitygw"], archive
    )
    _prune(archive.parent, "store")
    return built


def _prune(folder: Path, name: str) -> None:
    """Delete all but the newest archives of an image."""
    archives = sorted(folder.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for stale in archives[KEPT:]:
        stale.unlink()


def _tidy(buildah: Buildah) -> None:
    """Each change of sources leaves layers in buildah's store. If there are many, remove all but the current images."""
    if len(buildah.run("images", "--all", "--quiet").splitlines()) <= MOST_LAYERS:
        return
    # An interrupted build leaves a container, and buildah does not remove an image with a container. The store is ours
    # and locked, so all containers can go.
    buildah.run("rm", "--all")
    current = {_name(target) for target in (OPERATOR, TRAINER)}
    current |= {base.image for target in (OPERATOR, TRAINER) for base in target.bases.values()}
    tagged = buildah.run("images", "--filter=dangling=false", "--format={{.Name}}:{{.Tag}}").splitlines()
    stale = [name for name in tagged if name not in current]
    if stale:
        buildah.run("rmi", "--force", *stale)
    buildah.run("rmi", "--prune")


@contextmanager
def _locked(progress: Progress) -> Iterator[Path]:
    """The cache folder, held by one process at a time."""
    folder = toolchain.cache_folder().parent / "images"
    (folder / "archives").mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that builds images")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder


if __name__ == "__main__":
    try:
        build_all(lambda line: print(line, file=sys.stderr, flush=True))
    except LabError as error:
        sys.exit(str(error))
