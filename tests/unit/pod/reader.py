"""Runs `prepare` of a pod that only reads a Dataset, in this process, with the environment that its Job gives it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from wardround import __main__ as wardround
from wardround.wire.outcome import Outcome, read

REQUEST = ("WARDROUND_TASK", "WARDROUND_ROWS", "WARDROUND_MAX_EVALUATIONS", "WARDROUND_TELL_OWN_METRICS")


class Reader:
    """Reads the Dataset of `world` below a folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders = world.pod(root)
        self._log = root / "termination-log"
        self._environment = monkeypatch
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            target = {"name": "hub", "host": "127.0.0.1", "port": closed.getsockname()[1], "protocol": "TCP"}
        monkeypatch.setenv("WARDROUND_ROOT", str(root))
        monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(self._log))
        monkeypatch.setenv("WARDROUND_ISOLATION", json.dumps([target]))

    def read(self, **changes: Any) -> tuple[int, Outcome]:
        """The exit code, and what the termination message says."""
        code, message = self.end(**changes)
        outcome = read(message)
        assert outcome is not None
        return code, outcome

    def end(self, **changes: Any) -> tuple[int, str]:
        """The exit code and the termination message."""
        self._log.unlink(missing_ok=True)
        for name, value in world.environment(world.task(**changes)).items():
            if name not in (*REQUEST, "WARDROUND_ALLOWED_PARAMETERS"):
                self._environment.setenv(name, value)
        self._environment.setenv("WARDROUND_KIND", "Read")
        code = wardround.main(["prepare"])
        return code, self._log.read_text()
