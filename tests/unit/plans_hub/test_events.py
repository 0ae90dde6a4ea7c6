"""Which change of conditions is told as an Event, and in whose words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.plans.events import NOTE_BYTES, Event, transitions
from wardround.plans.link_local import CONDITION
from wardround.reasons.registry import POD

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def having(kind: str, reason: str, message: str = "", *, holds: bool = True, before: Conditions = ()) -> Conditions:
    return conditions.set_condition(before, kind, holds, reason, message, now=NOW, generation=1)


def progressing(reason: str, message: str = "said") -> Conditions:
    return conditions.progressing((), reason, message, now=NOW, generation=1)


def stalled(reason: str, message: str = "said") -> Conditions:
    return conditions.stalled((), reason, message, now=NOW, generation=1)


def transition(before: Conditions, after: Conditions) -> Event | None:
    """The one Event of a change, if there is one."""
    written = transitions(before, after)
    assert len(written) <= 1
    return written[0] if written else None


def test_the_same_status_again_is_no_news_even_when_its_message_changes() -> None:
    assert transition(progressing("Collecting", "1 of 3"), progressing("Collecting", "2 of 3")) is None
    assert transition((), ()) is None


def test_the_event_of_a_step_forward_has_the_message_of_the_condition() -> None:
    event = transition(progressing("Dispatched"), progressing("Collecting", "1 of 3 have sent."))
    assert event is not None
    assert (event.type, event.reason, event.action, event.note) == (
        "Normal",
        "Collecting",
        "SetReconciling",
        "1 of 3 have sent.",
    )


def test_a_round_of_a_series_tells_no_step_forward_but_its_end_and_all_that_a_person_has_to_know() -> None:
    asked, collecting = progressing("Dispatched"), progressing("Collecting")
    assert transitions((), asked, steps=False) == transitions(asked, collecting, steps=False) == ()
    for after in (
        progressing("Unschedulable"),
        stalled("ParticipantUnknown"),
        having("Complete", "Complete"),
        having("Failed", "QuorumNotMet"),
        having("Suspended", "Suspended"),
        having("BaseDeleted", "BaseDeleted", before=collecting),
    ):
        assert len(transitions(collecting, after, steps=False)) == 1, after


def test_a_wait_for_a_person_a_failure_and_trouble_on_the_way_are_warnings() -> None:
    for after in (stalled("ParticipantUnknown"), having("Failed", "QuorumNotMet"), progressing("Unschedulable")):
        event = transition((), after)
        assert event is not None
        assert event.type == "Warning"


def test_a_task_that_the_hub_ended_is_no_trouble() -> None:
    event = transition(progressing("Training"), having("Failed", "Cancelled", before=progressing("Training")))
    assert event is not None
    assert (event.type, event.reason) == ("Normal", "Cancelled")


def test_how_it_ended_counts_more_than_all_else() -> None:
    done = having("Complete", "Complete", "Combined.", before=progressing("Aggregating"))
    event = transition(progressing("Aggregating"), done)
    assert event is not None
    assert (event.reason, event.action) == ("Complete", "SetComplete")
    assert transition(done, conditions.settled(done, "Complete", now=NOW, generation=1)) is None


def test_ready_and_no_longer_ready_are_both_told() -> None:
    ready, lost = having("Ready", "Approved"), having("Ready", "HubUnreachable", holds=False)
    assert (there := transition(lost, ready))
    assert there.type == "Normal"
    assert (back := transition(ready, lost))
    assert (back.type, back.reason) == ("Warning", "HubUnreachable")


@pytest.mark.parametrize("reason", sorted(POD))
def test_no_event_has_the_words_of_a_container(reason: str) -> None:
    for after in (having("Failed", reason, "patient 4711"), stalled(reason, "patient 4711")):
        event = transition((), after)
        assert event is not None
        assert "4711" not in event.note
        assert event.note
        # What stands in its place knows no names to fill in.
        assert not re.search(r"[A-Z_]{4,}", event.note)


def test_a_note_is_cut_to_what_the_api_server_takes_without_half_a_letter() -> None:
    event = transition((), stalled("ParticipantUnknown", "é" * 1000))
    assert event is not None
    assert event.note == "é" * (NOTE_BYTES // 2)


def test_a_deleted_base_has_one_event_beside_the_headline() -> None:
    running = progressing("Collecting")
    deleted = having("BaseDeleted", "BaseDeleted", "Round r1 was deleted.", before=running)
    (event,) = transitions(running, deleted)
    assert (event.type, event.reason, event.note) == ("Warning", "BaseDeleted", "Round r1 was deleted.")
    assert transitions(deleted, deleted) == ()
    over = having("Complete", "Complete", before=deleted)
    assert [each.reason for each in transitions(deleted, over)] == ["Complete"]


def test_an_open_link_local_network_is_a_warning_beside_the_sites_headline() -> None:
    ready = having("Ready", "Approved")
    opened = having(CONDITION, "LinkLocalOpen", "Run this.", holds=False, before=ready)
    (event,) = transitions(ready, opened)
    assert (event.type, event.reason, event.action) == ("Warning", "LinkLocalOpen", "SetLinkLocalClosed")
    assert event.note == "Run this."
    assert transitions(opened, opened) == ()
    assert transitions(opened, having(CONDITION, "LinkLocalAbsent", before=opened)) == ()
