"""Builds the lab's Go programs from `lab/tools/go.mod`, and caches them by content. Knows no clusters.

All programs are in one module, so shared packages are compiled once: helm and CoreDNS contain half of Kubernetes.
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lab.errors import LabError

SOURCES = Path(__file__).parent / "tools"
# Without symbols for a debugger, the build takes a tenth less time.
FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false", "-tags=no_btrfs,no_zfs,no_devmapper,no_aufs")
# Outside its own repository, Kubernetes is built as v0.0.0-master, which Helm cannot compare.
STAMPED = "k8s.io/kubernetes"
# Go names a binary after its package's folder, and etcd's is `server`.
RENAMED = {"server": "etcd"}
# Network plugins. They must not be on the PATH, because one has the name of a system tool.
PLUGINS = ("bridge", "host-local", "loopback", "portmap")
PROGRAMS = (
    "containerd",
    "containerd-shim-runc-v2",
    "coredns",
    "ctr",
    "etcd",
    "helm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-router",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kstatus",
    "versitygw",
)
# How many builds are kept, so that switching between two branches builds nothing.
KEPT = 2
TITLE = "building Kubernetes and the lab's other programs"


def ensure() -> Path:
    """Build all programs if they are missing. Returns their folder; plugins lie in `cni`. Raises LabError."""
    folder = _folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _build(folder)
    return folder


def tool(name: str) -> Path:
    """The path of a program. Builds it if it is missing. Raises LabError."""
    if name not in PROGRAMS:
        raise LabError(f"{SOURCES}/go.mod builds no program {name!r}; known are: {', '.join(PROGRAMS)}")
    return ensure() / name


def cache_folder() -> Path:
    """The folder of built tools. Under sudo it is the calling user's, so that one build serves both."""
    explicit = os.environ.get("XDG_CACHE_HOME")
    if explicit:
        return Path(explicit) / "wardround" / "tools"
    user = os.environ.get("SUDO_USER")
    home = Path(pwd.getpwnam(user).pw_dir) if user and os.geteuid() == 0 else Path.home()
    return home / ".cache" / "wardround" / "tools"


def content_hash(files: dict[str, bytes], go_version: str, flags: Iterable[str]) -> str:
    """Sixteen hex digits of a hash over all inputs of a build."""
    digest = hashlib.sha256()
    for part in [go_version, *flags]:
        digest.update(part.encode() + b"\0")
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + str(len(files[name])).encode() + b"\0" + files[name])
    return digest.hexdigest()[:16]


@cache
def _folder() -> Path:
    files = {path.name: path.read_bytes() for path in SOURCES.rglob("*") if path.suffix in (".mod", ".sum", ".go")}
    return cache_folder() / content_hash(files, _go_version(), _flags())


def _build(folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    output = _run_shown([_go(), "build", "-v", *_flags(), "-o", f"{partial}/", "tool"])
    if output is not None:
        tail = "\n".join(output[-20:])
        raise LabError(
            f"go could not build lab/tools:\n{tail}\n"
            "A line above about a download means that this machine cannot download Go modules. "
            "Otherwise build by hand to see the error: cd lab/tools && go build tool"
        )
    for old, new in RENAMED.items():
        (partial / old).rename(partial / new)
    (partial / "cni").mkdir()
    for name in PLUGINS:
        (partial / name).rename(partial / "cni" / name)
    missing = [name for name in PROGRAMS if not (partial / name).is_file()]
    if missing:
        raise LabError(f"lab/tools was built but lacks {', '.join(missing)}: see the tool lines of go.mod")
    # Renamed only now, so that an existing folder is always complete.
    partial.rename(folder)
    built = sorted((path for path in folder.parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for stale in built[:-KEPT]:
        shutil.rmtree(stale)


def _run_shown(command: list[str]) -> list[str] | None:
    """Run a build and show how many packages are compiled. Returns None, or the output of a failed build."""
    listed = subprocess.run(
        [_go(), "list", "-deps", FLAGS[-1], "tool"], cwd=SOURCES, env=_environment(), capture_output=True, text=True
    )
    total = len(listed.stdout.split())
    # A terminal gets one line that is updated, a log gets a line every half minute.
    terminal, started, shown = sys.stderr.isatty(), time.monotonic(), float("-inf")

    def show(text: str) -> None:
        print(f"\r{TITLE}: {text}\033[K" if terminal else f"{TITLE}: {text}", end="", file=sys.stderr, flush=True)

    output: list[str] = []
    with subprocess.Popen(
        command, cwd=SOURCES, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line.rstrip())
            now = time.monotonic()
            if now - shown >= (0.5 if terminal else 30):
                shown = now
                compiled = sum(" " not in each for each in output)
                show(f"{compiled} of {total} packages, {now - started:.0f} s" + ("" if terminal else "\n"))
    show(f"{time.monotonic() - started:.0f} s\n")
    return output if process.returncode else None


def _environment() -> dict[str, str]:
    """The compiler collects garbage less often than by default, up to a limit of memory for each of its processes. So
    the build takes a fifth less processor time. A user's own settings go first."""
    return {"GOGC": "400", "GOMEMLIMIT": "2GiB", **os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _flags() -> list[str]:
    text = (SOURCES / "go.mod").read_text()
    version = re.search(rf"^\s*{re.escape(STAMPED)} v(\d+)\.(\d+)\.(\S+)", text, re.MULTILINE)
    if not version:
        raise LabError(f"{SOURCES}/go.mod requires no version of {STAMPED}")
    major, minor, patch = version.groups()
    names = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    stamps = "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in names.items())
    return [*FLAGS, f"-ldflags=-s -w{stamps}"]


def _go() -> str:
    # sudo's secure_path usually lacks Go's folder.
    program = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not program:
        raise LabError(
            "the lab needs Go 1.26 or newer to build Kubernetes, and there is no `go` on the PATH: see go.dev/dl"
        )
    return program


def _go_version() -> str:
    return subprocess.run([_go(), "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that builds {path.stem}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        ensure()
    except LabError as error:
        sys.exit(str(error))
