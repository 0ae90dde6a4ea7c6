"""The status that kstatus, the library of Flux and Argo CD for waiting, computes for objects."""

from __future__ import annotations

import json
import subprocess

from lab import toolchain
from tests.integration.api.apiserver import Object


def kstatus(*objects: Object) -> list[str]:
    """Returns Current, InProgress, Failed or Terminating for each object."""
    text = "\n".join(map(json.dumps, objects))
    done = subprocess.run([toolchain.tool("kstatus")], input=text, capture_output=True, text=True, check=True)
    return done.stdout.split()
