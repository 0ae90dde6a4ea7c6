"""The demo's hospitals as folders, and short rounds of the example's trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import demo_data
from tests.unit.simulate.rounds import digests, played, short


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    demo_data.write_folders(folder)
    return folder


@pytest.fixture(scope="session")
def once(data: Path) -> list[str]:
    """Digests of the short rounds, with all secrets as the files give them."""
    return digests(played(short(), data))
