"""Rules of a Deliver round, which brings a model to its hospitals: nothing is collected, and nothing is combined."""

from dataclasses import dataclass

from wardround.api.federatedround import FederatedRound
from wardround.plans.round.parts import PartState
from wardround.plans.round.rulings import advice, failed, list_of, not_done, sentences
from wardround.plans.round.status import COLLECTED
from wardround.plans.round.types import Ruling
from wardround.plans.round.view import View, hospitals, shortfall


@dataclass(frozen=True)
class Predicate:
    """What a hospital does in a round, for sentences."""

    infinitive: str
    past: str


SENDS, RECEIVES = Predicate("send", "sent an update"), Predicate("get the model", "got the model")


def predicate(federated_round: FederatedRound) -> Predicate:
    return RECEIVES if federated_round.spec.task == "Deliver" else SENDS


def delivery_not_ready(view: View) -> Ruling | None:
    """Fails a Deliver round whose model has no card, or combines fewer hospitals than its round asked for."""
    model = view.seen.base_model
    if view.round.spec.task != "Deliver" or model is None:
        return None
    if not view.seen.base_card:
        return _refused(view, "DeliveryWithoutCard")
    if len(model.aggregated) < model.quorum:
        return _refused(view, "DeliveryTooFewHospitals")
    return None


def delivered(view: View) -> Ruling:
    """All hospitals have the model, or time is up."""
    received = view.having(PartState.SENT)
    late = list_of("Without the model", not_done(view, received))
    missing = shortfall(view, [part.name for part in received], f"{RECEIVES.past} in time")
    if missing:
        return failed(view, "QuorumNotMet", sentences(missing, late))
    delivery = view.round.spec.delivery
    version = f"version {delivery.version} of model {delivery.model_name}" if delivery else "the model"
    return Ruling(
        course="Complete",
        reason="Complete",
        message=sentences(f"{hospitals(len(received))} got {version}.", late),
        actions=view.cancel("NotSentInTime"),
        stages=(COLLECTED,),
        attention=view.attention(),
    )


def _refused(view: View, reason: str) -> Ruling:
    name = view.round.spec.base.name if view.round.spec.base else ""
    return failed(view, reason, f"Round {name} made the model. {advice(reason)}")
