"""What the rounds and versions of a FederatedModel take over from it, and what they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.plans_model.world import UID, World, model
from wardround.api import names
from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import Card
from wardround.documents import models
from wardround.plans.model.types import CreateDelivery, CreateRound, CreateVersion

CARD = {
    "intendedUse": "Second reading of biopsies.",
    "limits": "Not for men.",
    "licence": "CC-BY-4.0",
    "contact": "models@hospital.example",
}
# As Argo CD and people write them.
LABELS = {"app.kubernetes.io/instance": "models", "team": "oncology"}
ANNOTATIONS = {"argocd.argoproj.io/tracking-id": "models:wardround.io/FederatedModel:federation/heart"}


def labelled() -> FederatedModel:
    made = model(rounds=1, spec={"deliver": {"to": "Participants"}})
    return replace(made, metadata=replace(made.metadata, labels=LABELS, annotations=ANNOTATIONS))


def test_versions_and_rounds_have_no_label_and_no_annotation_of_their_model() -> None:
    """Argo CD deletes objects that have its label and do not stand in Git."""
    world = World(labelled())
    world.run()
    version = world.versions["heart-v1-0123abcd"]
    trained = next(each for each in world.rounds.values() if each.metadata.name == version.spec.round_name)
    made: list[dict[str, Any]] = [
        models.model_version(world.model, CreateVersion(name=version.metadata.name, version=1, round=trained)),
        models.delivery(world.model, CreateDelivery(name="heart-d2-0123abcd", version=version)),
        *(
            models.federated_round(world.model, CreateRound(round=each, base="base", initial=each.task == "Train"))
            for each in world.series.rounds
        ),
    ]
    assert [each["kind"] for each in made] == ["ModelVersion", *["FederatedRound"] * 4]
    for each in made:
        assert each["metadata"]["labels"] == {names.MODEL_UID: UID}
        assert "annotations" not in each["metadata"]


def test_the_card_of_a_model_stands_in_the_spec_of_the_rounds_that_train() -> None:
    """The hub operator copies it from there onto the signed card. Statistics and Evaluate rounds make no model."""
    world = World(model(rounds=2, spec={"card": CARD}))
    world.run()
    cards = {(each.spec.task, name): each.spec.card for name, each in world.rounds.items()}
    trained = [card for (task, _), card in cards.items() if task == "Train"]
    others = [card for (task, _), card in cards.items() if task != "Train"]
    wanted = Card(
        intended_use=CARD["intendedUse"], limits=CARD["limits"], licence=CARD["licence"], contact=CARD["contact"]
    )
    assert trained == [wanted] * 2
    assert others == [Card()] * 2


def test_a_changed_card_stands_in_the_next_round() -> None:
    world = World(model(rounds=2, spec={"card": CARD}))
    world.settle()
    world.complete(world.created[-1])
    world.settle()
    world.edit(card=Card(limits="Not for children."))
    world.run()
    limits = [each.spec.card.limits for each in world.rounds.values() if each.spec.task == "Train"]
    assert limits == ["Not for men.", "Not for children."]
