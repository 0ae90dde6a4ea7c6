"""A FederatedModel on the lab's clusters: its rounds while they run, and what `kubectl wardround` says of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.topology import named
from tests.conditions import is_true
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, PARAMETERS, ROUND_SECONDS, SCHEMA, Federation, Finished

Object = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """A model that was applied. `name`: with the suffix of this run."""

    federation: Federation
    name: str

    def round(self, place: int) -> Finished:
        """The round at this place of the series, from 0 on, once it is Complete."""
        eventually(f"{self.name} names round {place}", lambda: len(self._rounds()) > place, ROUND_SECONDS)
        name = self._rounds()[place]["name"]
        eventually(f"{name} exists", lambda: self._find("federatedround", name) is not None)
        return self.federation.completed(name)

    def rounds(self) -> list[Finished]:
        """All rounds of the series, in order, once it has ended and the numbers of the version are written."""
        self.version()
        return [self.federation.completed(each["name"]) for each in self._rounds()]

    def version(self) -> Object:
        """The current version of the model, once the series has ended and the numbers of the version are written."""
        eventually(f"{self.name} has a version", lambda: is_true(self.live(), "Ready"), ROUND_SECONDS)
        name = self.live()["status"]["current"]
        eventually(f"{name} has its numbers", lambda: is_true(self._find("modelversion", name) or {}, "Ready"))
        return self.federation.kubectl("hub").get("modelversion", name, "-n", self.federation.namespace)

    def delivery(self) -> Finished:
        """The round that has brought the current version to hospitals, once it is Complete."""
        eventually(f"{self.name} is delivered", lambda: is_true(self.live(), "Delivered"), ROUND_SECONDS)
        return self.federation.completed(self.live()["status"]["delivery"]["round"])

    def live(self) -> Object:
        return self.federation.kubectl("hub").get("federatedmodel", self.name, "-n", self.federation.namespace)

    def ask(self, verb: str) -> subprocess.CompletedProcess[str]:
        """What `kubectl wardround VERB fm/NAME` prints, and its exit code."""
        hub = f"--kubeconfig={named('hub').kubeconfig}"
        words = (verb, f"fm/{self.name}", "-n", self.federation.namespace, hub)
        return subprocess.run(
            (sys.executable, "-m", "wardround.kubectl", *words), capture_output=True, text=True, timeout=ROUND_SECONDS
        )

    def _rounds(self) -> list[Object]:
        named_rounds: list[Object] = self.live().get("status", {}).get("series", {}).get("rounds", [])
        return named_rounds

    def _find(self, kind: str, name: str) -> Object | None:
        return self.federation.kubectl("hub").find(kind, name, "-n", self.federation.namespace)


def applied(
    federation: Federation,
    name: str,
    rounds: int,
    sites: Sequence[str] = (),
    spec: Object | None = None,
    series: Object | None = None,
) -> Series:
    """Apply a model of all sites, or of these, that trains so many rounds. `spec`, `series`: more fields of the spec
    and of its series."""
    made, asked = federation.name(name), list(sites or federation.sites)
    manifest = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "FederatedModel",
        "metadata": {"name": made, "namespace": federation.namespace},
        "spec": {
            "schemaName": SCHEMA,
            "round": {
                "image": federation.images.trainer.reference,
                "datasetName": DATASET,
                "participants": {"names": asked},
                "quorum": {"min": len(asked)},
                "metrics": ["loss"],
            },
            "series": {"rounds": rounds, "parameters": dict(PARAMETERS), **(series or {})},
            # The clinic has too few people of a class on its validation side. These tests would soon use up the
            # hospitals' evaluation budget on test rows.
            "evaluation": {"quorum": {"min": 2}, "testRows": False},
            "deliver": {"to": "Participants"},
            **(spec or {}),
        },
    }
    federation.apply(manifest)
    return Series(federation, made)
