"""Decides how many training patients the hospitals of a model tell, and whether a new series is due. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from wardround.api.federatedmodel import FederatedModel, SeriesStatus
from wardround.api.participant import Participant
from wardround.api.times import read_time
from wardround.plans.model.selection import selects

# The time from the begin of a series to the begin of the next one for new patients. Nobody can check the number that a
# hospital states, and each series costs evaluations of all hospitals: by default, each has 20 in 30 days.
PAUSE = timedelta(days=7)


def training_patients(model: FederatedModel, participants: Iterable[Participant]) -> int | None:
    """The sum over the hospitals that the model's rounds select. None if no hospital tells a number."""
    name = model.spec.round.dataset_name
    numbers = [
        offered.training_patients
        for each in participants
        if selects(model, each) and not each.spec.suspend and each.status.site is not None
        for offered in each.status.site.datasets or ()
        if offered.name == name and offered.training_patients is not None
    ]
    return sum(numbers) if numbers else None


def enough(model: FederatedModel, series: SeriesStatus, patients: int | None, now: datetime) -> bool:
    """Whether there are so many new patients that the next series is due."""
    trigger, begin = model.spec.trigger, earliest(series)
    if trigger is None or trigger.new_patients is None or patients is None or series.training_patients is None:
        return False
    if begin is not None and now < begin:
        return False
    return patients - series.training_patients >= trigger.new_patients


def earliest(series: SeriesStatus) -> datetime | None:
    """The time before which new patients begin no further series."""
    started = read_time(series.started)
    return started + PAUSE if started else None


def first_number(series: SeriesStatus, patients: int | None) -> int | None:
    """The number with which later ones are compared: that at the begin of the series, or else the first that the
    hospitals tell."""
    return patients if series.training_patients is None else series.training_patients
