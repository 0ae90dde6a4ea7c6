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


def test_alone_means_own_statistics_own_first_weights_and_the_epochs_of_all_rounds_in_one() -> None:
    together = demo_rounds.federated(IMAGE)
    own = demo_rounds.alone(together, "site-c")
    assert own.names == ("site-c-alone-statistics", "site-c-alone-train")
    assert own.training[1]["spec"]["initial"] == {"seed": 7, "statisticsRoundName": "site-c-alone-statistics"}
    for each in own.training:
        assert each["spec"]["participants"] == {"names": ["site-c"]}
        assert each["spec"]["quorum"] == {"min": 1}
    mine, ours = own.training[1]["spec"]["parameters"], [each["spec"]["parameters"] for each in together.training[1:]]
    assert int(mine["epochs"]) == sum(int(each["epochs"]) for each in ours) == 25
    assert all({**mine, "epochs": ""} == {**each, "epochs": ""} for each in ours)


def test_a_model_made_alone_is_evaluated_at_every_hospital() -> None:
    own = demo_rounds.alone(demo_rounds.federated(IMAGE), "site-c")
    assert own.evaluation["spec"]["base"] == {"roundName": "site-c-alone-train"}
    assert own.evaluation["spec"]["participants"] == {"names": ["site-a", "site-b", "site-c"]}


def test_the_dataset_gets_the_hospitals_own_split() -> None:
    assert demo_rounds.dataset("a" * 16)["spec"]["split"]["key"] == "a" * 16


def test_the_round_for_people_to_apply_goes_on_from_the_last_and_is_otherwise_like_it() -> None:
    together = demo_rounds.federated(IMAGE)
    made = demo_rounds.further(together)
    assert made["metadata"]["name"] == demo_rounds.FURTHER
    assert made["spec"] == {**together.training[-1]["spec"], "base": {"roundName": "train-5"}}
    assert not {demo_rounds.FURTHER, demo_rounds.AGAIN} & set(together.names)


def test_another_name_for_it_is_all_that_a_replacement_of_its_name_changes() -> None:
    """As the demo's ending tells people to do by sed."""
    made = demo_rounds.text([demo_rounds.further(demo_rounds.federated(IMAGE))])
    assert made.count(demo_rounds.FURTHER) == 1
