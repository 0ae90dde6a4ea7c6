"""The gate's tests ask nobody on the links of the machine that they run on."""

from pathlib import Path

import pytest

from wardround.network import addresses


@pytest.fixture(autouse=True)
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a pod without IPv6. Tests that want links have network namespaces of their own."""
    for name in ("INTERFACES", "SETTINGS"):
        monkeypatch.setattr(addresses, name, Path("/no-such-file"))
