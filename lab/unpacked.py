"""Keeps a containerd folder in which images lie unpacked, and gives each cluster a copy of it made of hard links.

Unpacking a gigabyte for each cluster takes a minute, linking takes a second; and clusters that share files share them
in the machine's memory too. Layers never change once they are unpacked; what containerd does change, its databases, is
copied.
"""

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import toolchain
from lab.errors import LabError
from lab.images_oci import ImageRef

DATABASES = ("io.containerd.metadata.v1.bolt/*.db", "io.containerd.snapshotter.v1.overlayfs/*.db")
START_SECONDS = 20.0

Progress = Callable[[str], None]


def ensure(images: Sequence[ImageRef], kept: Path, progress: Progress) -> Path:
    """The folder in `kept` with exactly these images, made from the last one where it is not there: only what differs
    is unpacked. Raises LabError. One process at a time."""
    kept.mkdir(parents=True, exist_ok=True)
    programs = toolchain.ensure()
    wanted = sorted(image.reference for image in images)
    key = hashlib.sha256("\0".join([programs.name, *wanted]).encode()).hexdigest()[:16]
    folder = kept / key
    if folder.is_dir():
        return folder
    started = time.monotonic()
    earlier = [each for each in kept.iterdir() if each.suffix != ".partial"]
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    if earlier:
        link(max(earlier, key=lambda each: each.stat().st_mtime), partial)
    with _containerd(programs, partial) as ctr:
        for image in images:
            _run([*ctr, "images", "import", str(image.archive.resolve())])
        stale = set(_run([*ctr, "images", "list", "--quiet"]).split()) - set(wanted)
        if stale:
            # Synchronous: returns once what belonged to them is gone too.
            _run([*ctr, "images", "remove", "--sync", *sorted(stale)])
    partial.rename(folder)
    # Clusters hold links of their own.
    for each in earlier:
        shutil.rmtree(each)
    progress(f"images unpacked for all clusters: {time.monotonic() - started:.0f} s")
    return folder


def link(folder: Path, into: Path) -> None:
    """A copy of a containerd's folder that shares all files but the databases. Raises LabError."""
    into.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run(["cp", "--archive", "--link", str(folder), str(into)])
    except LabError:
        # Another file system: then it is copied.
        shutil.rmtree(into, ignore_errors=True)
        _run(["cp", "--archive", str(folder), str(into)])
    for pattern in DATABASES:
        for database in folder.glob(pattern):
            own = into / database.relative_to(folder)
            own.unlink()
            shutil.copy2(database, own)


@contextmanager
def _containerd(programs: Path, root: Path) -> Iterator[list[str]]:
    """A containerd for nothing but images, on that folder; yields the command that speaks to it."""
    with tempfile.TemporaryDirectory(prefix="wardround-") as scratch:
        config, socket, log = Path(scratch, "config.toml"), Path(scratch, "s"), Path(scratch, "log")
        config.write_text(
            f"""version = 3
root = "{root}"
state = "{scratch}/state"
required_plugins = ["io.containerd.snapshotter.v1.overlayfs"]
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""
        )
        # A mount namespace of its own takes every mount away with it; so does the end of this process.
        alone = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=slave"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*alone, str(programs / "containerd"), f"--config={config}"], stdout=output, stderr=output
            )
        ctr = [str(programs / "ctr"), f"--address={socket}", "--namespace=k8s.io"]
        try:
            until = time.monotonic() + START_SECONDS
            while subprocess.run([*ctr, "version"], capture_output=True).returncode:
                if process.poll() is not None or time.monotonic() > until:
                    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                    raise LabError(f"containerd did not start to unpack images:\n{tail}")
                time.sleep(0.1)
            yield ctr
        finally:
            process.terminate()
            process.wait()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"`{' '.join(command[:3])}` failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
