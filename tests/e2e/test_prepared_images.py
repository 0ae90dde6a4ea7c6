"""An image that its author has prepared against the launcher, and that a hospital has listed, has no network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import install, lifecycle
from tests.e2e import prepared
from tests.e2e.federation import UNTRAINED, Federation
from tests.probes import calls
from tests.probes.findings import findings

SITE = "site-b"
STARTED = ("init", "train")


@pytest.fixture(scope="module")
def left_before() -> Iterator[None]:
    """What code of an earlier round could leave in its state: a false launcher. A first round reads the state of none,
    which is mounted like any other."""
    folder = install.state_folder(SITE) / "states" / "none"
    folder.mkdir(parents=True, exist_ok=True)
    left = folder / "launch"
    left.write_bytes(prepared.false_launcher("/wardround/state/in"))
    left.chmod(0o755)
    try:
        yield
    finally:
        left.unlink()


@pytest.fixture(scope="module")
def logs(federation: Federation, left_before: None) -> dict[str, str]:
    """The log of each container that runs the image's code."""
    lifecycle.open_existing(SITE).import_image(federation.prepared.archive)
    spec = {"image": federation.prepared.reference, "parameters": UNTRAINED, "participants": {"names": [SITE]}}
    finished = federation.run_round("prepared", "Train", initial={}, **spec)
    job = f"job/{finished.task(SITE)['metadata']['name']}"
    kubectl = federation.kubectl(SITE)
    return {name: kubectl("logs", "-n", federation.site_namespace, job, "-c", name) for name in STARTED}


@pytest.mark.parametrize("container", STARTED)
def test_code_of_a_prepared_image_opens_only_unix_sockets(logs: dict[str, str], container: str) -> None:
    assert prepared.PAST not in logs[container]
    answers = _answers(logs[container])
    assert calls.sockets(answers) == {"UNIX stream", "UNIX datagram", "UNIX raw", "UNIX pair"}


def test_code_of_an_image_cannot_redirect_a_later_containers_mount(logs: dict[str, str]) -> None:
    """The image does not know the launcher's path, but its code does, and `init` and `train` share volumes."""
    assert _answers(logs["init"])["trap"] == "EPERM"


def _answers(log: str) -> dict[str, str]:
    answers: dict[str, str] = findings(log)["said"]
    return answers
