"""A mount namespace for each cluster. Volumes, image layers and pod networks are mounted there and end with it.

The machine does not see these mounts, so a crashed lab leaves none behind.
"""

import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.topology import RUNTIME, Cluster

# Components write to these fixed paths in every configuration. Each cluster's namespace has its own folders there.
COVERED = (Path("/var/lib/cni"), Path("/var/lib/kubelet"), Path("/var/log/containers"))


def make_runtime() -> None:
    """Prepare RUNTIME to hold namespaces, which needs a private mount."""
    if str(RUNTIME) not in points():
        RUNTIME.mkdir(exist_ok=True)
        _run("mount", "--bind", str(RUNTIME), str(RUNTIME))
        _run("mount", "--make-private", str(RUNTIME))


def handle(cluster: Cluster) -> Path:
    return cluster.run / "mounts"


def make(cluster: Cluster) -> None:
    cluster.run.mkdir(parents=True, exist_ok=True)
    handle(cluster).touch()
    _run("unshare", f"--mount={handle(cluster)}", "--propagation=slave", "true")
    for folder in COVERED:
        own = cluster.state / "covered" / folder.name
        own.mkdir(parents=True, exist_ok=True)
        _run(*inside(cluster), "mount", "--bind", str(own), str(folder))


def inside(cluster: Cluster) -> list[str]:
    """The prefix that runs a command in the cluster's mount and network namespaces."""
    return ["nsenter", f"--mount={handle(cluster)}", f"--net={cluster.netns}", "--"]


def remove(cluster: Cluster) -> None:
    """Release the namespace. Its mounts end with its last process."""
    if str(handle(cluster)) in points():
        _run("umount", str(handle(cluster)))


def remove_runtime() -> None:
    while str(RUNTIME) in points():
        _run("umount", "--lazy", str(RUNTIME))


def points() -> set[str]:
    """Every mount point of the machine. `os.path.ismount` misses a folder that is bound to itself."""
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
