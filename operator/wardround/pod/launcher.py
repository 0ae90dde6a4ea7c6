"""Puts the launcher (launcher/launch.c) where the containers after `prepare` start by it.

They mount its folder read-only. Outside our image, on a laptop or in a test, there is none: then nothing is started by
it either.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure

# The image says where it has it.
VARIABLE = "WARDROUND_LAUNCHER"
FOR_EVERYBODY = 0o555


def place(folders: Folders) -> None:
    """Copies it, over one of an earlier run of this container. Raises Failure."""
    source = os.environ.get(VARIABLE)
    if not source:
        return
    try:
        folders.launcher_file.parent.mkdir(parents=True, exist_ok=True)
        folders.launcher_file.unlink(missing_ok=True)
        shutil.copyfile(Path(source), folders.launcher_file)
        folders.launcher_file.chmod(FOR_EVERYBODY)
    except OSError as error:
        message = f"the launcher cannot be copied from {source} of this image: {type(error).__name__}"
        raise Failure("PodFailed", message) from None
