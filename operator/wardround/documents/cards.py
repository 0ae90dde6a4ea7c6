"""Builds the card of a model when a round has made it, and its next revision when a round has measured it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from wardround.api.dataschema import DataSchemaSpec, SchemaField
from wardround.api.federatedround import DEFAULT_COMMAND, FederatedRound, Result, Task
from wardround.api.modelpush import ModelPush
from wardround.api.modelversion import VersionCard
from wardround.api.times import to_seconds
from wardround.documents.keys import Identity, Model
from wardround.metrics.digits import rounded_count
from wardround.plans.push import ExaminedFile, hidden
from wardround.plans.round.types import StoredModel
from wardround.sealing.cards import open_card
from wardround.tabular import dataschema
from wardround.wire import card, codec, digests
from wardround.wire.assignment import AssignedSchema
from wardround.wire.card import CardField, CardMetric, CardParent, ModelCard
from wardround.wire.compression import NONE
from wardround.wire.envelope import Envelope
from wardround.wire.models import ModelManifest

# As the built-in trainer's (wardround_trainer/parameters.py).
DEFAULT_HIDDEN = (32, 16)
WIDEST_DIGITS = len("65536")
# The task of a parent that a person has pushed.
PUSHED = "Pushed"


@dataclass(frozen=True, kw_only=True)
class Making:
    """A Train round that has made a model. `base`: the result that it started from, with its card, if it is a model.

    `hospital_names`: the hospitals that the card may name. `schema`: `spec` of the round's DataSchema as it stands in
    the API, None if it is gone or has changed.
    """

    round: FederatedRound
    stored: StoredModel
    manifest: ModelManifest
    base: Model | None
    base_card: ModelCard | None
    hospital_names: tuple[str, ...]
    schema_digest: str
    schema: Mapping[str, Any] | None


def first(making: Making, now: datetime) -> ModelCard:
    """The first revision of a model's card."""
    meta, stored, manifest = making.round.metadata, making.stored, making.manifest
    use = making.round.spec.card
    parents, omitted = _parents(making)
    compression = stored.result.compression or NONE
    return ModelCard(
        version=card.version(compression, making.hospital_names),
        revision=1,
        issued=to_seconds(now),
        round_namespace=meta.namespace,
        round_name=meta.name,
        round_uid=meta.uid,
        model=card.CardModel(
            digest=manifest.digest, bytes=manifest.header.length, schema_digest=manifest.header.schema_digest
        ),
        fields=_fields(making.schema) if making.schema is not None else None,
        data_schema_digest=making.schema_digest,
        columns_digest=stored.result.columns_digest or "",
        architecture=_architecture(making),
        code=card.CardCode(image=stored.image, command=stored.command, parameters=stored.parameters),
        parents=parents,
        parents_omitted=omitted,
        hospitals=len(stored.aggregated),
        people=rounded_count(stored.result.samples),
        metrics=(),
        use=card.CardUse(intended_use=use.intended_use, limits=use.limits, licence=use.licence, contact=use.contact),
        release=stored.release,
        compression=compression,
        hospital_names=making.hospital_names,
    )


def pushed(
    push: ModelPush,
    manifest: ModelManifest,
    examined: ExaminedFile,
    schema: AssignedSchema,
    schema_spec: Mapping[str, Any],
    now: datetime,
) -> ModelCard:
    """The first revision of the card of a pushed model. No hospital has trained it here, so the card names none."""
    meta, fields = push.metadata, _fields(schema_spec)
    widths = hidden(examined.tensors, sum(each.role == "Feature" for each in fields))
    return ModelCard(
        version=card.version(NONE),
        revision=1,
        issued=to_seconds(now),
        round_namespace=meta.namespace,
        round_name=meta.name,
        round_uid=meta.uid,
        model=card.CardModel(
            digest=manifest.digest, bytes=manifest.header.length, schema_digest=manifest.header.schema_digest
        ),
        fields=fields,
        data_schema_digest=schema.digest,
        columns_digest=schema.columns_digest,
        architecture=None if widths is None else card.CardArchitecture(hidden=widths),
        code=card.CardCode(image="", command=(), parameters={}),
        parents=(),
        parents_omitted=0,
        hospitals=0,
        people=0,
        metrics=(),
        use=card.CardUse(),
        release="Readers",
    )


