"""An attacker who controls a training pod writes texts in the place of verdicts. None of them gets into an object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import Object
from tests.integration.site.play import condition, enrolled, job_of, leave_update, run_pod
from wardround.wire import digests

BASE = b"the evaluated model"
PATIENT = "patient-17"


@pytest.fixture
def telling(site: Site) -> Iterator[Site]:
    """A hospital that tells its verdicts."""
    site.api.patch("Site", "site", {"spec": {"policy": {"tellVerdicts": True}}}, NAMESPACE)
    yield site
    site.api.patch("Site", "site", {"spec": {"policy": {"tellVerdicts": False}}}, NAMESPACE)


async def compared(site: Site, verdicts: Any) -> list[Object]:
    """A comparison in whose pod each container of code and `check` say these verdicts: the objects of both sides."""
    await enrolled(site)
    model, *references = [await site.hub.seal_model(each) for each in (BASE, b"one", b"another")]
    task = site.hub.ask(model, references=references, task="Evaluate", metrics=("auc",), rows="Validation")
    name = task["metadata"]["name"]
    job = await eventually("the Job", lambda: job_of(site, name))
    leave_update(site, name, b"sums", digests.digest(BASE), sums=None)
    containers = ("prepare", "train", "reference1", "reference2", "check", "isolation")
    run_pod(site.api, job, *containers, message=json.dumps({"verdicts": verdicts}))

    def on_hub() -> Object:
        return site.api.get("RoundTask", name, PARTICIPANT)

    await eventually("the size is known", lambda: (on_hub().get("status") or {}).get("upload"))
    site.hub.grant_upload(task, len(b"sums"))
    await eventually("the task is complete", lambda: condition(on_hub(), "Complete")["status"] == "True")
    return [site.task(name), on_hub()]


async def test_two_words_stand_on_both_sides(telling: Site) -> None:
    """The control."""
    here, there = await compared(telling, ["Better", "Undecided"])
    assert [each["outcome"] for each in here["status"]["verdicts"]] == ["Better", "Undecided"]
    assert there["status"]["verdicts"] == ["Better", "Undecided"]


@pytest.mark.parametrize(
    "verdicts",
    [
        ["Better", f"Worse for {PATIENT}"],
        ["Better", {"outcome": "Worse", "note": PATIENT}],
        ["Better", "Worse", PATIENT],
    ],
    ids=["a sentence", "an object", "a third one"],
)
async def test_another_text_takes_all_verdicts_of_the_task_away(telling: Site, verdicts: Any) -> None:
    sides = await compared(telling, verdicts)
    assert [each["status"].get("verdicts") for each in sides] == [None, None]
    assert PATIENT not in json.dumps(sides)
