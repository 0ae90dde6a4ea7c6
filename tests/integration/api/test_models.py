"""The kind FederatedModel on a real API server: defaults, and what is refused with which words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from lab import demo_rounds
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import FEDERATION, HUB, ROOT, federated_model, model_version
from tests.players.patience import LARGEST
from wardround.api.federatedmodel import SeriesRound, SeriesStatus
from wardround.api.federatedround import Task
from wardround.api.meta import Meta
from wardround.cli import verbs
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.plans.model.series import NAME_LENGTH, round_name
from wardround.wire import codec

OPERATOR = account(HUB, "hub-operator")
TRAINED_AND_EVALUATED: tuple[Task, ...] = ("Train", "Evaluate")


def test_a_model_gets_its_defaults(api: Api) -> None:
    spec = api.create(federated_model(), dry_run=True)["spec"]
    assert spec["round"]["metrics"] == ["loss", "auc", "people", "positives"]
    assert spec["round"]["quorum"] == {"min": 2, "required": [], "graceSeconds": 60, "onShortfall": "Fail"}
    assert spec["series"]["stop"] == {"patience": 0, "minDelta": "0", "seconds": 0}
    assert spec["series"]["onFailure"] == {"retries": 2, "then": "Hold"}
    assert (spec["initial"], spec["suspend"], spec["series"]["from"]) == ({"seed": 0}, False, "Current")
    assert (spec["gate"], spec["history"]) == ({"minEvents": 20, "promote": "Automatic"}, {"versions": 5})
    assert (spec["deliver"], spec["evaluation"]) == ({"to": "Nobody"}, {"every": 0, "testRows": True})
    assert not spec.keys() & {"trigger", "current"}


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"rounds": 0}, "should be greater than or equal to 1"),
        ({"rounds": 257}, "should be less than or equal to 256"),
        (
            {"schedules": [{"parameter": "learningRate", "steps": [{"fromRound": 3, "value": "1"}]}]},
            "begins after the last round",
        ),
        (
            {
                "schedules": [
                    {"parameter": "a", "steps": [{"fromRound": 1, "value": "1"}, {"fromRound": 1, "value": "2"}]}
                ]
            },
            "Duplicate value",
        ),
        ({"stop": {"minDelta": "0.001"}}, "minDelta has no effect without stop.patience"),
        (
            {
                "parameters": {"learningRate": "0.1"},
                "schedules": [
                    {"parameter": "learningRate", "steps": [{"fromRound": 2, "value": "0.01"}]},
                    {"parameter": "learnigRate", "steps": [{"fromRound": 2, "value": "0.01"}]},
                ],
            },
            "A parameter of schedules has no value in round 1",
        ),
        ({"stop": {"minDelta": "-1"}}, "should match"),
        ({"onFailure": {"retries": 4}}, "should be less than or equal to 3"),
    ],
)
def test_a_series_that_cannot_be_meant_is_refused(api: Api, series: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        api.create(federated_model(**series), dry_run=True)


@pytest.mark.parametrize(
    "series",
    [
        {"parameters": {"rate": "1"}, "schedules": [{"parameter": "rate", "steps": [{"fromRound": 2, "value": "2"}]}]},
        {
            "schedules": [
                {"parameter": "rate", "steps": [{"fromRound": 2, "value": "2"}, {"fromRound": 1, "value": "1"}]}
            ]
        },
        {"rounds": 4, "stop": {"patience": 1, "minDelta": "0.001"}},
        {"stop": {"seconds": 60, "minDelta": "0.00"}},
    ],
)
def test_a_series_whose_parameters_all_have_a_value_in_round_1_is_taken(api: Api, series: dict[str, Any]) -> None:
    api.create(federated_model(**series), dry_run=True)


@pytest.mark.parametrize(("rounds", "every"), LARGEST)
def test_a_patience_that_cannot_end_the_series_early_is_refused(api: Api, rounds: int, every: int) -> None:
    largest = LARGEST[rounds, every]
    for patience in range(largest + 2):
        model = federated_model(rounds=rounds, stop={"patience": patience})
        model["spec"]["evaluation"] = {"every": every}
        if patience <= largest:
            api.create(model, dry_run=True)
        else:
            with pytest.raises(Refused, match=r"series\.stop\.patience.*could never end the series"):
                api.create(model, dry_run=True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image", "registry.example/trainer:latest", "image must be given by digest"),
        ("quorum", {"min": 3}, "above the number of names"),
        ("metrics", ["auc"], "metrics has to list loss"),
        ("metrics", ["loss", "f1"], r'metrics\[1\]: Invalid value: "f1": A FederatedModel has no such metric'),
        ("metrics", ["loss", "threshold"], r'metrics\[1\]: Invalid value: "threshold": No round declares this number'),
        ("metrics", ["loss", "steps"], "metrics may list steps only with the strategy FedNova"),
        (
            "aggregation",
            {
                "strategy": "FedAdam",
                "parameters": {"serverLearningRate": "0.1", "beta1": "1.0", "beta2": "0.9", "tau": "1"},
            },
            'momentum, beta1 and beta2 have to be numbers from 0 to below 1 .* Given: beta1 "1.0" beta2 "0.9"',
        ),
        ("deadlines", {"totalSeconds": 10}, "shorter than one of the stages"),
    ],
)
def test_a_round_of_a_model_has_the_rules_of_a_round(api: Api, field: str, value: Any, message: str) -> None:
    model = federated_model()
    model["spec"]["round"][field] = value
    with pytest.raises(Refused, match=message):
        api.create(model, dry_run=True)


@pytest.mark.parametrize(
    ("quorum", "message"),
    [
        ({"min": 3}, r"spec\.evaluation\.quorum\.min.*above the number of names in round\.participants"),
        ({"min": 1, "required": ["site-x"]}, r"evaluation\.quorum\.required names a participant that is not in"),
    ],
)
def test_a_quorum_of_evaluations_that_no_round_could_meet_is_refused(
    api: Api, quorum: dict[str, Any], message: str
) -> None:
    model = federated_model()
    model["spec"]["evaluation"] = {"quorum": quorum}
    with pytest.raises(Refused, match=message):
        api.create(model, dry_run=True)


def test_a_quorum_of_evaluations_is_taken_if_hospitals_can_meet_it(api: Api) -> None:
    model = federated_model()
    model["spec"]["evaluation"] = {"quorum": {"min": 2, "required": ["site-b"]}}
    api.create(model, dry_run=True)
    model["spec"]["round"]["participants"] = {"selector": {"matchLabels": {"region": "north"}}}
    model["spec"]["evaluation"] = {"quorum": {"min": 9, "required": ["site-x"]}}
    api.create(model, dry_run=True)


def test_the_command_line_says_that_a_namespace_does_not_exist(api: Api) -> None:
    hub, model = Cluster(str(api.kubeconfig)), federated_model()
    model["metadata"]["namespace"] = "nosuch"
    with pytest.raises(CommandError, match=r"namespace does not exist.*kubectl get namespaces") as refused:
        hub.create(model)
    assert "not installed" not in str(refused.value)
    with pytest.raises(CommandError, match=r"has no namespace nosuch\..*kubectl get namespaces"):
        verbs.needed(hub, "FederatedModel", "breast", "nosuch")


def test_the_example_is_a_model(api: Api) -> None:
    example = yaml.safe_load((ROOT / "examples/breast-cancer/model.yaml").read_text("utf-8"))
    assert api.create(example, dry_run=True)["spec"]["series"]["rounds"] == 10


def test_who_applies_the_demos_file_of_the_model_again_changes_nothing(
    api: Api, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    image = "localhost/wardround/trainer@sha256:" + "a" * 64
    first = demo_rounds.model(image, datetime(2026, 11, 28, 7, 3, tzinfo=UTC))
    further = demo_rounds.further_series(first)
    for model in (first, further, demo_rounds.flipped_series(further), last := demo_rounds.without_trigger(further)):
        done = kubectl("apply", "-f", "-", stdin=demo_rounds.text([model]))
        assert done.returncode == 0, done.stderr
    spec = api.get("FederatedModel", demo_rounds.MODEL, demo_rounds.NAMESPACE)["spec"]
    assert spec["series"]["parameters"] == last["spec"]["series"]["parameters"]
    assert "trigger" not in spec
    assert kubectl("apply", "-f", "-", stdin=demo_rounds.text([last])).stdout.endswith("unchanged\n")
    api.delete("FederatedModel", demo_rounds.MODEL, demo_rounds.NAMESPACE)


def test_the_first_weights_of_a_model_cannot_change(api: Api) -> None:
    api.create(federated_model("fixed"))
    with pytest.raises(Refused, match="initial is immutable"):
        api.patch("FederatedModel", "fixed", {"spec": {"initial": {"seed": 1}}}, "breast-cancer")
    api.patch("FederatedModel", "fixed", {"spec": {"series": {"rounds": 9}}}, "breast-cancer")


def test_the_schema_of_a_model_cannot_change(api: Api) -> None:
    api.create(federated_model("one-schema"))
    with pytest.raises(Refused, match="schemaName is immutable"):
        api.patch("FederatedModel", "one-schema", {"spec": {"schemaName": "other-v1"}}, "breast-cancer")


def test_the_release_of_a_model_cannot_change(api: Api) -> None:
    """Neither a model with the default, nor one that names its release."""
    named = federated_model("for-readers")
    named["spec"]["release"] = "Readers"
    for item, release in ((federated_model("by-default"), "Readers"), (named, "Participants")):
        api.create(item)
        name = item["metadata"]["name"]
        with pytest.raises(Refused, match="release is immutable"):
            api.patch("FederatedModel", name, {"spec": {"release": release}}, "breast-cancer")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"trigger": {}}, "A trigger needs cron or newPatients"),
        ({"trigger": {"timeZone": "Europe/Berlin"}}, "A trigger needs cron or newPatients"),
        ({"trigger": {"newPatients": 10}}, "greater than or equal to 11"),
        ({"trigger": {"cron": "0 2 * * 1", "timeZone": "../etc/passwd"}}, "should match"),
        ({"gate": {"minEvents": 0}}, "greater than or equal to 1"),
        ({"gate": {"promote": "Always"}}, "Unsupported value"),
        ({"current": {"version": 0}}, "greater than or equal to 1"),
        ({"deliver": {"to": "Everybody"}}, "Unsupported value"),
        ({"history": {"versions": 0}}, "greater than or equal to 1"),
        ({"history": {"versions": 61}}, "less than or equal to 60"),
        ({"evaluation": {"every": -1}}, "greater than or equal to 0"),
        ({"evaluation": {"every": 257}}, "less than or equal to 256"),
    ],
)
def test_a_trigger_a_gate_and_a_history_have_their_rules(api: Api, spec: dict[str, Any], message: str) -> None:
    model = federated_model()
    model["spec"] |= spec
    with pytest.raises(Refused, match=message):
        api.create(model, dry_run=True)


def test_a_model_may_evaluate_less_often_than_its_series_has_rounds(api: Api) -> None:
    """Then the last model alone is evaluated."""
    model = federated_model()
    model["spec"]["evaluation"] = {"every": 256, "quorum": {"min": 1}}
    assert api.create(model, dry_run=True)["spec"]["evaluation"]["every"] == 256


def test_the_longest_series_fits_into_the_object(api: Api) -> None:
    """An Evaluate round after each of 256 Train rounds, each of them at the last attempt. etcd takes 1.5 MiB."""
    uid, name = "0123abcd-0000-4000-8000-000000000001", "m" * NAME_LENGTH
    meta = Meta(name=name, namespace=FEDERATION, uid=uid)
    places: list[tuple[Task, int, bool]] = [("Statistics", 0, False), ("Evaluate", 256, True)]
    places += [(task, number, False) for number in range(1, 257) for task in TRAINED_AND_EVALUATED]
    rounds = [
        SeriesRound(
            name=round_name(meta, 9999, task, number, attempt, compares=compares),
            task=task,
            number=number,
            attempt=attempt,
            generation=99999,
            outcome="Failed",
            loss="0.123456789",
            hospitals=512,
        )
        for task, number, compares in places
        for attempt in range(1, 5)
    ]
    api.create(federated_model(name, rounds=256))
    started = "2026-11-24T16:15:00Z"
    series = SeriesStatus(number=9999, stage="Training", started=started, trigger="Cron", rounds=tuple(rounds))
    api.patch_status("FederatedModel", name, {"series": codec.dump(series)}, FEDERATION, user=OPERATOR)
    stored = api.get("FederatedModel", name, FEDERATION)
    assert len(stored["status"]["series"]["rounds"]) == 2056


def test_a_trigger_may_name_new_patients_alone(api: Api) -> None:
    model = federated_model()
    model["spec"]["trigger"] = {"newPatients": 50}
    assert api.create(model, dry_run=True)["spec"]["trigger"] == {"newPatients": 50, "timeZone": "Etc/UTC"}


@pytest.mark.parametrize("field", ["parents", "release"])
def test_a_version_says_what_it_was_trained_from_and_who_may_get_it(api: Api, field: str) -> None:
    item = model_version("unsaid")
    del item["spec"][field]
    with pytest.raises(Refused, match=rf"spec\.{field}: Required value"):
        api.create(item, dry_run=True, user=OPERATOR)
    api.create(model_version("unsaid"), dry_run=True, user=OPERATOR)


def test_a_series_says_why_it_began(api: Api) -> None:
    api.create(federated_model("begun"))
    status = {"series": {"number": 1, "stage": "Training", "started": "2026-11-24T16:15:00Z"}}
    with pytest.raises(Refused, match=r"status\.series\.trigger: Required value"):
        api.patch_status("FederatedModel", "begun", status, FEDERATION, user=OPERATOR)
