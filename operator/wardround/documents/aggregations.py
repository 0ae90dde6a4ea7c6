"""Builds the plan that an aggregation Job reads (docs/contracts.md, section 7). No I/O; time is passed in."""

import math
from datetime import datetime

from wardround.api import names
from wardround.api.federatedround import FederatedRound, Gate
from wardround.api.site import LEAST_CELL
from wardround.documents import server_states
from wardround.documents.assignments import fetch, image_digest, object_lengths
from wardround.documents.keys import Model
from wardround.documents.update_list import URL_SECONDS
from wardround.manifests.aggregation import ACTIVE_SECONDS, AggregationJob
from wardround.plans.round.counted import attempt, max_samples
from wardround.plans.round.types import Aggregate, Observation
from wardround.presign import Presigner, SignedPut
from wardround.sealing.body import ciphertext_length, new_file_key, part_name
from wardround.sealing.keys import DecryptionKey
from wardround.wire import codec
from wardround.wire.aggregation import (
    AggregationPlan,
    PlannedBase,
    PlannedGate,
    PlannedList,
    PlannedRound,
    PlannedUpload,
    PlannedUploads,
    StoreAccess,
)
from wardround.wire.compression import NONE, Compression


def job(
    federated_round: FederatedRound, action: Aggregate, *, namespace: str, image: str, now: datetime
) -> AggregationJob:
    """The aggregation's Job. Kubernetes ends it at the round's deadline, also if the hub operator does not run then."""
    meta = federated_round.metadata
    left = math.ceil((action.until - now).total_seconds())
    longest = ACTIVE_SECONDS + (action.collects.seconds if action.collects else 0)
    return AggregationJob(
        namespace=namespace,
        round_namespace=meta.namespace,
        round_name=meta.name,
        round_uid=meta.uid,
        number=action.number,
        failures=action.failures,
        given=None if action.collects else frozenset(map(attempt, action.tasks)),
        earlier=action.earlier,
        image=image,
        active_seconds=min(max(left, 1), longest),
        scratch_bytes=action.scratch.bytes,
    )


def plan(
    seen: Observation,
    action: Aggregate,
    key: DecryptionKey,
    base: Model | None,
    listed: PlannedList,
    *,
    presigner: Presigner,
    store: StoreAccess,
    now: datetime,
    least_cell: int = LEAST_CELL,
) -> bytes:
    """`plan.json`, with a fresh data key for the result. `listed`: the updates, in the store (UpdateList). `presigner`
    and `store`: the store as the hub reaches it."""
    federated_round, spec, uid = seen.round, seen.round.spec, seen.round.metadata.uid
    trained = base if spec.task == "Train" and spec.initial is None else None
    location = names.model_location(uid, action.number)
    parts = range(len(object_lengths(_largest(action, trained, spec.aggregation.compression))))
    url_seconds = URL_SECONDS + (action.collects.seconds if action.collects else 0)
    document = AggregationPlan(
        round=PlannedRound(uid),
        task=spec.task,
        strategy=spec.aggregation.strategy,
        weighting=spec.aggregation.weighting,
        max_weight_share=spec.aggregation.max_weight_share,
        parameters=spec.aggregation.parameters,
        max_samples=max_samples(seen, action.tasks),
        metrics=spec.metrics,
        specificity=spec.specificity,
        least_cell=least_cell,
        references=spec.references,
        gate=_gate(spec.gate, base),
        private_key=key.raw,
        data_key=new_file_key(),
        image_digest=image_digest(federated_round),
        initial=spec.initial is not None,
        frozen=spec.exchange.frozen if spec.task == "Train" else (),
        compression=spec.aggregation.compression,
        location=location,
        reads_twice=action.scratch.reads_twice,
        anticipates=action.scratch.anticipates,
        base_digest=_base_digest(federated_round, base),
        base=_base(trained, presigner, now, url_seconds) if trained else None,
        listed=listed,
        put=PlannedUploads(
            parts=tuple(_put(presigner.put(f"{location}/{part_name(i)}", now, url_seconds)) for i in parts),
            segments=_put(presigner.put(f"{location}/segments", now, url_seconds)),
        ),
        state=server_states.planned(
            federated_round, action.number, image_digest(federated_round), trained, presigner, now, url_seconds
        ),
        store=store,
    )
    return codec.write_document(document)


def _largest(action: Aggregate, trained: Model | None, compression: Compression) -> int:
    """Bytes of ciphertext that a result can have: as many as its base, or the largest update that is not compressed."""
    if trained and compression != NONE:
        return ciphertext_length(trained.manifest.header.length)
    if action.collects:
        return action.collects.largest
    return max((task.status.upload.bytes for task in action.tasks if task.status.upload), default=0)


def _gate(gate: Gate | None, base: Model | None) -> PlannedGate | None:
    return PlannedGate(gate.min_events, base.stored.samples if base else {}) if gate else None


def _base_digest(federated_round: FederatedRound, base: Model | None) -> str | None:
    """The base that each update must name; None in an initial round, where the sites' digests must agree."""
    if federated_round.spec.initial is not None:
        return None
    return base.manifest.digest if base else ""


def _base(base: Model, presigner: Presigner, now: datetime, seconds: int) -> PlannedBase:
    return PlannedBase(base.manifest, base.data_key, fetch(base, presigner, now, seconds))


def _put(upload: SignedPut) -> PlannedUpload:
    return PlannedUpload(upload.url, upload.headers)
