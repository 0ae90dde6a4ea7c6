"""A pod without links to other machines, and one that only reads a Dataset."""

from pathlib import Path

import pytest

from tests.unit.pod.reader import Reader
from wardround.network import addresses


@pytest.fixture(autouse=True)
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod without IPv6. Keeps the gate's tests from probing hosts on the links of the machine that runs them. Tests
    that need links make network namespaces."""
    for name in ("INTERFACES", "SETTINGS"):
        monkeypatch.setattr(addresses, name, Path("/no-such-file"))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(tmp_path, monkeypatch)