def measured(before: ModelCard, result: Result, round_name: str, task: Task, now: datetime) -> ModelCard | None:
    """The next revision, with the numbers that this round's result has of the model; None if that changes nothing.

    A newer number replaces one of the same name over the same rows, unless it is over fewer hospitals: with these, one
    hospital and an author would replace the numbers of a whole federation. A Train round that starts from the model
    only adds numbers: a hospital may have other labels by then, and nobody chose to measure this model again.
    """
    known = {(each.name, each.rows): each for each in before.metrics}
    new = {
        (each.name, each.rows): CardMetric(
            name=each.name,
            value=each.value,
            low=each.low,
            high=each.high,
            better=each.better,
            people=each.people,
            hospitals=each.hospitals,
            rows=each.rows,
            round_name=round_name,
        )
        for each in result.metrics
        if each.model == before.round_name
    }
    kept = {key for key in new if key in known and (task == "Train" or new[key].hospitals < known[key].hospitals)}
    merged = tuple((known | {key: each for key, each in new.items() if key not in kept}).values())
    if merged == before.metrics:
        return None
    return replace(before, revision=before.revision + 1, issued=to_seconds(now), metrics=merged)


def without_names(signed: ModelCard) -> ModelCard:
    """The card for a site that knows no cards with names. It has the lowest version that can say the rest."""
    return replace(signed, version=card.version(signed.compression), hospital_names=())


def shown(text: str, identity: Identity) -> VersionCard:
    """What a ModelVersion says of this signed card. Raises Refused."""
    signed = open_card(text, identity.key.public_key())
    payload = codec.read_document(Envelope, text).payload
    return VersionCard(digest=digests.digest(payload), revision=signed.revision, signed_by=identity.fingerprint)


def _fields(spec: Mapping[str, Any]) -> tuple[CardField, ...]:
    """`spec`: valid, as `tabular.dataschema` reads it."""
    features = {each.field.name for each in dataschema.parse(spec).features}
    described = codec.parse(DataSchemaSpec, spec)
    return tuple(_field(each, described.target, features) for each in described.fields)


def _field(field: SchemaField, target: str, features: set[str]) -> CardField:
    role: card.Role = "Target" if field.name == target else "Feature" if field.name in features else "Ignored"
    return CardField(
        name=field.name,
        type=field.type,
        role=role,
        gap="NoPrediction" if role == "Feature" or (role == "Ignored" and field.required) else "Allowed",
        unit=field.unit or "",
        minimum=field.minimum,
        maximum=field.maximum,
        required=field.required is True,
        categories=field.categories or (),
    )


def _architecture(making: Making) -> card.CardArchitecture | None:
    """The built-in trainer's architecture. None if the parameters are not those of this trainer: another image has made
    the model.

    Later rounds may leave out `model` and `hidden`, because the base says it.
    """
    if making.stored.command != DEFAULT_COMMAND:
        return None
    given = {name: text.strip() for name, text in making.stored.parameters.items()}
    if making.round.spec.initial is None and not given.keys() & {"model", "hidden"}:
        return making.base_card.architecture if making.base_card else None
    if given.get("model", "mlp") not in ("logistic", "mlp"):
        return None
    if given.get("model") == "logistic":
        return card.CardArchitecture(hidden=())
    widths = [each.strip() for each in given.get("hidden", "").split(",") if each.strip()]
    if not all(each.isascii() and each.isdigit() and len(each) <= WIDEST_DIGITS for each in widths):
        return None
    return card.CardArchitecture(hidden=tuple(map(int, widths)) or DEFAULT_HIDDEN)


def _parents(making: Making) -> tuple[tuple[CardParent, ...], int]:
    base, earlier = making.base, making.base_card
    if base is None:
        return (), 0
    header, source = base.manifest.header, making.round.spec
    name = source.base.name if source.base else source.initial.statistics_round_name if source.initial else ""
    task = PUSHED if source.base and source.base.version_name else base.stored.task
    parent = CardParent(task=task, round_name=name or "", round_uid=header.round_uid, digest=base.manifest.digest)
    line = (parent, *(earlier.parents if earlier else ()))
    omitted = earlier.parents_omitted if earlier else 0
    if len(line) <= card.MOST_PARENTS:
        return line, omitted
    # The first ancestor stays: a reader sees where the model comes from, for example from weights that a person pushed.
    return (*line[: card.MOST_PARENTS - 1], line[-1]), omitted + len(line) - card.MOST_PARENTS
