"""Builds the signed assignment and the sealed grants that the hub sends to a site. No I/O; time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wardround.api import federatedround
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import RoundRef
from wardround.api.participant import Participant
from wardround.api.task import TaskSpec, Upload
from wardround.api.times import to_microseconds, to_seconds
from wardround.documents.keys import Identity, Model
from wardround.plans.round.types import Dispatch
from wardround.presign import Presigner
from wardround.sealing.assignments import sign_assignment
from wardround.sealing.body import PART, part_lengths, part_name
from wardround.sealing.grants import seal_grants
from wardround.sealing.keys import SUITE, RecipientKey
from wardround.sealing.wrap import base_context, wrap
from wardround.wire import canonical, versions
from wardround.wire.assignment import (
    AssignedBase,
    AssignedDelivery,
    AssignedReference,
    AssignedSeries,
    Assignment,
    Exchange,
    Quorum,
    Resources,
)
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Get
from wardround.wire.strategy_terms import mixes

GRANT_SECONDS = 3600


@dataclass(frozen=True)
class Recipient:
    """A participant as the recipient of sealed data. The plan has checked that its keys are the approved ones."""

    name: str
    fingerprint: str
    decryption: RecipientKey
    signing: str

    @classmethod
    def from_participant(cls, participant: Participant) -> "Recipient":
        keys = participant.status.site.keys if participant.status.site else None
        if keys is None or participant.spec.key_fingerprint is None:
            raise ValueError(f"participant {participant.metadata.name} has no published keys any more")
        name = participant.metadata.name
        return cls(name, participant.spec.key_fingerprint, RecipientKey.parse(keys.decryption), keys.signing)


def image_digest(federated_round: FederatedRound) -> str:
    """The digest in the round's image reference; empty for Statistics, which runs our own code only."""
    image = federated_round.spec.image
    return image.partition("@")[2] if image else ""


def assigned_quorum(quorum: federatedround.Quorum, aggregation: federatedround.Aggregation | None = None) -> Quorum:
    """The quorum of a round with this aggregation, or of one that adds sums. `min`: the fewest hospitals whose updates
    make up the result."""
    least = mixes(aggregation.strategy, aggregation.parameters, quorum.min) if aggregation else quorum.min
    return Quorum(least, quorum.required, quorum.grace_seconds, on_shortfall=quorum.on_shortfall)


def assigned_resources(resources: federatedround.Resources) -> Resources:
    return Resources(resources.nodes, resources.accelerators_per_node, local_sockets=resources.local_sockets)


