"""Starts and stops the whole lab. A machine has one lab, which belongs to one checkout."""

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
from lab.topology import INTERNET, MOST_SITES, ROOT, RUNTIME, STATE, STATE_FOLDER, Cluster, clusters, existing, named

RECORD = RUNTIME / "lab.json"
# Settings of the machine that a kubelet changes when it starts. `down` restores them.
KUBELET_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Kernel modules that nodes need. `down` unloads those that were not loaded before.
MODULES = ("br_netfilter", "overlay")


@dataclass(frozen=True)
class ClusterStatus:
    """The state of a cluster. `components`: the running ones, with their resident megabytes."""

    cluster: Cluster
    ready: bool
    cut: bool
    components: dict[str, int]
    stopped: list[str]


def up(sites: int, unpacked_images: Path | None = None) -> None:
    """Start all clusters and wait until they are Ready. New clusters start with these images. Raises LabError."""
    require_root()
    packages.require()
    tools = toolchain.ensure()
    with _locked():
        members = clusters(sites)
        _own(len(members))
        started = time.monotonic()
        for cluster in members:
            if not _complete(cluster):
                sweep.sweep(cluster)
        _log(started, "lab", "namespaces and networks")
        if not network.exists(INTERNET):
            sweep.sweep_internet()
            network.make_internet()
        for cluster in members:
            if not _complete(cluster):
                cluster.state.mkdir(parents=True)
                network.make(cluster)
                mounts.make(cluster)
                _marker(cluster).touch()
        sandbox = _sandbox()
        with ThreadPoolExecutor(len(members)) as pool:
            futures = [pool.submit(_up, cluster, tools, sandbox, unpacked_images, started) for cluster in members]
            failures = [str(error) for future in futures if (error := future.exception()) is not None]
        if failures:
            raise LabError("\n\n".join(failures))
        _log(started, "lab", f"all {len(members)} clusters up; kubeconfigs: {STATE}/NAME/kubeconfig")


def down() -> None:
    """Remove the lab of this checkout, or one that its checkout has left behind, also an incomplete one."""
    require_root()
    with _locked():
        refuse_foreign()
        _remove()


def refuse_foreign() -> None:
    """Raises LabError if a lab runs that belongs to another checkout. Every checkout may remove a lab of which no
    process is left, and one of a deleted checkout, which can no longer run `make down`."""
    if _owner() == ROOT or not (_owner() / "Makefile").exists():
        return
    if any(sweep.programs(cluster) for cluster in _owned()):
        raise LabError(f"the lab that runs on this machine belongs to {_owner()}: run `make down` there first")


def status() -> list[ClusterStatus]:
    """The state of every existing cluster."""
    return [_status(running) for running in map(open_existing, (cluster.name for cluster in existing()))]


def left() -> str:
    """A text about the clusters that still run, and how to stop them; empty if none runs. Starts nothing."""
    components = [_components(open_existing(cluster.name)) for cluster in existing() if _complete(cluster)]
    return left_running([sum(running.values()) for running, _ in components])


def left_running(megabytes: list[int]) -> str:
    """The text of `left`. `megabytes`: the memory of each running cluster's components."""
    if not megabytes:
        return ""
    return (
        f"Clusters that still run: {len(megabytes)}, with {sum(megabytes) / 1024:.1f} GB of memory. The next tests and "
        "`make demo` start faster with them. `make down` stops them and removes everything that the lab made."
    )


def open_existing(name: str) -> Running:
    """A cluster of the running lab, by name. Raises LabError if there is none."""
    cluster = named(name)
    if not _complete(cluster):
        raise LabError(f"{name} is incomplete: `python -m lab up` makes it again")
    return open_cluster(cluster, toolchain.ensure(), _sandbox())


