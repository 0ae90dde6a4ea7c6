"""Removes a cluster with everything that it made, also after a crash, and nothing else. Idempotent.

It recognises the lab's processes by their binaries and folders, cgroups by the ids of containers in the lab's folders,
and namespaces by name.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lab import mounts, node, toolchain
from lab.errors import LabError
from lab.processes import Process
from lab.topology import INTERNET, Cluster

CGROUPS = Path("/sys/fs/cgroup")
# The most that kubelets write. The kernel refuses a greater weight than that of these shares in cgroup v2.
MOST_SHARES = 262_144


def sweep(cluster: Cluster) -> None:
    """End all processes of the cluster, then remove its mounts, networks, cgroups and folders."""
    for component in reversed(node.COMPONENTS):
        Process(component, cluster.logs).stop(grace=0)
    # Repeated until no process is left, because a process may start another during the first look.
    _end(lambda: [*programs(cluster), *_pods(cluster)], cluster)
    _remove_cgroups(cluster)
    mounts.remove(cluster)
    _delete_network(cluster)
    for folder in (cluster.run, cluster.state):
        _remove_tree(folder)


def sweep_internet() -> None:
    if Path("/run/netns", INTERNET).exists():
        _command("ip", "netns", "delete", INTERNET)


def belongs(executable: str, arguments: str, cache: Path, cluster: Cluster) -> bool:
    """Whether a process is a component or shim of this cluster: a binary of the lab with the cluster's folders in its
    arguments."""
    ours = executable.startswith(f"{cache}/")
    return ours and (f"{cluster.state}/" in arguments or f"{cluster.run}/" in arguments)


def programs(cluster: Cluster) -> list[int]:
    """The running components and shims of the cluster."""
    cache = toolchain.cache_folder().resolve()
    running = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            executable = str((entry / "exe").readlink())
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if belongs(executable, arguments, cache, cluster):
                running.append(int(entry.name))
    return running


def _pods(cluster: Cluster) -> Iterator[int]:
    for folder in _cgroups(cluster):
        with contextlib.suppress(OSError):
            yield from (int(pid) for pid in (folder / "cgroup.procs").read_text().split())


def _end(find: Callable[[], Iterable[int]], cluster: Cluster) -> None:
    deadline = time.monotonic() + 20
    while pids := set(find()):
        if time.monotonic() > deadline:
            raise LabError(f"these processes of {cluster.name} do not end: {sorted(pids)}")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _delete_network(cluster: Cluster) -> None:
    # This also removes a name that a reboot left without its namespace.
    if cluster.netns.exists():
        _command("ip", "netns", "delete", cluster.namespace)
    # The link goes with the namespace, unless the namespace was incomplete.
    if (Path("/sys/class/net") / cluster.namespace).exists():
        subprocess.run(["ip", "link", "delete", cluster.namespace], capture_output=True)


def _cgroups(cluster: Cluster) -> Iterable[Path]:
    """The cgroups of the cluster's containers in all hierarchies, children first."""
    containers = cluster.containers.iterdir() if cluster.containers.is_dir() else ()
    for container in containers:
        for parent in container_cgroups():
            for folder, _, _ in os.walk(parent / container.name, topdown=False):
                yield Path(folder)


def container_cgroups() -> list[Path]:
    """The parent cgroup of a Kubernetes node's containers in each hierarchy (cgroup v1, v2, or both)."""
    hierarchies = [CGROUPS, *CGROUPS.iterdir()]
    return [each / "k8s.io" for each in hierarchies if (each / "cgroup.procs").exists()]


def weigh(group: Path, nodes: int) -> None:
    """Make the parent cgroup of all pods of the lab, with the weight that kubelets give their pods: 1024 a processor of
    each node, at most MOST_SHARES. Otherwise all these pods together have the weight of a single process of the
    machine."""
    group.mkdir(exist_ok=True)
    shares = min(1024 * (os.cpu_count() or 1) * nodes, MOST_SHARES)
    # cgroup v1, and v2 (KEP-2254). Hierarchies of other controllers have neither file.
    for file, weight in (("cpu.shares", shares), ("cpu.weight", 1 + (shares - 2) * 9999 // 262142)):
        if (group / file).exists():
            (group / file).write_text(str(weight))


def _remove_cgroups(cluster: Cluster) -> None:
    deadline = time.monotonic() + 5
    for folder in _cgroups(cluster):
        while folder.is_dir():
            try:
                folder.rmdir()
            except OSError as error:
                # The kernel needs a moment after the processes have ended.
                if time.monotonic() > deadline:
                    raise LabError(f"cgroup {folder} cannot be removed: {error.strerror}") from error
                time.sleep(0.05)


def _remove_tree(folder: Path) -> None:
    # The lab mounts nothing here in this namespace, so a mount inside belongs to somebody else.
    inside = [point for point in mounts.points() if point.startswith(f"{folder}/")]
    if inside:
        raise LabError(f"{inside[0]} is mounted inside {folder}: unmount it, then run `down` again")
    if folder.exists():
        shutil.rmtree(folder)


def _command(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
