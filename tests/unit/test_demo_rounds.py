"""The demo's rounds are the examples. A hospital alone trains for equally many epochs."""

from lab import demo_rounds

IMAGE = "localhost/wardround/trainer@sha256:" + "a" * 64


def test_the_federations_rounds_are_the_examples_with_the_image() -> None:
    chain = demo_rounds.federated(IMAGE)
    assert chain.names == ("statistics", "train-1", "train-2", "train-3", "train-4", "train-5")
    assert {each["spec"]["image"] for each in chain.training if each["spec"]["task"] == "Train"} == {IMAGE}
    assert "image" not in chain.training[0]["spec"]
    assert chain.evaluation["spec"]["base"] == {"roundName": "train-5"}


def test_each_round_starts_from_the_round_before() -> None:
    rounds = demo_rounds.federated(IMAGE).training
    assert rounds[1]["spec"]["initial"]["statisticsRoundName"] == "statistics"
    assert [each["spec"]["base"]["roundName"] for each in rounds[2:]] == ["train-1", "train-2", "train-3", "train-4"]


def test_a_hospital_alone_has_its_own_statistics_weights_and_all_epochs() -> None:
    together = demo_rounds.federated(IMAGE)
    own = demo_rounds.alone(together, "site-c")
    assert own.names == ("site-c-alone-statistics", "site-c-alone-train")
    assert own.training[1]["spec"]["initial"] == {"statisticsRoundName": "site-c-alone-statistics"}
    for each in own.training:
        assert each["spec"]["participants"] == {"names": ["site-c"]}
        assert each["spec"]["quorum"] == {"min": 1}
    alone = own.training[1]["spec"]["parameters"]
    federated = [each["spec"]["parameters"] for each in together.training[1:]]
    assert int(alone["epochs"]) == sum(int(each["epochs"]) for each in federated) == 25
    assert all({**alone, "epochs": ""} == {**each, "epochs": ""} for each in federated)


def test_a_hospitals_own_model_is_evaluated_at_every_hospital() -> None:
    own = demo_rounds.alone(demo_rounds.federated(IMAGE), "site-c")
    assert own.evaluation["spec"]["base"] == {"roundName": "site-c-alone-train"}
    assert own.evaluation["spec"]["participants"] == {"names": ["site-a", "site-b", "site-c"]}


def test_the_further_round_starts_from_the_last_and_is_otherwise_equal() -> None:
    together = demo_rounds.federated(IMAGE)
    made = demo_rounds.further(together)
    assert made["metadata"]["name"] == demo_rounds.FURTHER
    assert made["spec"] == {**together.training[-1]["spec"], "base": {"roundName": "train-5"}}
    assert not {demo_rounds.FURTHER, demo_rounds.AGAIN} & set(together.names)


def test_the_further_rounds_name_occurs_once_in_its_file() -> None:
    """The demo's last text tells people to replace the name by sed."""
    made = demo_rounds.text([demo_rounds.further(demo_rounds.federated(IMAGE))])
    assert made.count(demo_rounds.FURTHER) == 1
