"""Makes the lab's base images from Debian packages, and runs buildah. Knows nothing of our own sources."""

import configparser
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

SUITE = "trixie"
# Files left out of every image: documentation and translations.
TEXTS = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
)
# Files left out of images that run: headers, torch's test programs. Python files must stay, because dpkg's triggers
# compile them.
RUN_WITHOUT = (
    *TEXTS,
    "/usr/share/X11/*",
    "/usr/include/*",
    "/usr/lib/libtorch-test/*",
    # AMD's compiler, which only a plug-in of MPI's communication library loads.
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libamd*",
    "/usr/lib/*/ucx/*rocm*",
    "/usr/lib/python3/dist-packages/torch/bin/test_*",
    "/usr/lib/python3/dist-packages/torch/include/*",
)
# Files left out of the image that only compiles C: link-time optimisation, sanitizers, a profiler. A third of its size.
COMPILE_WITHOUT = (
    *TEXTS,
    "/usr/libexec/gcc/*/*/lto*",
    "/usr/bin/*-lto-*",
    "/usr/lib/*/lib*san.*",
    "/usr/lib/gcc/*/*/lib*san*",
    "/usr/lib/*/gprofng*",
    "/usr/bin/*gprofng*",
)
DOCKERFILE = """FROM scratch
ADD base.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]
"""
IN_BUILD_CA = "/etc/wardround-build-ca.pem"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BaseImage:
    """A base image made from Debian packages.

    `seconds`: the time of a build on two cores. `left_out`: patterns of files to leave out. `options`: further options
    of mmdebstrap.
    """

    name: str
    packages: tuple[str, ...]
    seconds: int
    left_out: tuple[str, ...] = RUN_WITHOUT
    options: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        content = json.dumps([SUITE, self.packages, self.left_out, DOCKERFILE, *self.options]).encode()
        return f"localhost/wardround/base-{self.name}:{hashlib.sha256(content).hexdigest()[:16]}"


OPERATOR = BaseImage("python", ("ca-certificates", "libstdc++6", "python3", "python3-venv"), 25)
TRAINER = BaseImage("torch", (*OPERATOR.packages, "python3-numpy", "python3-torch"), 75)
# It only runs a shell and a compiler, so its packages are unpacked and not configured, which takes half the time.
LAUNCHER = BaseImage(
    "gcc", ("base-files", "coreutils", "dash", "gcc", "libc6-dev"), 15, COMPILE_WITHOUT, ("--variant=extract",)
)


class Buildah:
    """buildah with its own store in `folder`, separate from the user's images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_overlay: bool | None = None

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run a command and return its output. Raises LabError with the end of the output."""
        done = subprocess.run(
            [*self._command(), *arguments], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
            hint = "\nA line about a connection or a certificate means that this machine cannot download packages."
            raise LabError(f"buildah {arguments[0]} failed:\n{tail}{hint if arguments[0] == 'build' else ''}")
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        done = subprocess.run([*self._command(), "inspect", "--type", "image", image], capture_output=True)
        return done.returncode == 0

    def build(self, context: Path, *arguments: str) -> None:
        """Build with cached layers. The machine's pip settings are mounted, so that no image holds them."""
        with pip_settings() as volumes:
            self.run(
                "build",
                "--isolation=chroot",
                "--network=host",
                # Without overlay, each cached layer is a complete copy of a gigabyte.
                f"--layers={'true' if self._overlay() else 'false'}",
                "--pull-never",
                "--format=oci",
                *(f"--volume={volume}" for volume in volumes),
                *arguments,
                str(context),
            )

    def _command(self) -> list[str]:
        return [*self._rooted(), f"--storage-driver={'overlay' if self._overlay() else 'vfs'}"]

    def _overlay(self) -> bool:
        """Whether overlay works here. It is several times faster than vfs, but does not work on an overlay."""
        if self._has_overlay is None:
            done = subprocess.run([*self._rooted(), "--storage-driver=overlay", "info"], capture_output=True)
            self._has_overlay = done.returncode == 0
        return self._has_overlay

    def _rooted(self) -> list[str]:
        if os.geteuid() != 0:
            raise LabError("building images needs root: run it with sudo")
        if shutil.which("buildah") is None:
            raise LabError("there is no `buildah` on the PATH: apt-get install buildah")
        return ["buildah", f"--root={self._folder / 'storage'}", f"--runroot={self._folder / 'run'}"]


def ensure(base: BaseImage, buildah: Buildah, folder: Path, progress: Progress) -> str:
    """Make the base image if buildah's store lacks it. Returns its name. Raises LabError."""
    if buildah.has(base.image):
        return base.image
    progress(f"base image {base.name}: from Debian {SUITE}, about {base.seconds} s on two cores the first time")
    if shutil.which("mmdebstrap") is None:
        raise LabError("there is no `mmdebstrap` on the PATH: apt-get install mmdebstrap")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in base.left_out]
        done = subprocess.run(
            [
                "mmdebstrap",
                "--variant=essential",
                f"--include={','.join(base.packages)}",
                *excludes,
                *base.options,
                SUITE,
                f"{scratch}/base.tar",
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            lines = done.stderr.splitlines()
            errors = [line for line in lines if "rror" in line or line.startswith("E:")]
            raise LabError(
                f"mmdebstrap could not make the base image {base.name}:\n" + "\n".join((errors or lines)[-15:])
            )
        recipe = Path(scratch) / "Dockerfile"
        recipe.write_text(DOCKERFILE)
        buildah.build(Path(scratch), f"--tag={base.image}")
    return base.image


@contextmanager
def pip_settings() -> Iterator[list[str]]:
    """Volumes with this machine's pip settings for a build: index, proxy and certificate authorities, if any."""
    settings = _pip_settings()
    authority = settings.get("cert") or os.environ.get("SSL_CERT_FILE", "")
    volumes: list[str] = []
    if authority and Path(authority).is_file():
        volumes.append(f"{Path(authority).resolve()}:{IN_BUILD_CA}:ro")
        settings["cert"] = IN_BUILD_CA
    links = settings.pop("find-links", "")
    if Path(links).is_dir() and any(Path(links).iterdir()):
        volumes.append(f"{links}:{links}:ro")
        settings["find-links"] = links
    if not settings:
        yield volumes
        return
    parser = configparser.RawConfigParser()
    parser["global"] = settings
    with tempfile.NamedTemporaryFile("w", prefix="pip-", suffix=".conf") as file:
        parser.write(file)
        file.flush()
        Path(file.name).chmod(0o644)
        yield [*volumes, f"{file.name}:/etc/pip.conf:ro"]


def _pip_settings() -> dict[str, str]:
    """pip's settings, read as pip does: files first, then PIP_ variables."""
    home = Path.home()
    parser = configparser.RawConfigParser()
    parser.read(
        [
            "/etc/pip.conf",
            home / ".pip" / "pip.conf",
            home / ".config" / "pip" / "pip.conf",
            os.environ.get("PIP_CONFIG_FILE", os.devnull),
        ]
    )
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= dict(parser[section])
    for name, value in os.environ.items():
        if name.startswith("PIP_") and name not in ("PIP_CONFIG_FILE", "PIP_REQUIRE_VIRTUALENV"):
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings
