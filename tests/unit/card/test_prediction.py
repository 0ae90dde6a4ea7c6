"""The pod of a Prediction gives up its network before it reads a file, and only after the gate has found it closed."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from wardround.card import prediction
from wardround.wire import isolation
from wardround.wire.isolation import IsolationTarget


class Started(Exception):
    """In place of the process that execv would start."""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that replace this process."""
    commands: list[list[str]] = []

    def execv(path: str, words: list[str]) -> None:
        commands.append([path, *words])
        raise Started

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setenv("WARDROUND_LAUNCHER", "/opt/launch")
    monkeypatch.setenv("WARDROUND_ISOLATION_SECONDS", "0.25")
    monkeypatch.setenv("WARDROUND_LINK_LOCAL", "Warn")
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    return commands


def test_behind_a_closed_network_the_launcher_starts_the_program_that_reads(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("WARDROUND_ISOLATION", isolation.write([IsolationTarget("hub", "127.0.0.1", port, "TCP")]))
    with pytest.raises(Started):
        prediction.main(())
    assert started == [["/opt/launch", "/opt/launch", "--", sys.executable, "-m", "wardround", "answer"]]


def test_a_gate_that_cannot_be_read_ends_the_pod(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_ISOLATION", "[]")
    assert prediction.main(()) == 70
    assert started == []
