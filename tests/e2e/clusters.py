"""The lab's clusters as tests see them: kubectl as the administrator of each. Knows nothing of Wardround."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab import toolchain
from lab.topology import named


@dataclass(frozen=True)
class Kubectl:
    """kubectl as the administrator of one cluster."""

    cluster: str

    def run(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(toolchain.tool("kubectl")), f"--kubeconfig={named(self.cluster).kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"{' '.join(command[1:])}: {done.stderr}"
        return done

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Its output; fails the test when kubectl does."""
        return self.run(*arguments, stdin=stdin).stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found


@dataclass(frozen=True)
class Lab:
    """The running lab: `kubectl("hub")`, and the commands that hurt in `lab.network` and `lab.cluster`."""

    sites: tuple[str, ...]

    def kubectl(self, cluster: str) -> Kubectl:
        return Kubectl(cluster)


def eventually(what: str, check: Callable[[], bool], seconds: float = 30) -> None:
    """Return once `check()` holds; fail the test when it never does."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.2)
