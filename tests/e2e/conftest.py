"""Fixtures of e2e tests: the lab, and Wardround installed on it. Both are started if necessary, and left running."""

import os

import pytest

from lab import images, lifecycle
from lab.topology import clusters
from tests.e2e.clusters import Kubectl, Lab, eventually
from tests.e2e.federation import Federation, installed, say
from tests.e2e.series import Series, applied

__all__ = ["Federation", "Kubectl", "Lab", "eventually", "federation", "lab", "model"]

SITES = 3


@pytest.fixture(scope="session")
def lab() -> Lab:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: sudo make test")
    lifecycle.up(SITES, images.build_all(say).unpacked)
    return Lab(tuple(cluster.name for cluster in clusters(SITES) if not cluster.is_hub))


@pytest.fixture(scope="session")
def federation(lab: Lab) -> Federation:
    """The demo's three hospitals with their data. They allow rounds of the namespace `e2e`."""
    return installed()


@pytest.fixture(scope="session")
def model(federation: Federation) -> Series:
    """A model of two Train rounds. Its series runs while tests work with its rounds."""
    return applied(federation, "model", rounds=2)
