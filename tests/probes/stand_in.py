"""The `python` of an image that is prepared against the launcher (tests/e2e/prepared.py), and so its training code.

It sets a trap for the container after it, tries every socket, prints the answers as one JSON object, and then does its
work.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from pathlib import Path

# Where an image's links may lead: init and train share the volume at /tmp.
SHARED = Path("/tmp/left")
LEFT = f"{SHARED}/launcher"
# By this name it finds its packages.
PYTHON = "/opt/venv/bin/python"
# The launcher's folder is the one of ours that lies in memory there.
LAUNCHER = re.compile(r"^tmpfs (/wardround[^/ ]*(?:/launcher|/mounted/after/others)?) ", re.MULTILINE)


def trap() -> str:
    """A link to the launcher's place, which is known here: what the runtime mounts by it in the next container lies
    over the launcher there. Says what the kernel says to it."""
    [place] = set(LAUNCHER.findall(Path("/proc/self/mounts").read_text()))
    try:
        # The runtime has made it for this container's VOLUME.
        if SHARED.exists():
            SHARED.rename(SHARED.with_name("former"))
        SHARED.mkdir()
        Path(LEFT).symlink_to(place)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return "made"


def main() -> None:
    sys.path.insert(0, "/prepared")
    from tests.probes import calls

    said = {"trap": trap() if sys.argv[-1] == "init" else "", **calls.everything()}
    print("FOUND " + json.dumps({"said": said}), flush=True)
    os.execv(PYTHON, [PYTHON, *sys.argv[1:]])


if __name__ == "__main__":
    main()