def assign(
    federated_round: FederatedRound,
    recipient: Recipient,
    dispatch: Dispatch,
    round_public: bytes,
    base: Model | None,
    identity: Identity,
    now: datetime,
    references: Sequence[Model] = (),
    series: AssignedSeries | None = None,
) -> TaskSpec:
    """The spec of a RoundTask, without grants. `references`: the results of spec.references, in its order. `series`:
    the one of which the round is part."""
    assignment = _assignment(federated_round, recipient, dispatch, round_public, base, now, references, series)
    meta = federated_round.metadata
    return TaskSpec(
        round_ref=RoundRef(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        attempt=dispatch.attempt,
        assignment=sign_assignment(assignment, identity.key),
        hub_key=canonical.encode(identity.public),
    )


def _assignment(
    federated_round: FederatedRound,
    recipient: Recipient,
    dispatch: Dispatch,
    round_public: bytes,
    base: Model | None,
    now: datetime,
    references: Sequence[Model],
    series: AssignedSeries | None,
) -> Assignment:
    spec, meta = federated_round.spec, federated_round.metadata
    return Assignment(
        version=dispatch.version,
        critical=versions.critical(dispatch.version),
        round_uid=meta.uid,
        round_namespace=meta.namespace,
        round_name=meta.name,
        attempt=dispatch.attempt,
        task=spec.task,
        participant=recipient.name,
        site_fingerprint=recipient.fingerprint,
        round_public_key=round_public,
        suite=SUITE,
        image=spec.image or "",
        image_digest=image_digest(federated_round),
        command=spec.command,
        dataset_name=spec.dataset_name,
        parameters=spec.parameters,
        seed=spec.seed,
        exchange=Exchange(spec.exchange.frozen),
        metrics=spec.metrics,
        initial=spec.initial is not None,
        base=_base(federated_round, recipient, dispatch, base),
        roster=dispatch.roster,
        quorum=assigned_quorum(spec.quorum, spec.aggregation),
        resources=assigned_resources(spec.resources),
        wait_seconds=spec.deadlines.queue_seconds + spec.deadlines.start_seconds,
        train_seconds=spec.deadlines.train_seconds,
        upload_seconds=spec.deadlines.upload_seconds,
        issued=to_microseconds(now),
        expires=to_seconds(dispatch.expires),
        state_round=dispatch.state_round,
        schema=dispatch.schema,
        rows=spec.rows,
        threads=spec.resources.threads,
        release=spec.release,
        pushed=tuple(dict.fromkeys(each.stored.pushed for each in (base, *references) if each and each.stored.pushed)),
        references=_references(federated_round, recipient, dispatch, references),
        compression=spec.aggregation.compression,
        model=series.model if series else None,
        delivery=_delivery(federated_round, base),
        evaluation_every=series.evaluation_every if series else 0,
        keyed_digest=True,
        admission_seconds=spec.deadlines.admission_seconds,
    )


def _base(
    federated_round: FederatedRound, recipient: Recipient, dispatch: Dispatch, base: Model | None
) -> AssignedBase | None:
    if base is None:
        return None
    return AssignedBase(base.text, _wrapped_key(federated_round, recipient, dispatch, base))


def _references(
    federated_round: FederatedRound, recipient: Recipient, dispatch: Dispatch, references: Sequence[Model]
) -> tuple[AssignedReference, ...]:
    return tuple(
        AssignedReference(
            round_name=name,
            manifest=each.text,
            wrapped_key=_wrapped_key(federated_round, recipient, dispatch, each),
            image=each.stored.image,
            image_digest=each.stored.image.partition("@")[2],
            command=each.stored.command,
            parameters=each.stored.parameters,
            state_round=state,
        )
        for name, each, state in zip(
            federated_round.spec.references, references, dispatch.reference_states, strict=True
        )
    )


def _wrapped_key(federated_round: FederatedRound, recipient: Recipient, dispatch: Dispatch, sealed: Model) -> bytes:
    """The data key of a model, for the recipient in this attempt of the round only."""
    digest = sealed.manifest.digest
    context = base_context(federated_round.metadata.uid, dispatch.attempt, recipient.name, digest)
    return wrap(sealed.data_key, recipient.decryption, context)


def _delivery(federated_round: FederatedRound, model: Model | None) -> AssignedDelivery | None:
    delivery = federated_round.spec.delivery
    if delivery is None or model is None:
        return None
    return AssignedDelivery(
        model_name=delivery.model_name,
        model_uid=delivery.model_uid,
        version=delivery.version,
        keep=delivery.versions,
        card=model.card,
    )


def fetch(model: Model, presigner: Presigner, now: datetime, seconds: int) -> Get:
    """GET URLs of a model's segment list and parts."""
    location = model.manifest.location
    parts = range(len(part_lengths(model.manifest.header.length)))
    return Get(
        segments=presigner.get(f"{location}/segments", now, seconds),
        parts=tuple(presigner.get(f"{location}/{part_name(i)}", now, seconds) for i in parts),
    )


def uploads(location: str, upload: Upload, presigner: Presigner, now: datetime, seconds: int) -> tuple[Put, ...]:
    """PUT URLs for the part objects of a ciphertext."""
    puts, md5 = [], dict(enumerate(upload.md5))
    for index, length in enumerate(object_lengths(upload.bytes)):
        signed = presigner.put(f"{location}/{part_name(index)}", now, seconds, length, md5.get(index, ""))
        puts.append(Put(url=signed.url, bytes=length, headers=signed.headers))
    return tuple(puts)


def object_lengths(ciphertext_bytes: int) -> list[int]:
    """Bytes of each part object of a ciphertext."""
    whole, rest = divmod(ciphertext_bytes, PART)
    return [PART] * whole + ([rest] if rest else [])


def grant(
    recipient: Recipient,
    round_uid: str,
    attempt: int,
    location: str,
    base: Model | None,
    upload: Upload | None,
    presigner: Presigner,
    now: datetime,
    references: Sequence[Model] = (),
) -> tuple[str, datetime]:
    """Sealed grants as base64, and until when they hold."""
    puts = None if upload is None else uploads(location, upload, presigner, now, GRANT_SECONDS)
    expires = now + timedelta(seconds=GRANT_SECONDS)
    got = fetch(base, presigner, now, GRANT_SECONDS) if base else None
    grants = Grants(
        expires=to_seconds(expires),
        get=got,
        put=puts,
        references=tuple(fetch(each, presigner, now, GRANT_SECONDS) for each in references),
    )
    sealed = seal_grants(grants, recipient.decryption, round_uid=round_uid, attempt=attempt, participant=recipient.name)
    return canonical.encode(sealed), expires
