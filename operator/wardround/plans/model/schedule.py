"""Decides when the next series of a model begins, from the cron line of its trigger. Pure: knows no clock.

Around a change of the clocks, times are those of Debian's cron (cron(8)): a start in the hour that is skipped comes at
the first minute after it, and a start in the hour that comes twice comes once, in the first of the two.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from wardround.api.federatedmodel import NextStart, Trigger
from wardround.api.times import read_time, to_seconds

FIELDS = 5


class TriggerInvalid(Exception):
    """`reason`: CronInvalid or TimeZoneUnknown. The text says what is wrong."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def following(trigger: Trigger, known: NextStart | None, now: datetime) -> NextStart | None:
    """The next start; None if the trigger has no cron line. Raises TriggerInvalid.

    One that is known stays, also when it is in the past: a start that was missed is made up for. A changed trigger
    counts from now.
    """
    if trigger.cron is None:
        return None
    if known and (known.cron, known.time_zone) == (trigger.cron, trigger.time_zone) and read_time(known.at):
        return known
    return after(trigger, now)


def after(trigger: Trigger, now: datetime) -> NextStart:
    """The first start after `now` of a trigger with a cron line. Raises TriggerInvalid."""
    cron, time_zone = trigger.cron, trigger.time_zone
    assert cron is not None
    try:
        times = CronSim(_five_fields(cron), now.astimezone(_zone(time_zone)))
        # In the second of two equal hours, the first result may be a time of the first one.
        at = next(time for time in times if time.astimezone(UTC) > now)
    except (CronSimError, StopIteration) as error:
        why = f": {error}" if str(error) else ""
        raise TriggerInvalid("CronInvalid", f"trigger.cron `{cron}` names no time{why}.") from None
    return NextStart(at=to_seconds(at), cron=cron, time_zone=time_zone)


def due(start: NextStart | None, now: datetime) -> bool:
    at = read_time(start.at) if start else None
    return at is not None and now >= at


def _five_fields(cron: str) -> str:
    """Raises CronSimError. A sixth field would be seconds."""
    if len(cron.split()) != FIELDS:
        raise CronSimError("it has not five fields")
    return cron


def _zone(name: str) -> ZoneInfo:
    """Raises TriggerInvalid."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ZoneInfoNotFoundError is a KeyError. A folder of zones gives an OSError.
        raise TriggerInvalid("TimeZoneUnknown", f"trigger.timeZone `{name}` is no time zone.") from None
