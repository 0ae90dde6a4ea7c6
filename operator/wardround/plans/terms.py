"""The terms of a series, and of all series of a sweep, as they stand in an Approval: their text, and back. Pure.

An Approval holds one text. Each fact has one spelling, so two texts are equal only if they ask for the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from wardround.wire import canonical, codec, digests
from wardround.wire.assignment import (
    DIGEST,
    LABEL,
    NAME,
    PARAMETER,
    RELEASE,
    UID,
    VALUE,
    AssignedPushed,
    AssignedSchedule,
    Assignment,
    Quorum,
    Resources,
)
from wardround.wire.compression import Compression

# The longest `spec.terms`, in bytes.
LONGEST_TERMS = 65536
# Models of one sweep.
MOST_MODELS = 32


@dataclass(frozen=True, kw_only=True)
class CommonTerms:
    """What the series of a sweep have in common. `schema`: digest of the DataSchema. `pushed`: the weights that people
    have pushed and from which the tasks start, or the model was made that they start from."""

    federation: Annotated[str, LABEL]
    series: int
    rounds: int
    tasks: tuple[str, ...]
    image: str
    command: tuple[str, ...]
    parameters: Mapping[str, str]
    schedules: tuple[AssignedSchedule, ...]
    dataset_name: str
    schema: Annotated[str, DIGEST]
    frozen: tuple[str, ...]
    metrics: tuple[str, ...]
    quorum: Quorum
    evaluation_quorum: Quorum
    resources: Resources
    release: Annotated[str, RELEASE]
    pushed: tuple[AssignedPushed, ...]
    compression: Compression
    evaluation_every: int


@dataclass(frozen=True, kw_only=True)
class SeriesTerms(CommonTerms):
    """What a person approves: all that the tasks of a series ask for."""

    model_name: str
    model_uid: str


@dataclass(frozen=True, kw_only=True)
class SweptModel:
    """A model of a sweep. `values`: of the parameters that vary."""

    name: Annotated[str, NAME]
    uid: Annotated[str, UID]
    values: Mapping[Annotated[str, PARAMETER], Annotated[str, VALUE]]


@dataclass(frozen=True, kw_only=True)
class SweepTerms(CommonTerms):
    """What a person approves of a sweep: its models, which differ only in the values of parameters. `parameters`: those
    that are equal in all models. `models`: by UID."""

    models: tuple[SweptModel, ...]


def series_terms(assignment: Assignment) -> SeriesTerms | None:
    """The terms of the series that the task belongs to; None for a round that a person has made."""
    model = assignment.model
    if model is None:
        return None
    return SeriesTerms(
        federation=assignment.round_namespace,
        model_name=model.name,
        model_uid=model.uid,
        series=model.series,
        rounds=model.rounds,
        tasks=model.tasks,
        image=model.image,
        command=model.command,
        parameters=model.parameters,
        schedules=model.schedules,
        dataset_name=assignment.dataset_name,
        schema=assignment.schema.digest,
        frozen=model.frozen,
        metrics=model.metrics,
        quorum=model.quorum,
        evaluation_quorum=model.evaluation_quorum,
        resources=model.resources,
        release=assignment.release,
        pushed=tuple(sorted(assignment.pushed, key=lambda each: (each.digest, each.requested_by))),
        compression=model.compression,
        evaluation_every=assignment.evaluation_every,
    )


def text(terms: SeriesTerms | SweepTerms) -> str:
    """The one spelling of the terms, as it stands in an Approval."""
    return codec.write_document(terms).decode()


def digest(terms_text: str) -> str:
    return digests.digest(terms_text.encode())


def read(terms_text: str) -> tuple[SeriesTerms, ...]:
    """The series that a text of terms is about; none if it is not the one spelling of terms."""
    try:
        document = canonical.loads(terms_text.encode())
        if not isinstance(document, dict) or "models" not in document:
            return (codec.parse_document(SeriesTerms, document),)
        swept = codec.parse_document(SweepTerms, document)
    except ValueError:
        return ()
    series = _series(swept)
    return series if sweep_terms(series) == swept else ()


def named_models(terms_text: str) -> frozenset[tuple[str, str]] | None:
    """The models that an Approval with this text is about, as (federation, UID). None if the text names none.

    Other fields do not matter, in any spelling of JSON: a denial that another version of Wardround has written stays a
    denial.
    """
    try:
        document = json.loads(terms_text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    models = document.get("models", [])
    if not isinstance(models, list) or not all(isinstance(each, dict) for each in models):
        return None
    own = [document["modelUID"]] if "modelUID" in document else []
    federation: Any = document.get("federation")
    uids: list[Any] = [*own, *(each.get("uid") for each in models)]
    named = bool(uids) and all(isinstance(each, str) and each for each in (federation, *uids))
    return frozenset((federation, uid) for uid in uids) if named else None


@lru_cache(maxsize=64)
def texts(terms_text: str) -> frozenset[str]:
    """The texts of the single series that a text of terms is about."""
    return frozenset(text(each) for each in read(terms_text))


def sweep_terms(series: Collection[SeriesTerms]) -> SweepTerms | None:
    """The terms of these series together. None unless these are series of 2 to MOST_MODELS models that differ only in
    the values of the same parameters. People know a model by its name, so two models of one name are no sweep."""
    by_uid = sorted(series, key=lambda each: each.model_uid)
    different = len({each.model_uid for each in by_uid}), len({each.model_name for each in by_uid})
    if different != (len(by_uid), len(by_uid)) or not 2 <= len(by_uid) <= MOST_MODELS:
        return None
    if len({alike(each) for each in by_uid}) > 1:
        return None
    varied = varied_parameters(by_uid)
    common = {name: value for name, value in by_uid[0].parameters.items() if name not in varied}
    models = tuple(
        SweptModel(name=each.model_name, uid=each.model_uid, values={name: each.parameters[name] for name in varied})
        for each in by_uid
    )
    return SweepTerms(**_fields(by_uid[0]) | {"parameters": common}, models=models)


def alike(series: SeriesTerms) -> str:
    """A text that is equal for series that may belong to one sweep."""
    names = dict.fromkeys(series.parameters, "")
    return text(dataclasses.replace(series, model_name="", model_uid="", parameters=names))


def varied_parameters(series: Sequence[SeriesTerms]) -> tuple[str, ...]:
    """Names of the parameters whose values are not the same in all of these series, which have the same names."""
    return tuple(name for name in sorted(series[0].parameters) if len({each.parameters[name] for each in series}) > 1)


def covers(terms_text: str, series: SeriesTerms) -> bool:
    """Whether a text of terms is about a series with exactly these terms."""
    return text(series) in texts(terms_text)


def differing(one: SeriesTerms, other: SeriesTerms) -> tuple[str, ...]:
    """Names of the terms in which two series differ, as they stand in `spec.terms`."""
    mine, theirs = codec.dump_document(one), codec.dump_document(other)
    return tuple(name for name in mine if mine[name] != theirs[name])


def _series(swept: SweepTerms) -> tuple[SeriesTerms, ...]:
    common = _fields(swept)
    return tuple(
        SeriesTerms(
            **common | {"parameters": {**swept.parameters, **each.values}}, model_name=each.name, model_uid=each.uid
        )
        for each in swept.models
    )


def _fields(terms: CommonTerms) -> dict[str, Any]:
    return {each.name: getattr(terms, each.name) for each in dataclasses.fields(CommonTerms)}
