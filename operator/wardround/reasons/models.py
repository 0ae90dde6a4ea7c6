"""What a model of a series waits for, and why it does not go on."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import NOBODY, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_author = partial(Reason, owner=ROUND)

MODELS = (
    _nobody(
        name="SeriesStatistics",
        meaning="The series begins with a Statistics round, which waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesTraining",
        meaning="A Train round of the series waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEvaluating",
        meaning="The Evaluate round of the series waits or runs. It measures the last model.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesRetrying",
        meaning="A round of the series has failed. The hub operator makes another one in its place.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEnded",
        meaning="The series has ended, and its best model is a ModelVersion.",
        action="Nothing to do.",
    ),
    _nobody(name="VersionReady", meaning="The version has a result and its numbers.", action="Nothing to do."),
    _nobody(name="VersionCurrent", meaning="The model has a current version.", action="Nothing to do."),
    _nobody(name="NoVersionYet", meaning="The model has no version before its first series ends.", action="Wait."),
    _author(
        name="SeriesRoundFailed",
        meaning="A round of the series has failed as often as series.onFailure.retries allows.",
        action="Change what was wrong in the spec of the FederatedModel. The hub operator then tries the round again. "
        "If nothing was wrong with the spec, change any of its fields, such as series.onFailure.retries.",
    ),
    _author(
        name="NameTaken",
        meaning="Another object has the name that the hub operator needs.",
        action="Delete that object, or apply the FederatedModel under another name.",
    ),
    _author(
        name="ResultGone",
        meaning="The round that made the best model of the series is gone, or it has no result.",
        action="Apply a new FederatedModel. Its rounds stay as long as nobody deletes them.",
    ),
)
