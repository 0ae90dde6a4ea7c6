"""Names the folders and files of a training pod (docs/contracts.md, section 6); reads and writes none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """All folders lie under one root: `/wardround` in a pod, anything in a simulation."""

    root: Path

    @classmethod
    def from_environment(cls) -> Folders:
        return cls(Path(os.environ.get("WARDROUND_ROOT", "/wardround")))

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def task(self) -> Path:
        return self.root / "task"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def base(self) -> Path:
        return self.root / "base"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def states(self) -> Path:
        return self.root / "states"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def update(self) -> Path:
        return self.root / "update"

    @property
    def task_file(self) -> Path:
        return self.task / "task.json"

    @property
    def report_file(self) -> Path:
        return self.private / "report.json"

    @property
    def labels_file(self) -> Path:
        return self.private / "labels.parquet"

    @property
    def launcher_file(self) -> Path:
        return self.root / "launcher" / "launch"

    def view_file(self, side: str) -> Path:
        return self.data / f"{side}.parquet"
