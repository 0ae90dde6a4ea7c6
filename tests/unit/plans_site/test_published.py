"""Which number of training patients a site tells the hub, and when it changes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.test_dataset import REPORT
from tests.unit.plans_site.test_reading import made
from tests.unit.plans_site.test_reading import seen as seen_reading
from tests.worlds.site import NOW, a_site
from wardround.api import dataset
from wardround.api.dataset import DatasetStatus
from wardround.api.site import Policy
from wardround.plans import reading
from wardround.plans.published import PAUSE, publish, seconds_to_next
from wardround.plans.site.report import report

TELLS = dataclasses.replace(Policy(), tell_new_patients=True)


def status(patients: int | None, **changes: Any) -> DatasetStatus:
    return dataclasses.replace(DatasetStatus(), training_patients=patients, **changes)


@pytest.mark.parametrize(("patients", "rounded"), [(0, 0), (10, 0), (11, 11), (21, 11), (290, 286)])
def test_the_number_is_rounded_down_to_a_multiple_of_11(patients: int, rounded: int) -> None:
    published = publish(status(patients), TELLS, NOW).published
    assert published is not None
    assert published.training_patients == rounded


def test_by_default_nothing_is_published() -> None:
    assert publish(status(290), Policy(), NOW).published is None
    assert publish(status(None), TELLS, NOW).published is None


def test_a_number_changes_at_most_once_a_day() -> None:
    first = publish(status(290), TELLS, NOW)
    more = dataclasses.replace(first, training_patients=301)
    soon = NOW + PAUSE - timedelta(seconds=1)
    assert publish(more, TELLS, soon) == more
    assert seconds_to_next(more, TELLS, soon) == 1
    later = publish(more, TELLS, NOW + PAUSE)
    assert later.published is not None
    assert later.published.training_patients == 297
    # A number that stays as it is needs no look, and the day begins with its change.
    assert seconds_to_next(later, TELLS, NOW + PAUSE) is None
    fewer = dataclasses.replace(later, training_patients=11)
    assert publish(fewer, TELLS, NOW + PAUSE + timedelta(hours=23)) == fewer


SITE = a_site(tellNewPatients=True)


def counted() -> DatasetStatus:
    """After a pod has read the file."""
    ended = made({**REPORT, "trainingPatients": 290})
    return reading.plan(seen_reading(reading=ended, site=SITE)).status


def test_the_plan_of_a_dataset_publishes_what_was_counted_and_looks_again_after_a_day() -> None:
    first = counted()
    assert first.published is not None
    assert first.published.training_patients == 286
    more = dataclasses.replace(first, training_patients=301)
    planned = reading.plan(seen_reading(more, site=SITE))
    assert planned.status.published == first.published
    assert planned.requeue_after == PAUSE.total_seconds()


def test_the_number_stays_when_the_spec_changes() -> None:
    """Else the hub would see two numbers of one day."""
    first = counted()
    planned = reading.plan(seen_reading(first, site=SITE, generation=9))
    assert planned.status.training_patients is None
    assert planned.status.published == first.published


def offered(known: DatasetStatus, **policy: Any) -> dict[str, Any]:
    spec = {
        "claimName": "data",
        "schemaName": "breast-v1",
        "path": "breast.csv",
        "identifier": {"column": "id", "type": "string"},
        "split": {},
    }
    item = dataclasses.replace(dataset.parse({"metadata": {"name": "breast"}, "spec": spec}), status=known)
    [entry] = report(a_site(**policy), [item])["datasets"]
    return dict(entry)


def test_the_hub_reads_the_number_only_if_the_policy_says_so() -> None:
    known = publish(status(290, schema_digest="sha256:" + "5" * 64), TELLS, NOW)
    assert offered(known, tellNewPatients=True)["trainingPatients"] == 286
    assert "trainingPatients" not in offered(known)
    unpublished = dataclasses.replace(known, published=None)
    assert "trainingPatients" not in offered(unpublished, tellNewPatients=True)
