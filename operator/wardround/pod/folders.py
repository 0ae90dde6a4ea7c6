"""Names the folders and files of a training pod, by the table of mounts; reads and writes none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from wardround.wire import mounts


@dataclass(frozen=True)
class Folders:
    """All folders lie under one root: that of the table in a pod, anything in a simulation."""

    root: Path

    @classmethod
    def from_environment(cls) -> Folders:
        return cls(Path(os.environ.get("WARDROUND_ROOT", mounts.ROOT)))

    @property
    def raw(self) -> Path:
        return self._at(mounts.RAW)

    @property
    def task(self) -> Path:
        return self._at(mounts.TASK)

    @property
    def data(self) -> Path:
        return self._at(mounts.DATA)

    @property
    def private(self) -> Path:
        return self._at(mounts.PRIVATE)

    @property
    def base(self) -> Path:
        return self._at(mounts.BASE)

    @property
    def out(self) -> Path:
        return self._at(mounts.OUT)

    @property
    def checkpoints(self) -> Path:
        return self._at(mounts.ALL_CHECKPOINTS)

    @property
    def states(self) -> Path:
        return self._at(mounts.ALL_STATES)

    @property
    def secrets(self) -> Path:
        return self._at(mounts.ALL_SECRETS)

    @property
    def update(self) -> Path:
        return self._at(mounts.UPDATE)

    @property
    def task_file(self) -> Path:
        return self.task / "task.json"

    @property
    def report_file(self) -> Path:
        return self.private / "report.json"

    @property
    def labels_file(self) -> Path:
        """Labels and patients of the rows over which metrics are computed."""
        return self.private / "labels.i64"

    @property
    def init_task_file(self) -> Path:
        """task.json of `init`, as `prepare` writes it."""
        return self._at(mounts.INIT_TASK) / "task.json"

    def reference_task_file(self, reference: mounts.Reference) -> Path:
        """task.json of a reference, as `prepare` writes it."""
        return self._at(mounts.REFERENCE_TASK.format(name=reference)) / "task.json"

    def reference_out(self, reference: mounts.Reference) -> Path:
        """What the code of a reference wrote, as `score` reads it."""
        return self._at(mounts.REFERENCE_OUT.format(name=reference))

    @property
    def launcher_file(self) -> Path:
        return self._at(mounts.LAUNCHER) / "launch"

    def view_file(self, side: str) -> Path:
        return self.data / f"{side}.parquet"

    def _at(self, path: str) -> Path:
        return self.root / Path(path).relative_to(mounts.ROOT)
