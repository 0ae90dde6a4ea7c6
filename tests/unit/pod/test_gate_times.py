"""How long the gate and the sidecar wait, with a timer of the test: real sockets on loopback, and no wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.pod.test_gate import closed, listener
from wardround.network import addresses
from wardround.pod import gate
from wardround.pod.gate import Settings, Timer
from wardround.pod.isolation import INTERVAL_SECONDS, Watch
from wardround.pod.outcome import PodError

# An address of a link in the file of the kernel: usable, or while duplicate address detection runs.
USABLE, TENTATIVE = "80", "c0"


class Waits:
    """The waits of the gate. `at`: an action at a time, in seconds after the start."""

    def __init__(self, at: dict[float, Callable[[], None]] | None = None, ends: float = 60.0) -> None:
        self.now = 0.0
        self.each: list[float] = []
        self._at = at or {}
        self._ends = ends
        self.timer = Timer(now=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.each.append(seconds)
        for due in [each for each in self._at if each <= self.now]:
            self._at.pop(due)()
        if self.now >= self._ends:
            raise SystemExit


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the flags of the address of the only link. Nothing is probed over a link without a usable address."""
    interfaces = tmp_path / "if_inet6"
    monkeypatch.setattr(addresses, "INTERFACES", interfaces)
    monkeypatch.setattr(addresses, "SETTINGS", tmp_path / "no-such-file")

    # No interface of the machine that runs the tests has this index, so a probe of a neighbour reaches nobody.
    def write(flags: str) -> None:
        interfaces.write_text(f"fe800000000000000858ccfffe500a09 fffffe 40 20 {flags} eth9\n")

    return write


@pytest.fixture
def no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "INTERFACES", tmp_path / "no-such-file")
    monkeypatch.setattr(addresses, "SETTINGS", tmp_path / "no-such-file")


@pytest.mark.usefixtures("no_link")
def test_the_gate_waits_for_a_policy_engine_that_is_late() -> None:
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(listener())
        waits = Waits({3.0: stack.pop_all().close})
        gate.hold(Settings((target,)), timer=waits.timer)
    assert waits.now == pytest.approx(3.0 + gate.ROUNDS * gate.PAUSE_SECONDS, abs=2 * gate.PAUSE_SECONDS)


@pytest.mark.usefixtures("no_link")
def test_the_gate_gives_up_at_its_deadline() -> None:
    waits = Waits()
    with listener() as target, pytest.raises(PodError, match="reaches hub"):
        gate.hold(Settings((target,)), deadline_seconds=3.0, timer=waits.timer)
    assert waits.now == pytest.approx(3.0, abs=2 * gate.PAUSE_SECONDS)


def test_a_gate_that_refuses_link_local_waits_for_the_pods_address(link: Callable[[str], None]) -> None:
    link(TENTATIVE)
    waits = Waits({2.0: lambda: link(USABLE)})
    finding = gate.hold(Settings((closed(),), link_local="Refuse"), timer=waits.timer)
    assert finding.heard == "Silent"
    assert waits.now == pytest.approx(2.0 + gate.ROUNDS * gate.PAUSE_SECONDS, abs=2 * gate.PAUSE_SECONDS)


def test_a_pod_without_an_address_after_duplicate_address_detection_gets_none(link: Callable[[str], None]) -> None:
    link(TENTATIVE)
    waits = Waits()
    gate.hold(Settings((closed(),), link_local="Refuse"), timer=waits.timer)
    assert waits.now == pytest.approx(gate.EARLY_SECONDS + gate.ROUNDS * gate.PAUSE_SECONDS, abs=2 * gate.PAUSE_SECONDS)


def test_the_sidecar_looks_often_until_the_pod_has_its_address_and_then_rarely(link: Callable[[str], None]) -> None:
    link(TENTATIVE)
    waits = Waits({1.0: lambda: link(USABLE)}, ends=10.0)
    watch = Watch(Settings((closed(),)), timer=waits.timer)
    with pytest.raises(SystemExit):
        watch.run()
    often = waits.each.count(gate.PAUSE_SECONDS)
    assert often * gate.PAUSE_SECONDS == pytest.approx(1.0, abs=2 * gate.PAUSE_SECONDS)
    assert waits.each[often:] == [INTERVAL_SECONDS] * 5
    assert watch.finding is not None
    assert watch.finding.heard == "Silent"
