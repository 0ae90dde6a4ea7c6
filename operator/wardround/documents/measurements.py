"""Builds the spec of a round that measures a version outside its series. Pure.

The command line needs it too, so it must not know signatures and stores.
"""

from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import Base, FederatedRound, FederatedRoundSpec
from wardround.plans.model.aggregation import aggregation
from wardround.wire.strategy_terms import evaluated


def measurement(model: FederatedModel, made_by: FederatedRound) -> FederatedRoundSpec:
    """An Evaluate round that measures the model of the round `made_by` on validation rows, and has no gate. The code is
    that of this round: the model's spec may have changed since."""
    template, code = model.spec.round, made_by.spec
    return FederatedRoundSpec(
        task="Evaluate",
        dataset_name=template.dataset_name,
        schema_name=model.spec.schema_name,
        participants=template.participants,
        image=code.image,
        command=code.command,
        parameters=code.parameters,
        metrics=evaluated(template.metrics),
        quorum=model.spec.evaluation.quorum or template.quorum,
        deadlines=template.deadlines,
        resources=template.resources,
        aggregation=aggregation(template.aggregation, "Evaluate", initial=False),
        retry_limit=template.retry_limit,
        release=model.spec.release,
        base=Base(round_name=made_by.metadata.name),
    )
