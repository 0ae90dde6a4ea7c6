"""Decides which hospitals the next round of a model could not ask, and whether the others are enough for it. Pure."""

from collections.abc import Mapping
from datetime import datetime

from wardround.api.federatedmodel import FederatedModel, SeriesStatus
from wardround.api.federatedround import FederatedRound, FederatedRoundSpec
from wardround.api.meta import Meta
from wardround.api.participant import Participant
from wardround.plans.model import series as rounds
from wardround.plans.model.aggregation import aggregation
from wardround.plans.model.types import Absence
from wardround.plans.round.candidates import assess
from wardround.plans.round.dispatch import quorum_impossible
from wardround.plans.round.rulings import sentences
from wardround.plans.round.types import Observation
from wardround.plans.round.view import view_of


def waits_for_hospitals(series: SeriesStatus | None) -> bool:
    """Whether the last round of the series may wait until it can ask all hospitals. An Evaluate round does not: if it
    fails for good, the series goes on without it."""
    return series is not None and series.stage != "Ended" and rounds.last(series).task != "Evaluate"


def absence(model: FederatedModel, participants: Mapping[str, Participant], now: datetime) -> Absence | None:
    """Why the last round of the series cannot ask all hospitals that it selects; None if it can.

    A quorum that no hospitals can meet is left to the round, which fails at once.
    """
    series = model.status.series
    if series is None or not waits_for_hospitals(series):
        return None
    next_round = _round(model, series)
    view = view_of(Observation(round=next_round, participants=participants, schema=None, now=now))
    if quorum_impossible(view) is not None:
        return None
    candidates = assess(view)
    if not (candidates.missing or candidates.awaited):
        return None
    reason, message = candidates.trouble()
    lack = "" if candidates.missing in message else candidates.missing
    return Absence(reason=reason, message=sentences(message, lack), blocks=bool(candidates.missing))


def _round(model: FederatedModel, series: SeriesStatus) -> FederatedRound:
    """As far as it matters for the question which hospitals it asks."""
    template, meta, newest = model.spec.round, model.metadata, rounds.last(series)
    initial = rounds.makes_first_weights(series)
    spec = FederatedRoundSpec(
        task=newest.task,
        dataset_name=template.dataset_name,
        schema_name=model.spec.schema_name,
        participants=template.participants,
        quorum=template.quorum,
        aggregation=aggregation(template.aggregation, newest.task, initial=initial),
    )
    return FederatedRound(metadata=Meta(name=newest.name, namespace=meta.namespace, uid=meta.uid), spec=spec)
