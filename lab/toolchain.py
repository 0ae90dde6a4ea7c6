"""Builds the Go programs that the lab runs, once, and keeps them in a cache addressed by their content.

Knows nothing of clusters: it turns `lab/tools/<module>/go.mod` into a folder of binaries.
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

SOURCES = Path(__file__).parent / "tools"
FLAGS = ("-trimpath",)
STRIP = "-s -w"


@dataclass(frozen=True)
class Module:
    """One Go module of tools. `seconds` is how long a cold build took on two cores: only the progress line uses it."""

    name: str
    tools: tuple[str, ...]
    seconds: int
    tags: str = ""
    package: str = "tool"
    renames: tuple[tuple[str, str], ...] = ()
    stamp: str = ""


MODULES = {
    module.name: module
    for module in (
        Module(
            "kubernetes",
            (
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-proxy",
                "kube-scheduler",
                "kubectl",
                "kubelet",
            ),
            400,
            # Go names a binary after its package's folder, and etcd's is `server`.
            renames=(("server", "etcd"),),
            # Built outside its own repository Kubernetes calls itself v0.0.0-master, which Helm cannot compare.
            stamp="k8s.io/kubernetes",
        ),
        Module(
            "containerd",
            ("containerd", "containerd-shim-runc-v2", "ctr"),
            50,
            tags="no_btrfs,no_zfs,no_devmapper,no_aufs",
        ),
        Module("cni", ("bridge", "host-local", "loopback", "portmap"), 5),
        Module("kube-router", ("kube-router",), 85),
        # A main package of our own with four plugins: the whole of CoreDNS takes every cloud's SDK along.
        Module("coredns", ("coredns",), 40, package="."),
        Module("versitygw", ("versitygw",), 50),
        Module("helm", ("helm",), 90),
    )
}


def ensure(names: Iterable[str] = tuple(MODULES)) -> dict[str, Path]:
    """Build what is not built yet; the folder of each named module. Raises LabError when a build fails."""
    return {name: _ensure(MODULES[name]) for name in names}


def tool(name: str) -> Path:
    """The path of one program by its name, built first where needed."""
    for module in MODULES.values():
        if name in module.tools:
            return _ensure(module) / name
    raise LabError(f"no module in {SOURCES} builds a program called {name!r}")


def cache_folder() -> Path:
    """Where built tools lie. Under sudo it is the calling user's cache: one build serves both."""
    explicit = os.environ.get("XDG_CACHE_HOME")
    if explicit:
        return Path(explicit) / "wardround" / "tools"
    user = os.environ.get("SUDO_USER")
    home = Path(pwd.getpwnam(user).pw_dir) if user and os.geteuid() == 0 else Path.home()
    return home / ".cache" / "wardround" / "tools"


def content_hash(files: dict[str, bytes], go_version: str, flags: Iterable[str]) -> str:
    """Sixteen hex digits over everything that decides what a build yields."""
    digest = hashlib.sha256()
    for part in [go_version, *flags]:
        digest.update(part.encode() + b"\0")
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + str(len(files[name])).encode() + b"\0" + files[name])
    return digest.hexdigest()[:16]


def folder_of(module: Module) -> Path:
    source = SOURCES / module.name
    files = {path.name: path.read_bytes() for path in source.iterdir() if path.suffix in (".mod", ".sum", ".go")}
    key = content_hash(files, _go_version(), _flags(module))
    return cache_folder() / f"{module.name}-{key}"


def _ensure(module: Module) -> Path:
    folder = folder_of(module)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _build(module, folder)
    return folder


def _build(module: Module, folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    command = [_go(), "build", *_flags(module), "-o", f"{partial}/", module.package]
    with _progress(f"building {module.name} ({', '.join(module.tools)})", module.seconds):
        done = subprocess.run(
            command,
            cwd=SOURCES / module.name,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise LabError(
            f"go could not build lab/tools/{module.name}:\n{tail}\n"
            "A line above about a download means that Go modules cannot be fetched from here; "
            f"else try it by hand: cd lab/tools/{module.name} && go build {module.package}"
        )
    for old, new in module.renames:
        (partial / old).rename(partial / new)
    missing = [name for name in module.tools if not (partial / name).is_file()]
    if missing:
        raise LabError(
            f"lab/tools/{module.name} was built but lacks {', '.join(missing)}: see the tool lines of go.mod"
        )
    # The rename is what makes a folder that exists a folder that is whole.
    partial.rename(folder)


def _flags(module: Module) -> list[str]:
    linker = STRIP
    if module.stamp:
        text = (SOURCES / module.name / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(module.stamp)} v(\d+)\.(\d+)\.(\S+)", text, re.MULTILINE)
        if not found:
            raise LabError(f"lab/tools/{module.name}/go.mod requires no version of {module.stamp}")
        major, minor, patch = found.groups()
        names = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
        linker += "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in names.items())
    return [*FLAGS, f"-tags={module.tags}", f"-ldflags={linker}"]


def _go() -> str:
    # sudo's secure_path usually leaves out where Go is installed.
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not found:
        raise LabError(
            "the lab needs Go 1.26 or newer to build Kubernetes, and there is no `go` on the PATH: see go.dev/dl"
        )
    return found


def _go_version() -> str:
    return subprocess.run([_go(), "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process is building {path.stem}: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(what: str, usual: int) -> Iterator[None]:
    """A line that counts seconds on a terminal; in a log, one line every half minute."""
    terminal = sys.stderr.isatty()
    finished = threading.Event()
    started = time.monotonic()

    def show() -> None:
        while not finished.wait(1 if terminal else 30):
            elapsed = int(time.monotonic() - started)
            line = f"{what}: {elapsed} s, usually {usual} s on two cores the first time"
            print(f"\r{line}\033[K" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    print(
        f"{what}: usually {usual} s on two cores the first time",
        end="" if terminal else "\n",
        file=sys.stderr,
        flush=True,
    )
    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        took = f"{what}: {time.monotonic() - started:.0f} s"
        print(f"\r{took}\033[K" if terminal else took, file=sys.stderr, flush=True)
