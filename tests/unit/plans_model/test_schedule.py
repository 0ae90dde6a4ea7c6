"""When a series begins, around changes of the clocks too, and what a trigger that names no time says."""

import random
from datetime import UTC, datetime

import pytest

from wardround.api.federatedmodel import NextStart, Trigger
from wardround.plans.model.schedule import TriggerInvalid, after, due, following

BERLIN = "Europe/Berlin"


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def starts(cron: str, zone: str, begin: str, count: int) -> list[str]:
    """So many starts after `begin`, each computed from the one before."""
    now, times = time(begin), []
    for _ in range(count):
        times.append(after(Trigger(cron=cron, time_zone=zone), now).at)
        now = time(times[-1])
    return times


def test_a_start_is_at_the_time_of_its_zone() -> None:
    assert starts("0 2 * * 1", BERLIN, "2026-11-28T12:00:00Z", 2) == ["2026-11-30T01:00:00Z", "2026-12-07T01:00:00Z"]
    assert starts("0 2 * * 1", "Etc/UTC", "2026-11-28T12:00:00Z", 1) == ["2026-11-30T02:00:00Z"]


def test_in_the_skipped_hour_a_start_comes_once_right_after_it() -> None:
    """On 29 March 2026, 02:00 in Berlin is 03:00."""
    assert starts("30 2 * * *", BERLIN, "2026-03-28T00:00:00Z", 3) == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]


def test_in_the_repeated_hour_a_start_comes_once() -> None:
    """On 25 October 2026, 03:00 in Berlin is 02:00 again."""
    assert starts("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", 2) == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]


@pytest.mark.parametrize("minute", range(0, 60, 5))
def test_a_start_is_never_in_the_past_in_the_second_of_two_equal_hours(minute: int) -> None:
    now = time(f"2026-10-25T01:{minute:02}:00Z")
    assert after(Trigger(cron="30 2 * * *", time_zone=BERLIN), now).at == "2026-10-26T01:30:00Z"


def test_a_line_for_each_hour_counts_both_equal_hours() -> None:
    times = starts("0 * * * *", BERLIN, "2026-10-24T23:30:00Z", 3)
    assert times == ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]


def test_a_missed_start_stays_and_is_due() -> None:
    trigger = Trigger(cron="0 2 * * 1", time_zone=BERLIN)
    first = following(trigger, None, time("2026-11-28T12:00:00Z"))
    later = time("2026-12-24T12:00:00Z")
    assert following(trigger, first, later) == first
    assert due(first, later)
    assert not due(first, time("2026-11-30T00:59:59Z"))
    assert not due(None, later)


def test_a_changed_trigger_counts_from_now() -> None:
    known = NextStart(at="2026-01-01T00:00:00Z", cron="0 0 1 1 *", time_zone="Etc/UTC")
    changed = following(Trigger(cron="0 3 * * *"), known, time("2026-11-28T12:00:00Z"))
    assert changed == NextStart(at="2026-11-29T03:00:00Z", cron="0 3 * * *", time_zone="Etc/UTC")


@pytest.mark.parametrize(
    "cron",
    ["", "soon", "0 2 * *", "0 2 * * 1 2026", "61 2 * * 1", "0 2 31 2 *", "@daily", "*/0 * * * *", "5L/2 * * * *"],
)
def test_a_line_that_names_no_time_is_told(cron: str) -> None:
    with pytest.raises(TriggerInvalid) as refusal:
        after(Trigger(cron=cron), time("2026-11-28T12:00:00Z"))
    assert refusal.value.reason == "CronInvalid"
    assert cron in str(refusal.value)


@pytest.mark.parametrize("zone", ["Mars", "Europe", "../etc/passwd", "/etc/passwd", "", "Europe/Berlin\x00"])
def test_an_unknown_time_zone_is_told(zone: str) -> None:
    with pytest.raises(TriggerInvalid) as refusal:
        after(Trigger(cron="0 2 * * *", time_zone=zone), time("2026-11-28T12:00:00Z"))
    assert refusal.value.reason == "TimeZoneUnknown"


def test_any_text_is_a_line_or_is_refused() -> None:
    draw = random.Random(7)
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    for _ in range(3000):
        fields = ["".join(draw.choices("0123456789*/-,L#W ", k=draw.randint(1, 5))) for _ in range(5)]
        try:
            assert time(after(Trigger(cron=" ".join(fields), time_zone=BERLIN), now).at) > now
        except TriggerInvalid:
            continue
