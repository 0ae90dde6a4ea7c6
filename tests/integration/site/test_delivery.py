"""A model of the hub comes to a hospital: one task from its arrival to the claim of models, and what does not."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.site.conftest import PARTICIPANT, Site, eventually
from tests.integration.site.hub import SCHEMA, Object
from tests.integration.site.play import condition, enrolled, job_of
from tests.integration.site.test_courier_trouble import running, waits
from tests.players.courier import SCHEMA_DIGEST
from tests.unit.card.models import making
from tests.worlds.site import HUB
from wardround.card import folder
from wardround.documents import cards
from wardround.documents.keys import Model
from wardround.reasons.registry import REASONS
from wardround.sealing.cards import sign_card
from wardround.wire.assignment import AssignedDelivery, Quorum
from wardround.wire.card import CardModel


def card(model: Model) -> str:
    """The card of a model that these columns made."""
    header = model.manifest.header
    described = dataclasses.replace(
        cards.first(making(schema=SCHEMA), datetime.now(UTC)),
        model=CardModel(digest=model.manifest.digest, bytes=header.length, schema_digest=SCHEMA_DIGEST),
    )
    return sign_card(described, HUB.identity.key)


def deliver(site: Site, model: Model, version: int, **changes: Any) -> str:
    """The name of a new Deliver task."""
    delivery = AssignedDelivery(
        model_name="breast", model_uid="uid-of-the-model", version=version, keep=5, card=card(model)
    )
    known: dict[str, Any] = {
        "task": "Deliver",
        "image": "",
        "image_digest": "",
        "parameters": {},
        "quorum": Quorum(1, (), 60, "Fail"),
        "delivery": dataclasses.replace(delivery, **changes),
    }
    name: str = site.hub.ask(model, **known)["metadata"]["name"]
    return name


async def ended(site: Site, name: str) -> tuple[str, str]:
    """Condition and reason with which the hub hears that the task is over."""

    def end() -> tuple[str, str] | None:
        live: Object = site.api.get("RoundTask", name, PARTICIPANT)
        known = (live.get("status") or {}).get("conditions", ())
        final = [each for each in known if each["type"] in ("Complete", "Failed") and each["status"] == "True"]
        return (final[0]["type"], final[0]["reason"]) if final else None

    reason: tuple[str, str] = await eventually(f"the hub hears the end of {name}", end)
    return reason


async def test_a_delivered_version_is_whole_and_nothing_else_changes_it(site: Site) -> None:
    await enrolled(site)
    claim = site.settings.models
    assert isinstance(claim, Path)
    first, second = os.urandom((1 << 20) + 12345), os.urandom(1 << 20)
    sealed = {2: await site.hub.seal_model(first), 3: await site.hub.seal_model(second)}
    task = deliver(site, sealed[2], 2)
    assert await ended(site, task) == ("Complete", "Delivered")
    loaded = folder.load(claim / "breast" / "v2", HUB.identity.fingerprint)
    assert loaded.model == first
    assert (claim / "breast" / "current").read_text() == "v2\n"
    assert job_of(site, task) is None
    live = site.api.get("RoundTask", task, PARTICIPANT)["status"]
    assert not live.keys() & {"update", "upload"}
    assert condition(site.task(task), "Complete")["reason"] == "Delivered"
    workspace = site.folder(task)
    await eventually("the workspace is cleared", lambda: not workspace.exists())

    assert await ended(site, deliver(site, sealed[3], 1)) == ("Failed", "ModelVersionBackwards")
    assert await ended(site, deliver(site, sealed[3], 2)) == ("Failed", "ModelVersionDiffers")
    assert await ended(site, deliver(site, sealed[3], 3, model_uid="another")) == ("Failed", "ModelNameTaken")
    assert await ended(site, deliver(site, sealed[3], 3, card=card(sealed[2]))) == ("Failed", "CardDiffers")
    assert await ended(site, deliver(site, sealed[3], 3, model_name="../breast")) == ("Failed", "AssignmentUnreadable")
    assert sorted(each.name for each in (claim / "breast").iterdir()) == ["current", "model.json", "v2"]
    assert [each.name for each in claim.iterdir()] == ["breast"]

    assert await ended(site, deliver(site, sealed[3], 3)) == ("Complete", "Delivered")
    assert (claim / "breast" / "current").read_text() == "v3\n"
    assert folder.load(claim / "breast" / "v3", HUB.identity.fingerprint).model == second

    # The federation goes back. Once the hospital's people have written the older version, the courier takes it.
    assert await ended(site, deliver(site, sealed[2], 2)) == ("Failed", "ModelVersionBackwards")
    (claim / "breast" / "current").write_text("v2\n")
    assert await ended(site, deliver(site, sealed[2], 2)) == ("Complete", "Delivered")
    assert (claim / "breast" / "current").read_text() == "v2\n"


@contextmanager
def small_volume(size: int) -> Iterator[Path]:
    """A volume of this many bytes. It ends with the process in whose namespace it is mounted."""
    script = f"mount -t tmpfs -o size={size} tmpfs /mnt && echo ready && exec sleep infinity"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                pytest.skip("this machine lets no test mount a volume")
            yield Path(f"/proc/{process.pid}/root/mnt")
        finally:
            process.kill()


@pytest.mark.own_courier
async def test_a_delivery_waits_for_space_on_a_full_claim_and_the_version_before_stays_whole(site: Site) -> None:
    first, second = os.urandom(300 << 10), os.urandom(600 << 10)
    with small_volume(1 << 20) as claim:
        (claim / "unneeded").write_bytes(bytes(400 << 10))
        async with running(site, dataclasses.replace(site.settings, models=claim)):
            await enrolled(site)
            assert await ended(site, deliver(site, await site.hub.seal_model(first), 1)) == ("Complete", "Delivered")
            task = deliver(site, await site.hub.seal_model(second), 2)
            await eventually("both sides say why it waits", lambda: waits(site, task) == "ModelsClaimFull")
            shown = condition(site.task(task), "Reconciling")
            assert (shown["status"], shown["reason"]) == ("True", "ModelsClaimFull")
            assert shown["message"] == REASONS["ModelsClaimFull"].text
            assert (claim / "breast" / "current").read_text() == "v1\n"
            assert not (claim / "breast" / "v2").exists()
            assert folder.load(claim / "breast" / "v1", HUB.identity.fingerprint).model == first

            # The hospital's administrator does what the message says.
            (claim / "unneeded").unlink()
            assert await ended(site, task) == ("Complete", "Delivered")
            assert (claim / "breast" / "current").read_text() == "v2\n"
            assert folder.load(claim / "breast" / "v2", HUB.identity.fingerprint).model == second
