"""The players keep the rules of a real federation: a pin counts, grants are for one hospital and one ciphertext."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.players import courier
from tests.players.hospital import Hospital
from tests.players.hub import Hub, dispatch
from wardround.api import federatedround
from wardround.api.federatedround import FederatedRound
from wardround.api.task import Upload
from wardround.plans.assignment import verify
from wardround.sealing.refused import Refused
from wardround.simulate.store import SIGNER, MemoryStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROUND: FederatedRound = federatedround.parse(
    {
        "metadata": {"name": "round", "namespace": "test", "uid": "uid"},
        "spec": {
            "task": "Train",
            "datasetName": "breast",
            "schemaName": "breast-v1",
            "participants": {"names": ["site-a"]},
            "image": "registry.example/trainer@sha256:" + "1" * 64,
            "initial": {},
        },
    }
)
HUB = Hub()
HOSPITAL = Hospital("site-a", HUB.identity.fingerprint)
ASKED = HUB.ask(ROUND, HOSPITAL.recipient, dispatch("site-a", NOW), NOW)


@pytest.mark.parametrize(
    ("hospital", "now", "reason"),
    [
        (Hospital("site-a", Hub().identity.fingerprint, HOSPITAL.identity), NOW, "HubNotPinned"),
        (Hospital("site-a", HUB.identity.fingerprint), NOW, "NotAddressee"),
        (HOSPITAL, NOW + timedelta(hours=2), "Expired"),
    ],
)
def test_a_hospital_verifies_what_a_hub_asks(hospital: Hospital, now: datetime, reason: str) -> None:
    assert verify(HOSPITAL.received(ASKED, NOW)).participant == "site-a"
    with pytest.raises(Refused, match=reason):
        verify(hospital.received(ASKED, now))


def test_a_hospital_opens_no_grants_of_another_hospital_or_attempt() -> None:
    granted = HUB.grant(ASKED, HOSPITAL.recipient, SIGNER, NOW, upload=Upload(bytes=100))
    assert HOSPITAL.grants(granted).put is not None
    with pytest.raises(Refused):
        Hospital("site-a").grants(granted)
    with pytest.raises(Refused):
        HOSPITAL.grants(replace(granted, attempt=2))


async def test_a_courier_sends_only_by_grants_for_its_ciphertext(tmp_path: Path) -> None:
    assignment, store = verify(HOSPITAL.received(ASKED, NOW)), MemoryStore()
    sealed, sender = await courier.seal(assignment, HOSPITAL.identity, tmp_path / "task", b"tensors")
    length = sealed.manifest.bytes
    longer, other, fitting = (
        HOSPITAL.grants(HUB.grant(ASKED, HOSPITAL.recipient, SIGNER, NOW, upload=each))
        for each in (Upload(bytes=length + 1), Upload(bytes=length, md5=("of another",)), sealed.view.upload)
    )
    for grants in (longer, other):
        with pytest.raises(AssertionError, match="for this ciphertext"):
            await sender.send(sealed, grants, store)
    await sender.send(sealed, fitting, store)
    assert fitting.put is not None
    stored = [await store.get_bytes(each.url, each.bytes) for each in fitting.put]
    assert HUB.open_update(sealed.manifest, stored) == b"tensors"
