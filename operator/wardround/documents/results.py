"""Builds what the hub keeps of a result: its data key, its signed manifest and its server state. No I/O."""

from __future__ import annotations

from wardround.documents import server_states
from wardround.documents.keys import Model
from wardround.plans.round.types import StoredModel
from wardround.sealing.keys import SigningKey
from wardround.sealing.manifests import sign_model
from wardround.wire.aggregation import AggregationPlan, AggregationResult
from wardround.wire.kept_plan import KeptPlan
from wardround.wire.models import ModelManifest


def model(plan: AggregationPlan | KeptPlan, answer: AggregationResult, stored: StoredModel, key: SigningKey) -> Model:
    """The result that the Job of this plan has stored, without a card. `key`: that of the hub."""
    location = stored.result.location
    manifest = ModelManifest(answer.header, answer.digest, answer.segments_digest, location, answer.bytes)
    state = None if stored.state_lost else server_states.made(plan, answer.state, manifest, key)
    return Model(plan.data_key, sign_model(manifest, key), manifest, stored, state=state)
