"""Makes an image whose links, VOLUMEs, PATH and programs try to bypass the launcher.

The image is the trainer's with one more layer. Its `python` is `tests/probes/stand_in.py`, so a round trains with that.
At each path where its author guesses the launcher, there is a false launcher, which prints a line and starts the
command without a filter.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from lab.images_oci import ImageRef, archive_over
from lab.topology import ROOT
from tests.probes import calls, stand_in

REPOSITORY = "localhost/wardround/prepared"
PATH = "/prepared/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"
# A fixed path, which an author may know from an older version or from an example.
FIXED = "/wardround/launcher"
GUESSED = "/wardround-00000000-0000-0000-0000-000000000000/mounted/after/others"
# The first words of a false launcher's line. The trick that put it there follows.
PAST = "WITHOUT A WALL, BY"
# Links of the image. A runtime that mounts a volume follows them, and then also links that training code left there.
LINKS = {
    "/v/fixed": FIXED,
    "/v/guessed": GUESSED,
    "/v/later": stand_in.LEFT,
    "/wardround/state/in": FIXED,
}
# VOLUMEs of the image. The runtime mounts them with the image's content, beside the pod's own volumes.
VOLUMES = {link: LINKS[link] for link in ("/v/fixed", "/v/guessed", "/v/later")}


def archive(trainer: ImageRef) -> ImageRef:
    """The prepared image. Hospitals list it."""
    folder = ROOT / "build" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    changes = {
        "Env": [f"PATH={PATH}", "PYTHONPATH=/opt/app", "PYTHONDONTWRITEBYTECODE=1"],
        "Entrypoint": ["/prepared/bin/sh"],
        "WorkingDir": "/v/fixed",
        "Volumes": {link: {} for link in VOLUMES},
    }
    return archive_over(trainer, REPOSITORY, _layer(), changes, folder / "prepared.tar")


def false_launcher(trick: str) -> bytes:
    return f'#!/usr/bin/dash\necho "{PAST} {trick}"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'.encode()


def _layer() -> bytes:
    files = {f"{target}/launch": false_launcher(link) for link, target in VOLUMES.items()}
    files["/prepared/bin/sh"] = false_launcher("sh")
    files["/prepared/bin/python"] = b"#!/opt/venv/bin/python\n" + _source(stand_in.__file__)
    files["/prepared/tests/probes/calls.py"] = _source(calls.__file__)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, target in LINKS.items():
            member = tarfile.TarInfo(name.lstrip("/"))
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return layer.getvalue()


def _source(module: str) -> bytes:
    return Path(module).read_bytes()
