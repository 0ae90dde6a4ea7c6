"""Puts this checkout's kubectl, helm and `kubectl wardround` into build/bin, for people who look around."""

import sys
from pathlib import Path

from lab import toolchain
from lab.topology import ROOT

FOLDER = ROOT / "build" / "bin"


def write() -> None:
    """Write build/bin. Replaces existing links, because the programs may have been built again. Raises LabError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm"):
        link = FOLDER / name
        link.unlink(missing_ok=True)
        link.symlink_to(toolchain.tool(name))
    plugin = FOLDER / "kubectl-wardround"
    plugin.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT / "operator"}" exec "{Path(sys.executable)}" -m wardround.kubectl "$@"\n',
        encoding="utf-8",
    )
    plugin.chmod(0o755)
