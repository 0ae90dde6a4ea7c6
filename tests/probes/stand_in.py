"""The `python` of an image that attacks the launcher (tests/e2e/prepared.py).

The script sets a trap for the next container, tries every socket, prints the outcomes as one JSON object, and then
starts the real Python.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from pathlib import Path

# Links of the image can point here: init and train share the volume at /tmp.
SHARED = Path("/tmp/left")
LEFT = f"{SHARED}/launcher"
# Python finds its packages by this name.
PYTHON = "/opt/venv/bin/python"
# The launcher's folder is a tmpfs below /wardround.
LAUNCHER = re.compile(r"^tmpfs (/wardround[^/ ]*(?:/launcher|/mounted/after/others)?) ", re.MULTILINE)


def trap() -> str:
    """Links to the launcher's folder. Returns "made" or the name of the kernel's error.

    A mount through the link would cover the launcher in the next container.
    """
    [place] = set(LAUNCHER.findall(Path("/proc/self/mounts").read_text()))
    try:
        # The runtime made the folder for this container's VOLUME.
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

    answers = {"trap": trap() if sys.argv[-1] == "init" else "", **calls.everything()}
    print("FOUND " + json.dumps({"said": answers}), flush=True)
    os.execv(PYTHON, [PYTHON, *sys.argv[1:]])


if __name__ == "__main__":
    main()
