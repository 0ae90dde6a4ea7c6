"""Brings the whole lab up and down: all clusters at once, one lab a machine, owned by one checkout."""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from lab import mounts, network, packages, sweep, toolchain, unpacked
from lab.cluster import Running, open_cluster
from lab.errors import LabError
from lab.images_oci import ImageRef, archive_files
from lab.topology import INTERNET, MOST_SITES, ROOT, RUNTIME, STATE, Cluster, clusters, existing, named

RECORD = RUNTIME / "lab.json"
# What a starting kubelet sets for the whole machine; `down` puts the old values back.
KUBELET_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# What nodes need of the kernel; `down` unloads what was not loaded before.
MODULES = ("br_netfilter", "overlay")


@dataclass(frozen=True)
class ClusterStatus:
    """What `status` shows of a cluster: `components` names those that run, with their resident megabytes."""

    cluster: Cluster
    ready: bool
    cut: bool
    components: dict[str, int]
    stopped: list[str]


def up(sites: int, unpacked_images: Path | None = None) -> None:
    """All clusters Ready, whatever was there before; new ones start with those images. Raises LabError."""
    require_root()
    packages.require()
    tools = toolchain.ensure()
    with _locked():
        _own()
        started = time.monotonic()
        wanted = clusters(sites)
        for cluster in wanted:
            if not _whole(cluster):
                sweep.sweep(cluster)
        _say(started, "lab", "namespaces and networks")
        if not network.exists(INTERNET):
            sweep.sweep_internet()
            network.make_internet()
        for cluster in wanted:
            if not _whole(cluster):
                cluster.state.mkdir(parents=True)
                network.make(cluster)
                mounts.make(cluster)
                _marker(cluster).touch()
        sandbox = _sandbox()
        with ThreadPoolExecutor(len(wanted)) as pool:
            futures = [pool.submit(_up, cluster, tools, sandbox, unpacked_images, started) for cluster in wanted]
            failures = [str(error) for future in futures if (error := future.exception()) is not None]
        if failures:
            raise LabError("\n\n".join(failures))
        _say(started, "lab", f"all {len(wanted)} clusters up; kubeconfigs: {STATE}/NAME/kubeconfig")


def down() -> None:
    """Remove the lab of this checkout, or of one that is gone, whole or in pieces."""
    require_root()
    with _locked():
        refuse_foreign()
        _remove()


def refuse_foreign() -> None:
    """Raises LabError where the lab is another checkout's. One that was deleted can run no `make down` any more (the
    lab that still runs keeps folders there): anybody may remove what it left."""
    if _owner() != ROOT and (_owner() / "Makefile").exists():
        raise LabError(f"the lab that runs on this machine belongs to {_owner()}: run `make down` there first")


def status() -> list[ClusterStatus]:
    """Every existing cluster as it is now."""
    return [_status(running) for running in map(open_existing, (cluster.name for cluster in existing()))]


def left() -> str:
    """What still runs and how to stop it, in a sentence; nothing where nothing does. Reads, and starts nothing."""
    found = [_components(open_existing(cluster.name)) for cluster in existing() if _whole(cluster)]
    return left_running([sum(running.values()) for running, _ in found])


def left_running(megabytes: list[int]) -> str:
    """Of so many clusters, each with what its components take."""
    if not megabytes:
        return ""
    return (
        f"Clusters that still run: {len(megabytes)}, with {sum(megabytes) / 1024:.1f} GB of memory. The next tests and "
        "`make demo` start faster with them. `make down` stops them and takes away all that the lab made."
    )


def open_existing(name: str) -> Running:
    """A cluster of the running lab, by name. Raises LabError when there is none."""
    cluster = named(name)
    if not _whole(cluster):
        raise LabError(f"{name} was left half made: `python -m lab up` makes it anew")
    return open_cluster(cluster, toolchain.ensure(), _sandbox())


def _up(cluster: Cluster, tools: Path, sandbox: ImageRef, unpacked_images: Path | None, started: float) -> None:
    if unpacked_images is not None and not cluster.images.exists():
        unpacked.link(unpacked_images, cluster.images)
    running = open_cluster(cluster, tools, sandbox)
    running.up(clusters(1)[0], lambda line: _say(started, cluster.name, line))


def _status(running: Running) -> ClusterStatus:
    components, stopped = _components(running)
    return ClusterStatus(running.cluster, running.node_ready(), network.is_cut(running.cluster), components, stopped)


