"""An image that its builder has prepared replaces no launcher. runc makes the containers, as on a node.

containerd decides in which order runc mounts: this test sorts as containerd does. tests/e2e/test_prepared_images.py
does the same with containerd in a cluster.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.e2e.prepared import FIXED, GUESSED
from tests.probes import calls
from tests.unit.launcher.test_launcher import COMPILER, ROOT
from wardround.manifests.closed import launched_in
from wardround.wire.mounts import BASE, LAUNCHER_FOLDER, STATE_IN, Places, container_mounts

HERE = os.geteuid() == 0 and os.uname().machine == "x86_64" and shutil.which("runc") and shutil.which(COMPILER)
pytestmark = pytest.mark.skipif(not HERE, reason="this needs root, runc, a C compiler and amd64")
UID = "6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11"
PLACES = Places(UID, "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77")
# Opens a socket, whatever its arguments are. It is the code of the image, and each false launcher.
PROBE = calls.program(calls.NATIVE + calls.ENDS)
OPEN, CLOSED = 256 - 3, errno.EAFNOSUPPORT


@dataclass(frozen=True)
class Image:
    """`links`: by path. `volumes`: paths of VOLUMEs. `false`: folders of the image with a false launcher."""

    links: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    false: tuple[str, ...] = ()


def executable(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755)


@dataclass(frozen=True)
class Node:
    """`folder` has the launcher, and the folders of a training pod's volumes."""

    folder: Path

    def volume(self, name: str) -> Path:
        path = self.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, image: Image, launcher_folder: str) -> subprocess.CompletedProcess[str]:
        """The container `train` of an initial round, with the launcher in this folder of the container."""
        bundle = Path(self.folder, "bundle")
        shutil.rmtree(bundle, ignore_errors=True)
        root = bundle / "root"
        executable(root / "trainer", PROBE)
        for path, target in image.links.items():
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        for folder in image.false:
            executable(root / folder.lstrip("/") / "launch", PROBE)
        command = [*launched_in(launcher_folder), "/trainer"]
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["root"] = {"path": "root", "readonly": True}
        spec["process"] |= {"terminal": False, "user": {"uid": 65532, "gid": 65532}, "args": command}
        spec["mounts"] += self._mounts(image, launcher_folder, root)
        (bundle / "config.json").write_text(json.dumps(spec))
        run = ["runc", "--root", str(self.folder / "state"), "run", f"prepared-{os.getpid()}"]
        return subprocess.run(run, cwd=bundle, capture_output=True, text=True, timeout=60)

    def _mounts(self, image: Image, launcher_folder: str, root: Path) -> list[dict[str, object]]:
        places: dict[str, Path] = {}
        for path in image.volumes:
            # containerd fills the folder of a VOLUME with what the image has there.
            places[path] = self.volume(f"image{path.replace('/', '-')}")
            target = root / image.links.get(path, path).lstrip("/")
            if target.is_dir() and target != root:
                shutil.copytree(target, places[path], dirs_exist_ok=True)
        for mount in container_mounts("train", "Train", initial=True):
            path = launcher_folder if mount.path == LAUNCHER_FOLDER else PLACES.fill(mount.path)
            places[path] = self.volume(f"{mount.volume}/{PLACES.fill(mount.sub_path)}")
        ordered = sorted(places.items(), key=lambda place: place[0].count("/"))
        return [
            {"destination": path, "type": "bind", "source": str(source), "options": ["rbind", "rw"]}
            for path, source in ordered
        ]


@pytest.fixture
def node() -> Iterator[Node]:
    """The volume `memory` has the launcher, as `prepare` copies it."""
    with TemporaryDirectory(prefix="node-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Node(folder)
        subprocess.run([ROOT / "launcher/build", made.volume("memory/launcher") / "launch"], check=True)
        yield made


def leave(node: Node, place: str) -> None:
    """Code of an earlier container or round leaves a false launcher in a volume that it can write."""
    executable(node.volume(place) / "launch", PROBE)


DEEP = "/v/deeper/than/all/mounts/of/the/pod"
# Each image leads a mount onto a path at which its builder guesses the launcher.
IMAGES: dict[str, Image] = {
    "a link, in the place of a mount": Image({STATE_IN: FIXED}),
    "a link onto a guessed UID": Image({STATE_IN: GUESSED}),
    "a VOLUME": Image({"/v/fixed": FIXED}, ("/v/fixed",), (FIXED,)),
    "a VOLUME that is mounted last": Image({DEEP: FIXED}, (DEEP,), (FIXED,)),
    "a VOLUME onto a guessed UID": Image({DEEP: GUESSED}, (DEEP,), (GUESSED,)),
    "files alone": Image(false=(FIXED, GUESSED)),
}


@pytest.mark.parametrize("image", IMAGES)
def test_no_prepared_image_replaces_the_launcher(node: Node, image: str) -> None:
    leave(node, "state/states/none")
    done = node.run(IMAGES[image], PLACES.fill(LAUNCHER_FOLDER))
    assert done.returncode == CLOSED, done.stderr


@pytest.mark.parametrize(
    ("image", "folder"),
    [
        ("a link, in the place of a mount", FIXED),
        ("a VOLUME that is mounted last", FIXED),
        ("a VOLUME onto a guessed UID", GUESSED),
    ],
)
def test_at_a_path_that_the_builder_knows_the_launcher_is_replaced(node: Node, image: str, folder: str) -> None:
    """The control: these images know this path."""
    leave(node, "state/states/none")
    assert node.run(IMAGES[image], folder).returncode == OPEN


def test_code_that_knows_the_path_leads_no_mount_above_the_launcher(node: Node) -> None:
    """`init` knows the UID, and `train` mounts what `init` has written. A link of the image leads this onto `/`."""
    for system in ("proc", "dev", "sys"):
        (node.volume("initial") / system).mkdir()
    leave(node, f"initial{PLACES.fill(LAUNCHER_FOLDER)}")
    done = node.run(Image({BASE: "/"}), PLACES.fill(LAUNCHER_FOLDER))
    assert unmounted(done) == BASE, done.stderr


def unmounted(done: subprocess.CompletedProcess[str]) -> str:
    """The path at which runc could not mount a volume, so that it has started no program; empty for another end. What
    is mounted onto `/` hides the root, and runc does not find the path again."""
    named = re.search(r'error mounting .* to rootfs at \\*"([^"\\]+)\\*"', done.stderr)
    return named[1] if named and done.returncode not in (0, OPEN, CLOSED) else ""


def test_a_volume_that_covers_the_launcher_starts_no_code(node: Node) -> None:
    """Such a VOLUME has no program at a path that its builder does not know."""
    done = node.run(Image({DEEP: "/"}, (DEEP,)), PLACES.fill(LAUNCHER_FOLDER))
    assert unmounted(done) == DEEP, done.stderr
