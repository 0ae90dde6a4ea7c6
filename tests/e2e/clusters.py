"""kubectl for tests, as the administrator of each lab cluster. Knows nothing of Wardround."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab import toolchain
from lab.topology import named
from tests.integration.api.apiserver import until

# A generous limit, not a claim about speed: four clusters and other tests share two cores.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Kubectl:
    """kubectl as the administrator of one cluster."""

    cluster: str

    def run(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(toolchain.tool("kubectl")), f"--kubeconfig={named(self.cluster).kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, f"{' '.join(command[1:])}: {done.stderr}"
        return done

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Runs kubectl and returns its output. Fails the test if kubectl fails."""
        return self.run(*arguments, stdin=stdin).stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))

    def get(self, *arguments: str) -> dict[str, Any]:
        item: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return item

    def find(self, *arguments: str) -> dict[str, Any] | None:
        """One object, or None if it does not exist."""
        output = self("get", *arguments, "--ignore-not-found", "-o", "json")
        return json.loads(output) if output else None

    @contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """A temporary namespace. Waits for its default account, which pods need."""
        self("create", "namespace", name)
        try:
            account = ("serviceaccount", "default", "-n", name)
            eventually(f"{name} has its default account", lambda: self.find(*account) is not None)
            yield
        finally:
            self("delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Lab:
    """The running lab. `lab.network` and `lab.cluster` have the functions that disturb it."""

    sites: tuple[str, ...]

    def kubectl(self, cluster: str) -> Kubectl:
        return Kubectl(cluster)


def eventually(statement: str, check: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until `check()` is true. Fail the test with `statement` if that takes too long."""
    until(statement, check, seconds)
