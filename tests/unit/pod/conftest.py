"""Keeps the gate's tests from probing hosts on the links of the machine that runs them."""

from pathlib import Path

import pytest

from wardround.network import addresses


@pytest.fixture(autouse=True)
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod without IPv6. Tests that need links make network namespaces."""
    for name in ("INTERFACES", "SETTINGS"):
        monkeypatch.setattr(addresses, name, Path("/no-such-file"))
