"""Copies the launcher (launcher/launch.c) into the folder from which the containers after `prepare` run it.

These containers mount the folder read-only. Outside the operator image, on a laptop or in a test, there is no launcher,
and no container uses it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError

VARIABLE = "WARDROUND_LAUNCHER"  # the operator image sets it to the launcher's path
FOR_EVERYBODY = 0o555


def place(folders: Folders) -> None:
    """Copies the launcher, replacing the copy of an earlier run of this container. Raises PodError (PodFailed)."""
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
        raise PodError("PodFailed", message) from None
