"""A training pod's folders with a small table. Tests that need torch run inside the trainer image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

FEATURES = ("width", "height", "age")
SCHEMA = {
    "fields": [
        {"name": "side", "type": "string"},
        {"name": "width", "type": "number"},
        {"name": "sick", "type": "integer"},
        {"name": "height", "type": "number"},
        {"name": "age", "type": "integer"},
    ],
    "target": "sick",
}


# The trainer image lacks the type of this document: tests/unit/wire/test_trainer_reads.py compares the two.
DOCUMENT = {
    "contract": "3",
    "task": "Train",
    "participant": "site-a",
    "seed": 7,
    "orderSeed": 2**63 - 1,
    "round": {"name": "train-1", "attempt": 1},
    "stateRound": "",
    "baseDigest": "",
    "parameters": {"hidden": "8,4", "epochs": "20"},
    "exchange": {"frozen": ["wardround.input.*"]},
    "dataset": {"schema": SCHEMA, "features": list(FEATURES), "rows": 200},
    "metrics": ["loss"],
    "threads": 1,
}


class Site:
    """The training pod's folders of one participant."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("task", "data", "base", "out", "checkpoint", "state/in", "state/out"):
            (root / folder).mkdir(parents=True)
        self.task()

    def task(self, participant: str = "site-a", **changes: Any) -> None:
        (self.root / "task" / "task.json").write_text(json.dumps({**DOCUMENT, "participant": participant, **changes}))

    def view(self, side: str, rows: int, seed: int = 0, *, target: bool = True) -> np.ndarray[Any, Any]:
        """Writes a table whose class depends on two of three features. Returns the features, of shape (rows, 3)."""
        random = np.random.default_rng([seed, rows])
        values = random.normal((20, 170, 55), (5, 9, 12), (rows, 3)).astype(np.float32)
        signal = (values[:, 0] - 20) / 5 - (values[:, 2] - 55) / 12
        columns = {name: pa.array(values[:, position]) for position, name in enumerate(FEATURES)}
        if target:
            columns["sick"] = pa.array((signal + 0.3 * random.normal(size=rows) > 0).astype(np.int64))
        # Columns have another order than in the schema, because the trainer must find them by name.
        shuffled = dict(sorted(columns.items(), key=lambda item: item[0]))
        parquet.write_table(pa.table(shuffled), self.root / "data" / f"{side}.parquet")
        return values

    def views(self, rows: int = 200) -> None:
        self.view("train", rows, seed=1)
        self.view("validation", 60, seed=2)

    def adopt(self, model: bytes) -> None:
        (self.root / "base" / "model.safetensors").write_bytes(model)

    @property
    def base(self) -> bytes:
        return (self.root / "base" / "model.safetensors").read_bytes()

    @property
    def trained(self) -> bytes:
        return (self.root / "out" / "model.safetensors").read_bytes()

    @property
    def state(self) -> bytes:
        """The state that training left for the next round."""
        return (self.root / "state" / "out" / "optimizer.safetensors").read_bytes()

    def next_round(self, state: bytes | None) -> None:
        """Starts the next round from the trained model and from `state`, if any."""
        self.adopt(self.trained)
        for path in (self.root / "state").glob("*/*"):
            path.unlink()
        if state is not None:
            (self.root / "state" / "in" / "optimizer.safetensors").write_bytes(state)

    def json(self, name: str) -> Any:
        return json.loads((self.root / "out" / name).read_text())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "wardround")


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[[str], Site]:
    return lambda name: Site(tmp_path / name)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Site, str], int]:
    """Runs a verb on a site's folders, as the image's entrypoint does. Returns the exit status."""
    from wardround_trainer.__main__ import main

    def verb(site: Site, name: str) -> int:
        monkeypatch.setenv("WARDROUND_ROOT", str(site.root))
        return main([name])

    return verb
