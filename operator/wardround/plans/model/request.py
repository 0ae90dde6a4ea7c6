"""Decides whether a person asks for another series of a model: by a new value of an annotation. Pure."""

from wardround.api.federatedmodel import FederatedModel, SeriesStatus
from wardround.api.names import BEGIN

# As many as the status can hold.
MOST_CHARACTERS = 256


def request(model: FederatedModel) -> str | None:
    """The value of the annotation; None without one."""
    return model.metadata.annotations.get(BEGIN, "")[:MOST_CHARACTERS] or None


def pending(model: FederatedModel, series: SeriesStatus) -> bool:
    """Whether a person has asked for a series since the newest one began. A series that begins for another reason does
    what people have asked for before."""
    asked = request(model)
    return asked is not None and asked != series.request
