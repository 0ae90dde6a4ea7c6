"""Keeps a folder of containerd with unpacked images, and gives each cluster a copy made of hard links.

Unpacking a gigabyte for each cluster would take a minute, linking takes a second. Shared files also share the machine's
memory. Unpacked layers never change. containerd changes its databases, so these are copied.
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
    """The folder in `kept` with exactly these images. If it is missing, it is made from the last one, and only new
    images are unpacked. Raises LabError. Only one process may call it at a time."""
    kept.mkdir(parents=True, exist_ok=True)
    programs = toolchain.ensure()
    references = sorted(image.reference for image in images)
    key = hashlib.sha256("\0".join([programs.name, *references]).encode()).hexdigest()[:16]
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
        stale = set(_run([*ctr, "images", "list", "--quiet"]).split()) - set(references)
        if stale:
            # --sync waits until their layers are gone, too.
            _run([*ctr, "images", "remove", "--sync", *sorted(stale)])
    partial.rename(folder)
    # Clusters have their own links to the files.
    for each in earlier:
        shutil.rmtree(each)
    progress(f"images unpacked for all clusters: {time.monotonic() - started:.0f} s")
    return folder


def link(folder: Path, into: Path) -> None:
    """Copy a folder of containerd. The copy shares all files except the databases. Raises LabError."""
    into.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run(["cp", "--archive", "--link", str(folder), str(into)])
    except LabError:
        # Hard links do not work across file systems, so copy the files.
        shutil.rmtree(into, ignore_errors=True)
        _run(["cp", "--archive", str(folder), str(into)])
    for pattern in DATABASES:
        for database in folder.glob(pattern):
            own = into / database.relative_to(folder)
            own.unlink()
            shutil.copy2(database, own)


@contextmanager
def _containerd(programs: Path, root: Path) -> Iterator[list[str]]:
    """Runs a containerd that only handles images, on folder `root`. Yields the command line of its client."""
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
        # containerd gets its own mount namespace, and ends with this process, so that no mount is left.
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
