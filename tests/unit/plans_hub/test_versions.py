"""The hub writes the highest version that it and a site know, and says who has to upgrade where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    FEDERATION,
    NOW,
    accepted,
    collecting,
    failed,
    federated_round,
    observation,
    participant,
)
from tests.unit.plans_model.world import model
from wardround.api import conditions
from wardround.api.participant import Participant, parse
from wardround.plans import versions
from wardround.plans.model.selection import askable
from wardround.plans.participant import status
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Dispatch, Observation
from wardround.wire import codec
from wardround.wire.assignment import COMPRESSION_SINCE, LOWEST
from wardround.wire.compression import Compression
from wardround.wire.versions import KNOWN, LATEST

HUB = "sha256:" + "1" * 64
NEWER = [LATEST + 1, LATEST + 7]
RUBBISH = [
    "1",
    {"1": 1},
    7,
    True,
    ["1"],
    [1, "2"],
    [1, None],
    [True],
    [1.0],
    [-1, 1],
    [0, 1],
    [1, 10**18],
    [[1]],
    list(range(1, 18)),
    [1] * 100_000,
]


def publishing(name: str, value: Any) -> Participant:
    item = participant(name)
    assert item.status.site is not None
    return replace(item, status=replace(item.status, site=replace(item.status.site, assignment_versions=value)))


@pytest.mark.parametrize(
    ("published", "version"), [([LATEST], LATEST), (list(KNOWN), LATEST), ([*KNOWN, *NEWER], LATEST), ([1, 2, 3, 4], 4)]
)
def test_the_highest_version_in_common_is_written(published: list[int], version: int) -> None:
    assert versions.common(publishing("site-a", published)) == version
    assert versions.none_in_common(publishing("site-a", published)) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "SiteTooOld"), ([], "SiteTooOld"), ([1, 2, LOWEST - 1], "SiteTooOld"), (NEWER, "HubTooOld")],
)
def test_the_older_side_is_named(value: Any, reason: str) -> None:
    assert versions.common(publishing("site-a", value)) == 0
    assert versions.none_in_common(publishing("site-a", value)) == reason


@pytest.mark.parametrize("value", RUBBISH, ids=lambda value: str(value)[:20])
def test_rubbish_counts_as_nothing_and_stops_no_other_site(value: Any) -> None:
    document = codec.dump(publishing("site-a", None))
    document["status"]["site"]["assignmentVersions"] = value
    read = parse(document)
    assert versions.none_in_common(read) == "SiteTooOld"
    seen = seeing(read)
    assert [each.participant for each in plan(seen).actions if isinstance(each, Dispatch)] == ["site-b", "site-c"]


def seeing(*changed: Participant) -> Observation:
    """Of a round that finds its hospitals by a label, and that two are enough for."""
    seen = observation(federated_round(participants={"selector": {"matchLabels": {"country": "de"}}}))
    return replace(seen, participants={**seen.participants, **{each.metadata.name: each for each in changed}})


@pytest.mark.parametrize(
    ("value", "reason", "owner"),
    [(None, "SiteTooOld", "The hospital's administrator"), (NEWER, "HubTooOld", "The hub's administrator")],
)
def test_participant_and_round_say_who_has_to_do_what(value: Any, reason: str, owner: str) -> None:
    site = publishing("site-b", value)
    ready = conditions.find(status(site, HUB, NOW).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", reason)
    assert conditions.is_true(status(site, HUB, NOW).conditions, "Stalled")
    planned = plan(seeing(site))
    [attention] = planned.status.attention
    assert (attention.participant, attention.reason) == ("site-b", reason)
    for message in (ready.message, attention.message):
        assert f"{owner}: Upgrade the" in message
        assert "site-b" in message
        assert "PARTICIPANT" not in message
    tasks = {each.participant: each.version for each in planned.actions if isinstance(each, Dispatch)}
    assert tasks == {"site-a": LATEST, "site-c": LATEST}


def test_a_named_site_without_a_common_version_is_waited_for() -> None:
    seen = observation(federated_round())
    waiting = plan(replace(seen, participants={**seen.participants, "site-b": publishing("site-b", None)}))
    assert not [each for each in waiting.actions if isinstance(each, Dispatch)]
    assert conditions.is_true(waiting.status.conditions, "Stalled")
    condition = conditions.find(waiting.status.conditions, "Stalled")
    assert condition is not None
    assert condition.reason == "SiteTooOld"


def test_another_attempt_has_the_version_that_is_common_then() -> None:
    seen = collecting(failed("site-a"), accepted("site-b"), accepted("site-c"))
    [again] = [each for each in plan(seen).actions if isinstance(each, Dispatch)]
    assert (again.participant, again.attempt, again.version) == ("site-a", 2, LATEST)
    downgraded = replace(seen, participants={**seen.participants, "site-a": publishing("site-a", None)})
    planned = plan(downgraded)
    assert not [each for each in planned.actions if isinstance(each, Dispatch)]
    assert ("site-a", "SiteTooOld") in [(each.participant, each.reason) for each in planned.status.attention]


def test_a_site_that_knows_no_compression_is_too_old_for_a_round_that_has_one() -> None:
    """Its update would not be compressed, and the aggregation could not read it."""
    older = publishing("site-b", [COMPRESSION_SINCE - 1])
    spec: dict[str, Any] = {"initial": None, "base": {"roundName": "train-0"}}
    assert versions.too_old_for(older, federated_round(**spec)) is None
    compressed = federated_round(**spec, aggregation={"compression": "Int8"})
    assert versions.too_old_for(older, compressed) == "SiteTooOld"
    assert versions.too_old_for(publishing("site-b", list(KNOWN)), compressed) is None
    assert versions.too_old_for(publishing("site-b", NEWER), compressed) == "HubTooOld"


@pytest.mark.parametrize(("compression", "asked"), [("None", {"site-a", "site-b"}), ("Int8", {"site-a"})])
def test_a_delivery_of_its_own_is_only_for_sites_that_can_read_the_models_card(
    compression: Compression, asked: set[str]
) -> None:
    """Each site gets one delivery of its own, so a site that is too old gets it after its upgrade."""
    spec = model().spec.round
    made = model()
    made = replace(
        made,
        metadata=replace(made.metadata, namespace=FEDERATION),
        spec=replace(made.spec, round=replace(spec, aggregation=replace(spec.aggregation, compression=compression))),
    )
    sites = (publishing("site-a", list(KNOWN)), publishing("site-b", [COMPRESSION_SINCE - 1]))
    assert askable(made, sites, made.spec.round.aggregation.compression) == asked
