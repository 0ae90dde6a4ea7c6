"""The demo's rounds are the examples; what a hospital gets alone has the same budget."""

from lab import demo_rounds

IMAGE = "localhost/wardround/trainer@sha256:" + "a" * 64


def test_every_round_of_the_federation_is_in_the_examples_with_the_image_in_its_place() -> None:
    chain = demo_rounds.federated(IMAGE)
    assert chain.names == ("statistics", "train-1", "train-2", "train-3", "train-4", "train-5")
    assert {each["spec"]["image"] for each in chain.training if each["spec"]["task"] == "Train"} == {IMAGE}
    assert "image" not in chain.training[0]["spec"]
    assert chain.evaluation["spec"]["base"] == {"roundName": "train-5"}


def test_each_round_starts_from_the_one_before() -> None:
    rounds = demo_rounds.federated(IMAGE).training
    assert rounds[1]["spec"]["initial"]["statisticsRoundName"] == "statistics"
    assert [each["spec"]["base"]["roundName"] for each in rounds[2:]] == ["train-1", "train-2", "train-3", "train-4"]


def test_alone_means_own_statistics_own_chain_same_parameters() -> None:
    together = demo_rounds.federated(IMAGE)
    own = demo_rounds.alone(together, "site-c")
    assert len(own.training) == len(together.training)
    assert own.training[1]["spec"]["initial"] == {"seed": 7, "statisticsRoundName": "site-c-alone-statistics"}
    assert own.training[2]["spec"]["base"] == {"roundName": "site-c-alone-train-1"}
    for mine, ours in zip(own.training, together.training, strict=True):
        assert mine["spec"]["participants"] == {"names": ["site-c"]}
        assert mine["spec"]["quorum"] == {"min": 1}
        assert mine["spec"].get("parameters") == ours["spec"].get("parameters")


def test_a_model_made_alone_is_evaluated_at_every_hospital() -> None:
    own = demo_rounds.alone(demo_rounds.federated(IMAGE), "site-c")
    assert own.evaluation["spec"]["base"] == {"roundName": "site-c-alone-train-5"}
    assert own.evaluation["spec"]["participants"] == {"names": ["site-a", "site-b", "site-c"]}


def test_the_dataset_gets_the_hospitals_own_split() -> None:
    assert demo_rounds.dataset("a" * 16)["spec"]["split"]["key"] == "a" * 16
