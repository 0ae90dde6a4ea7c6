"""The inner loop of an aggregation, in numpy and compiled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.topology import ROOT
from wardround.aggregate import weighted


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled loop."""
    path = tmp_path_factory.mktemp("kernels") / "kernels.so"
    subprocess.run([ROOT / "kernels/build", path], check=True)
    return path


@pytest.fixture(params=["numpy", "compiled"])
def loop(request: pytest.FixtureRequest, library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The test runs once with each kind of loop."""
    if request.param == "compiled":
        monkeypatch.setenv(weighted.VARIABLE, str(library))
    else:
        monkeypatch.delenv(weighted.VARIABLE, raising=False)
    weighted.adding.cache_clear()
    yield request.param
    weighted.adding.cache_clear()
