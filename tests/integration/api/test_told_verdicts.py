"""The hub's API server takes three words of a hospital's verdicts, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import round_task, site_task

HUB_OPERATOR, HOSPITAL = account("wardround-hub", "hub-operator"), account("site-a", "site")
SITE_OPERATOR = account("hospital-a", "site-operator")
REFERENCE = {"reference": "heart-1"}
BAD: dict[str, Any] = {
    "another word": ["TooFewPeople"],
    "a number": [0.31],
    "a sentence": ["Better for patient 17"],
    "three words": ["Better", "Better", "Better"],
    "an object": [{"outcome": "Better"}],
}


@pytest.fixture(scope="module")
def tasks(api: Api) -> Api:
    api.create(round_task(name="told"), user=HUB_OPERATOR)
    api.create(site_task(name="own"), user=SITE_OPERATOR)
    return api


@pytest.mark.parametrize("case", BAD)
def test_a_roundtask_takes_nothing_but_three_words(tasks: Api, case: str) -> None:
    tasks.patch_status("RoundTask", "told", {"verdicts": ["Better", "Undecided"]}, "site-a", user=HOSPITAL)
    with pytest.raises(Refused):
        tasks.patch_status("RoundTask", "told", {"verdicts": BAD[case]}, "site-a", user=HOSPITAL)


def test_a_sitetask_takes_four_words_and_the_name_of_the_reference(tasks: Api) -> None:
    for word in ("Better", "Worse", "Undecided", "TooFewPeople"):
        tasks.patch_status(
            "SiteTask", "own", {"verdicts": [{**REFERENCE, "outcome": word}]}, "hospital-a", user=SITE_OPERATOR
        )
    for bad in ({**REFERENCE, "outcome": "0.31"}, {"reference": "patient 17", "outcome": "Better"}):
        with pytest.raises(Refused):
            tasks.patch_status("SiteTask", "own", {"verdicts": [bad]}, "hospital-a", user=SITE_OPERATOR)