def _components(running: Running) -> tuple[dict[str, int], list[str]]:
    """Those that run, with their megabytes, and those that do not."""
    components, stopped = {}, []
    for name in running.node.commands:
        pid = running.process(name).pid()
        if pid is None:
            stopped.append(name)
        else:
            components[name] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() >> 20
    return components, stopped


def _marker(cluster: Cluster) -> Path:
    """Its presence says that the cluster's namespaces were made to the end."""
    return cluster.run / "made"


def _whole(cluster: Cluster) -> bool:
    return _marker(cluster).exists() and network.exists(cluster.namespace) and cluster.state.is_dir()


def _sandbox_archive() -> Path:
    return STATE / "busybox.tar"


@cache
def _sandbox() -> ImageRef:
    """Debian's static busybox as an image that sleeps: the pods' sandbox, and a shell for tests and the curious."""
    program = next(path for path in (Path("/usr/bin/busybox"), Path("/bin/busybox")) if path.exists())
    files = {"/bin/busybox": program, "/bin/sh": program}
    STATE.mkdir(parents=True, exist_ok=True)
    entrypoint = ["/bin/busybox", "sleep", "2147483647"]
    return archive_files("localhost/wardround/busybox", files, entrypoint, _sandbox_archive())


def _own() -> None:
    """Take the machine's one lab for this checkout, and note what `down` must put back."""
    refuse_foreign()
    if _owner() != ROOT:
        _remove()
    if RECORD.exists():
        return
    mounts.make_runtime()
    folders = [folder for folder in mounts.COVERED if not folder.exists()]
    cgroups = [str(group) for group in sweep.container_cgroups() if not group.exists()]
    sysctls = {name: Path("/proc/sys", name).read_text() for name in KUBELET_SYSCTLS}
    modules = [module for module in MODULES if module not in _loaded()]
    record = {
        "checkout": str(ROOT),
        "sysctls": sysctls,
        "folders": [*map(str, folders)],
        "cgroups": cgroups,
        "modules": modules,
    }
    RECORD.write_text(json.dumps(record))
    for folder in folders:
        folder.mkdir(parents=True)
    for module in modules:
        # Built into some kernels, not for a container to load in others: what is missing shows where it is used.
        if shutil.which("modprobe"):
            subprocess.run(["modprobe", module], capture_output=True)


def _remove() -> None:
    """Everything that the record's owner made, and the record."""
    started = time.monotonic()
    record = _record()
    state = _owner() / STATE.relative_to(ROOT)
    owned = [replace(cluster, state_root=state) for cluster in clusters(MOST_SITES)]
    doomed = [each for each in owned if each.state.is_dir() or each.netns.exists() or each.run.exists()]
    if doomed:
        with ThreadPoolExecutor(len(doomed)) as pool:
            list(pool.map(sweep.sweep, doomed))
    sweep.sweep_internet()
    for name, value in record.get("sysctls", {}).items():
        Path("/proc/sys", name).write_text(value)
    for module in sorted(_loaded().intersection(record.get("modules", []))):
        # What somebody else uses by now stays, as modprobe sees to.
        subprocess.run(["modprobe", "--remove", module], capture_output=True)
    mounts.remove_runtime()
    for made in [*record.get("folders", []), *record.get("cgroups", [])]:
        with contextlib.suppress(OSError):
            Path(made).rmdir()
    for path in (_sandbox_archive(), RECORD):
        path.unlink(missing_ok=True)
    for folder in (RUNTIME, STATE):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
    _say(started, "lab", "nothing of it is left")


def _loaded() -> set[str]:
    """Names of the kernel modules that are loaded: without those that are built in, which nobody can unload."""
    try:
        return {line.split()[0] for line in Path("/proc/modules").read_text().splitlines()}
    except FileNotFoundError:
        return set()  # a kernel without modules


def _record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return found


def _owner() -> Path:
    return Path(_record().get("checkout", ROOT))


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and runs containers, which needs root: use sudo")


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One command at a time on this machine. The name of a socket is a lock that no crash leaves behind."""
    with socket.socket(socket.AF_UNIX) as lock:
        waiting = False
        while True:
            try:
                lock.bind("\0wardround-lab")
                break
            except OSError:
                if not waiting:
                    print("another lab command is running: waiting for it", file=sys.stderr, flush=True)
                waiting = True
                time.sleep(0.2)
        yield


def _say(started: float, who: str, what: str) -> None:
    print(f"{time.monotonic() - started:5.1f} s  {who:8} {what}", file=sys.stderr, flush=True)
