"""Plans, signs and opens the state of a server optimizer, which lies beside a round's result. No I/O, no clock.

Nothing here is for a hospital or for a reader of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wardround.api import names
from wardround.api.federatedround import FederatedRound
from wardround.documents.keys import Model, ServerState
from wardround.plans.round.server_state import Going, going_on
from wardround.presign import Presigner
from wardround.sealing.body import KEY_BYTES, SERVER_STATE, new_file_key, new_header, part_lengths, part_name
from wardround.sealing.keys import SigningKey, VerificationKey
from wardround.sealing.manifests import open_state, sign_state
from wardround.sealing.refused import Refused
from wardround.wire.aggregation import (
    AggregationPlan,
    PlannedMoment,
    PlannedStart,
    PlannedState,
    PlannedUpload,
    PlannedUploads,
)
from wardround.wire.kept_plan import KeptMoment, KeptPlan
from wardround.wire.models import Get, ModelManifest
from wardround.wire.server_state import StateManifest, StateMoment
from wardround.wire.strategy_terms import moments


def planned(
    federated_round: FederatedRound,
    number: int,
    image_digest: str,
    base: Model | None,
    presigner: Presigner,
    now: datetime,
    seconds: int,
) -> PlannedState | None:
    """The state in a plan: fresh keys and places for the moments of the result, and those of the base if the optimizer
    goes on from them. None if the strategy has no server optimizer."""
    count = moments(federated_round.spec.aggregation.strategy)
    if count == 0 or base is None:
        return None
    made = (
        _planned_moment(federated_round, number, index, image_digest, base, presigner, now, seconds)
        for index in range(count)
    )
    return PlannedState(tuple(made), _start(federated_round, base, presigner, now, seconds))


def _planned_moment(
    federated_round: FederatedRound,
    number: int,
    index: int,
    image_digest: str,
    base: Model,
    presigner: Presigner,
    now: datetime,
    seconds: int,
) -> PlannedMoment:
    key, uid = new_file_key(), federated_round.metadata.uid
    header = new_header(
        key,
        kind=SERVER_STATE,
        round_uid=uid,
        attempt=1,
        participant="",
        base_digest=base.manifest.digest,
        image_digest=image_digest,
        schema_digest=base.manifest.header.schema_digest,
        length=base.manifest.header.length,
    )
    location = names.moment_location(uid, number, index)

    def put(name: str) -> PlannedUpload:
        upload = presigner.put(f"{location}/{name}", now, seconds)
        return PlannedUpload(upload.url, upload.headers)

    parts = tuple(put(part_name(each)) for each in range(len(part_lengths(header.length))))
    return PlannedMoment(key, header, location, PlannedUploads(parts, put("segments")))


def _start(
    federated_round: FederatedRound, base: Model, presigner: Presigner, now: datetime, seconds: int
) -> PlannedStart | None:
    state = base.state
    if state is None or going_on(federated_round.spec, state.manifest) is not Going.CONTINUED:
        return None

    def get(moment: StateMoment) -> Get:
        parts = range(len(part_lengths(moment.header.length)))
        return Get(
            segments=presigner.get(f"{moment.location}/segments", now, seconds),
            parts=tuple(presigner.get(f"{moment.location}/{part_name(each)}", now, seconds) for each in parts),
        )

    return PlannedStart(state.manifest, state.data_keys, tuple(map(get, state.manifest.moments)))


def made(
    plan: AggregationPlan | KeptPlan, segments_digests: tuple[str, ...], result: ModelManifest, key: SigningKey
) -> ServerState | None:
    """The state that an aggregation has stored with its result; None without a server optimizer.

    `segments_digests`: of the answer.
    """
    if plan.state is None:
        return None
    uploaded: Sequence[PlannedMoment | KeptMoment] = plan.state.moments
    stored = tuple(zip(uploaded, segments_digests, strict=True))
    manifest = StateManifest(
        result_digest=result.digest,
        strategy=plan.strategy,
        parameters=plan.parameters,
        frozen=tuple(sorted(plan.frozen)),
        moments=tuple(StateMoment(each.header, digest, each.location) for each, digest in stored),
    )
    keys = tuple(each.data_key for each in uploaded)
    return ServerState(keys, sign_state(manifest, key), manifest)


def opened(text: str, data_keys: bytes, result: ModelManifest, key: VerificationKey) -> ServerState:
    """The state that the hub keeps for a result. `data_keys`: one after the other. Raises Refused if this hub has not
    signed it for this result."""
    manifest = open_state(text, key)
    keys = tuple(data_keys[start : start + KEY_BYTES] for start in range(0, len(data_keys), KEY_BYTES))
    expected = (result.header.round_uid, result.header.schema_digest, result.header.length)
    headers = {(each.header.round_uid, each.header.schema_digest, each.header.length) for each in manifest.moments}
    if manifest.result_digest != result.digest or headers != {expected} or len(keys) != len(manifest.moments):
        raise Refused("ManifestUnreadable")
    return ServerState(keys, text, manifest)