def _up(cluster: Cluster, tools: Path, sandbox: ImageRef, unpacked_images: Path | None, started: float) -> None:
    if unpacked_images is not None and not cluster.images.exists():
        unpacked.link(unpacked_images, cluster.images)
    running = open_cluster(cluster, tools, sandbox)
    running.up(clusters(1)[0], lambda line: _log(started, cluster.name, line))


def _status(running: Running) -> ClusterStatus:
    components, stopped = _components(running)
    return ClusterStatus(running.cluster, running.node_ready(), network.is_cut(running.cluster), components, stopped)


def _components(running: Running) -> tuple[dict[str, int], list[str]]:
    """The running components with their megabytes, and the stopped ones."""
    components, stopped = {}, []
    for name in running.node.commands:
        pid = running.process(name).pid()
        if pid is None:
            stopped.append(name)
        else:
            components[name] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() >> 20
    return components, stopped


def _marker(cluster: Cluster) -> Path:
    """The file that exists once all namespaces of the cluster are made."""
    return cluster.run / "made"


def _complete(cluster: Cluster) -> bool:
    return _marker(cluster).exists() and network.exists(cluster.namespace) and cluster.state.is_dir()


def _sandbox_archive() -> Path:
    return STATE / "busybox.tar"


@cache
def _sandbox() -> ImageRef:
    """An image of Debian's static busybox: the pods' sandbox, and a shell for tests."""
    program = next(path for path in (Path("/usr/bin/busybox"), Path("/bin/busybox")) if path.exists())
    files = {"/bin/busybox": program, "/bin/sh": program}
    STATE.mkdir(parents=True, exist_ok=True)
    entrypoint = ["/bin/busybox", "sleep", "2147483647"]
    return archive_files("localhost/wardround/busybox", files, entrypoint, _sandbox_archive())


def _own(nodes: int) -> None:
    """Reserve the machine's lab for this checkout, and record the settings that `down` must restore."""
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
    for group in cgroups:
        sweep.weigh(Path(group), nodes)
    for module in modules:
        # Errors are ignored: some kernels have the module built in, and in a container modprobe fails. A missing module
        # shows where it is used.
        if shutil.which("modprobe"):
            subprocess.run(["modprobe", module], capture_output=True)


def _remove() -> None:
    """Remove everything that the record's owner made, and the record."""
    started = time.monotonic()
    record = _record()
    doomed = [each for each in _owned() if each.state.is_dir() or each.netns.exists() or each.run.exists()]
    if doomed:
        with ThreadPoolExecutor(len(doomed)) as pool:
            list(pool.map(sweep.sweep, doomed))
    sweep.sweep_internet()
    for name, value in record.get("sysctls", {}).items():
        Path("/proc/sys", name).write_text(value)
    for module in sorted(_loaded().intersection(record.get("modules", []))):
        # modprobe keeps a module that is in use.
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
    _log(started, "lab", "removed")


def _loaded() -> set[str]:
    """Names of the loaded kernel modules, without those that are built in."""
    try:
        return {line.split()[0] for line in Path("/proc/modules").read_text().splitlines()}
    except FileNotFoundError:
        return set()  # a kernel without modules


def _record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return record


def _owner() -> Path:
    return Path(_record().get("checkout", ROOT))


def _owned() -> list[Cluster]:
    """All clusters that the record's owner may have made."""
    state = _owner() / STATE_FOLDER
    return [replace(cluster, state_root=state) for cluster in clusters(MOST_SITES)]


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and runs containers, which needs root: use sudo")


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Runs one command at a time on this machine. A crash releases the lock, because it is an abstract socket name."""
    with socket.socket(socket.AF_UNIX) as lock:
        waiting = False
        while True:
            try:
                lock.bind("\0wardround-lab")
                break
            except OSError:
                if not waiting:
                    print("waiting for another lab command", file=sys.stderr, flush=True)
                waiting = True
                time.sleep(0.2)
        yield


def _log(started: float, cluster: str, text: str) -> None:
    print(f"{time.monotonic() - started:5.1f} s  {cluster:8} {text}", file=sys.stderr, flush=True)
