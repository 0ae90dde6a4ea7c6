"""What kstatus, the library by which Flux and Argo CD wait, makes of our objects."""

from __future__ import annotations

import json
import subprocess

from lab import toolchain
from tests.integration.api.apiserver import Object


def kstatus(*objects: Object) -> list[str]:
    """Current, InProgress, Failed or Terminating of each."""
    text = "\n".join(map(json.dumps, objects))
    done = subprocess.run([toolchain.tool("kstatus")], input=text, capture_output=True, text=True, check=True)
    return done.stdout.split()
