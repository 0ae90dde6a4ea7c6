"""The demo's rounds are the examples. A hospital alone trains for equally many epochs."""

from datetime import UTC, datetime

import pytest

from lab import demo_model, demo_rounds

IMAGE = "localhost/wardround/trainer@sha256:" + "a" * 64
MINUTE = datetime(2026, 11, 28, 7, 3, tzinfo=UTC)


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


def test_the_model_makes_the_rounds_that_the_simulations_run() -> None:
    """A FederatedRound of the model has the template's fields, and the others' defaults."""
    chain = [each["spec"] for each in demo_rounds.federated(IMAGE).training if each["spec"]["task"] == "Train"]
    made = demo_rounds.model(IMAGE, MINUTE)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == (demo_rounds.MODEL, demo_rounds.NAMESPACE)
    spec = made["spec"]
    assert spec["series"] == {"rounds": len(chain), "parameters": chain[0]["parameters"]}
    for each in chain:
        same = {name: value for name, value in each.items() if name not in ("task", "base", "initial")}
        # What a round measures changes no model.
        template = {name: value for name, value in spec["round"].items() if name != "metrics"}
        assert same == {
            "schemaName": spec["schemaName"],
            **template,
            "seed": spec["initial"]["seed"],
            "parameters": spec["series"]["parameters"],
        }
    assert (spec["release"], spec["deliver"]) == ("Readers", {"to": "Participants"})


@pytest.mark.parametrize(
    ("now", "cron"),
    [
        (datetime(2026, 11, 28, 7, 2, 10, tzinfo=UTC), "3 7 28 11 *"),
        (datetime(2026, 11, 28, 7, 2, 58, tzinfo=UTC), "4 7 28 11 *"),
        (datetime(2026, 12, 31, 23, 59, 1, tzinfo=UTC), "0 0 1 1 *"),
    ],
)
def test_a_further_series_begins_at_a_minute_that_has_not_begun(now: datetime, cron: str) -> None:
    assert demo_rounds.trigger(demo_model.next_minute(now)) == {"cron": cron, "timeZone": "Etc/UTC"}


def test_the_model_has_one_further_series_at_the_minute() -> None:
    assert demo_rounds.model(IMAGE, MINUTE)["spec"]["trigger"] == {"cron": "3 7 28 11 *", "timeZone": "Etc/UTC"}


def test_the_further_series_is_short_and_keeps_all_other_parameters() -> None:
    first = demo_rounds.model(IMAGE, MINUTE)
    series = {**first["spec"]["series"], "rounds": demo_rounds.FURTHER_ROUNDS}
    series["parameters"] = {**series["parameters"], **demo_rounds.FURTHER_PARAMETERS}
    assert demo_rounds.further_series(first) == {**first, "spec": {**first["spec"], "series": series}}
    assert first == demo_rounds.model(IMAGE, MINUTE)


def test_the_series_with_flipped_labels_begins_only_on_request_and_is_shorter() -> None:
    further = demo_rounds.further_series(demo_rounds.model(IMAGE, MINUTE))
    flipped, left = demo_rounds.flipped_series(further), demo_rounds.without_trigger(further)
    assert flipped["spec"]["series"]["rounds"] == demo_rounds.FLIPPED_ROUNDS < demo_rounds.FURTHER_ROUNDS
    left["spec"]["series"]["rounds"] = demo_rounds.FLIPPED_ROUNDS
    assert flipped == left


def test_the_clinic_asks_the_current_version_of_the_model() -> None:
    made = demo_rounds.prediction("new-patient.csv", "new-cases", "answers")
    assert made["metadata"]["name"] == "new-patient"
    assert made["spec"] == {
        "model": {"name": demo_rounds.model(IMAGE, MINUTE)["metadata"]["name"]},
        "datasetName": demo_rounds.dataset()["metadata"]["name"],
        "rows": {"claimName": "new-cases", "path": "new-patient.csv"},
        "answer": {"claimName": "answers", "path": "new-patient.csv"},
    }


def test_the_evaluation_measures_the_model_of_a_named_round_on_test_rows() -> None:
    made = demo_rounds.evaluation(demo_rounds.federated(IMAGE), "breast-s1-r4-0123abcd")
    assert (made["spec"]["base"], made["spec"]["rows"]) == ({"roundName": "breast-s1-r4-0123abcd"}, "Test")


def test_the_further_round_starts_from_the_named_one_and_is_otherwise_equal_to_the_last() -> None:
    together = demo_rounds.federated(IMAGE)
    made = demo_rounds.further(together, "train-5")
    assert made["metadata"]["name"] == demo_rounds.FURTHER
    assert made["spec"] == {**together.training[-1]["spec"], "base": {"roundName": "train-5"}}
    assert not {demo_rounds.FURTHER, demo_rounds.AGAIN} & set(together.names)


def test_the_further_rounds_name_occurs_once_in_its_file() -> None:
    """The demo's last text tells people to replace the name by sed."""
    made = demo_rounds.text([demo_rounds.further(demo_rounds.federated(IMAGE), "train-5")])
    assert made.count(demo_rounds.FURTHER) == 1
