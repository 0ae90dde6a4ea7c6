"""The rounds of lab.splits: a recipe changes how a model trains, and nothing else."""

from typing import Any

from lab import splits
from lab.splits import ALONE, POOLED, TOGETHER, Recipe


def parameters(rounds: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [each["spec"]["parameters"] for each in rounds if each["spec"]["task"] == "Train"]


def test_without_a_recipe_all_models_train_for_the_epochs_of_the_demo() -> None:
    documents = splits._documents(splits.as_they_are(), {})
    epochs = {kind: [int(each["epochs"]) for each in parameters(rounds)] for kind, rounds in documents.items()}
    assert epochs == {TOGETHER: [5] * 5, POOLED: [25], ALONE: [25]}


def test_a_recipe_sets_rounds_and_parameters_of_its_model_only() -> None:
    plain = splits._documents(splits.as_they_are(), {})
    made = splits._documents(splits.as_they_are(), {TOGETHER: Recipe(7, {"weightDecay": "0.003", "epochs": "2"})})
    assert made[POOLED] == plain[POOLED]
    assert made[ALONE] == plain[ALONE]
    rounds = made[TOGETHER]
    assert [each["spec"]["task"] for each in rounds] == ["Statistics", *["Train"] * 7, "Evaluate"]
    [first, *_] = parameters(plain[TOGETHER])
    assert parameters(rounds) == [{**first, "weightDecay": "0.003", "epochs": "2"}] * 7
    names = [each["metadata"]["name"] for each in rounds]
    assert rounds[1]["spec"]["initial"] == {"statisticsRoundName": names[0]}
    assert [each["spec"]["base"]["roundName"] for each in rounds[2:]] == names[1:-1]
    assert not any("initial" in each["spec"] for each in rounds[2:])
