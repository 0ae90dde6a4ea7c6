"""What a person reads before an Approval of a model or of a sweep is what the Approval then bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.cli.site_tasks import OWN, Deciding, ended, site_task
from tests.unit.plans_site.approved import STATISTICS
from tests.unit.plans_site.test_sweep_approval import member
from tests.worlds.site import IMAGE, NOW
from wardround.api.approval import MOST_TASKS
from wardround.api.site import Policy
from wardround.cli import approvals, approved_sweeps, reviews
from wardround.cli.cluster import Cluster, Object
from wardround.cli.commands import approvals as commands
from wardround.cli.errors import CommandError
from wardround.kubectl import parser
from wardround.plans.terms import MOST_MODELS
from wardround.wire.assignment import (
    AssignedSchedule,
    AssignedStep,
    Assignment,
    Resources,
)

GIVEN: list[dict[str, Any]] = [{}, {"rounds": 0, "evaluations": 0}, {"rounds": 5, "until": "2030-01-02"}]


@pytest.mark.parametrize(
    "text", ["2027-3-31", "\u0662\u0660\u0662\u0667-03-31", "2027-03-31T10:00", "2027-02-29", "", "9999-01-01"]
)
def test_the_end_of_an_approval_has_one_spelling_and_is_a_time_that_the_site_reads(text: str) -> None:
    with pytest.raises(CommandError, match="give a date such as 2027-03-31"):
        approvals.end(text, NOW)
    assert approvals.end("2030-01-02", NOW) == approvals.end("2030-01-02T00:00:00Z", NOW) == "2030-01-02T00:00:00Z"


def test_a_series_that_reads_test_rows_says_so_and_has_one_evaluation_more() -> None:
    asks = member(0)
    assert asks.model is not None
    tasks = (*asks.model.tasks, "Evaluate Test")
    known = approvals.reviewed(site_task("own", replace(asks, model=replace(asks.model, tasks=tasks))), ())
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    spec = approvals.approve_model(known, **options, author="carla", now=NOW)["spec"]
    assert spec["maxEvaluations"] == 2 * 3
    assert "Evaluate Validation, Evaluate Test" in "\n".join(reviews.review(known, NOW))


def reviewed_under(policy: Policy | None, **model: Any) -> str:
    """The review of the first task of a series, at a hospital with this policy. `model`: what the series asks for."""
    known = approvals.reviewed(site_task("own", member(0, STATISTICS, **model)), ())
    return "\n".join(reviews.review(replace(known, policy=policy), NOW))


REFUSED = "The policy of this hospital refuses tasks of this series, whatever you approve:"
ALLOWING = Policy(images=(IMAGE,))
STEPS = (
    AssignedSchedule(
        parameter="learningRate",
        steps=(AssignedStep(from_round=1, value="0.1"), AssignedStep(from_round=3, value="30")),
    ),
)


@pytest.mark.parametrize(
    ("policy", "model", "words"),
    [
        (ALLOWING, {"parameters": {"epochs": "5", "hiden": "4"}}, "hiden"),
        (ALLOWING, {"parameters": {"epochs": "5"}, "schedules": STEPS}, "learningRate"),
        (Policy(), {}, IMAGE),
        (replace(ALLOWING, commands=()), {}, "wardround_trainer"),
        (replace(ALLOWING, min_quorum=9), {}, "policy.minQuorum of this hospital's Site is 9"),
        (replace(ALLOWING, tasks=("Statistics", "Evaluate")), {}, "policy.tasks"),
    ],
    ids=["parameter", "step of a schedule", "image", "command", "quorum", "task"],
)
def test_review_says_which_tasks_of_the_series_the_hospitals_policy_refuses(
    policy: Policy, model: Any, words: str
) -> None:
    text = reviewed_under(policy, **model)
    assert REFUSED in text
    assert words in next(line for line in text.splitlines() if line.startswith("    Train: "))


def test_review_names_no_refusal_of_statistics_for_what_only_the_rounds_code_asks_for() -> None:
    text = reviewed_under(ALLOWING, resources=Resources(1, 0, local_sockets=True))
    assert "    Train: " in text
    assert "    Statistics: " not in text


def test_review_names_no_refusal_of_a_series_that_the_hospitals_policy_allows() -> None:
    for policy in (ALLOWING, None):
        assert REFUSED not in reviewed_under(policy)
    [schedule] = STEPS
    first = replace(schedule, steps=schedule.steps[:1])
    assert REFUSED not in reviewed_under(ALLOWING, parameters={"epochs": "5"}, schedules=(first,))


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_the_text_of_a_model_shows_the_limits_of_its_approval(given: dict[str, Any]) -> None:
    known = approvals.reviewed(OWN, ())
    options = {"rounds": None, "evaluations": None, "until": None} | given
    spec = approvals.approve_model(known, **options, author="carla", now=NOW)["spec"]
    assert (spec["maxRounds"], spec["maxEvaluations"]) == (given.get("rounds", 8), given.get("evaluations", 4))
    words = (
        f"covers at most {spec['maxRounds']} Train and Statistics tasks and {spec['maxEvaluations']} Evaluate tasks, "
        f"until {spec['until']}."
    )
    assert words in "\n".join(reviews.review(known, NOW, **given))


ROUNDS = "The series has up to 4 Train and Statistics tasks, and the Approval covers 1 of them."
EVALUATIONS = "The series has up to 2 Evaluate tasks, and the Approval covers none of them."
SWEPT = "The series of these 2 models together have up to 8 Train and Statistics tasks, and the Approval covers 7 of"


@pytest.mark.parametrize(
    ("options", "others", "words"),
    [
        (["--model", "--rounds", "1", "--evaluations", "0"], [], [ROUNDS, EVALUATIONS]),
        (["--model", "--rounds", "1"], [], [ROUNDS]),
        (["--model", "--rounds", "4", "--evaluations", "2"], [], []),
        (["--model"], [], []),
        (["--sweep", "--rounds", "7"], [site_task("other", member(1))], [SWEPT]),
        (["--sweep"], [site_task("other", member(1))], []),
    ],
    ids=["both", "rounds", "enough", "default", "sweep", "default of a sweep"],
)
@pytest.mark.parametrize("asked", [False, True])
def test_an_approval_of_less_than_the_series_needs_is_written_with_a_warning(
    options: list[str],
    others: list[Object],
    words: list[str],
    asked: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Deciding(OWN, *others)
    monkeypatch.setattr(commands, "confirmed", lambda *_: True)
    parsed = parser().parse_args(["approve", "sitetask/own", *options, *([] if asked else ["--yes"])])
    assert parsed.run(cast(Cluster, site), parsed) == 0
    [made] = site.made
    assert made["spec"]["verdict"] == "Approve"
    output = capsys.readouterr()
    shown = output.out if asked else output.err
    assert [each in shown for each in words] == [True] * len(words)
    assert shown.count("Warning: ") == len(words)


@pytest.mark.parametrize(
    ("every", "evaluations", "words"),
    [
        (0, 4, "  after the last Train round, and to compare with earlier versions"),
        (1, 8, "  after each Train round, after the last Train round, and to compare with earlier versions"),
        (2, 6, "  after every 2 Train rounds, after the last Train round, and to compare with earlier versions"),
        (3, 4, "  after every 3 Train rounds, after the last Train round, and to compare with earlier versions"),
    ],
)
def test_an_approval_has_room_for_twice_the_evaluations_that_the_series_plans(
    every: int, evaluations: int, words: str
) -> None:
    """The series has 3 Train rounds."""
    known = approvals.reviewed(site_task("own", replace(member(0), evaluation_every=every)), ())
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    spec = approvals.approve_model(known, **options, author="carla", now=NOW)["spec"]
    assert spec["maxEvaluations"] == evaluations
    text = "\n".join(reviews.review(known, NOW))
    assert f"8 Train and Statistics tasks and {evaluations} Evaluate tasks" in text
    assert words in text
    assert json.loads(spec["terms"])["evaluationEvery"] == every


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_the_text_of_a_sweep_shows_the_limits_of_its_approval(given: dict[str, Any]) -> None:
    known = approvals.reviewed(OWN, ())
    chosen = approved_sweeps.sweep(known, [OWN, site_task("other", member(1))])
    options = {"rounds": None, "evaluations": None, "until": None} | given
    spec = approved_sweeps.approve_sweep(known, chosen, **options, author="carla", now=NOW)["spec"]
    assert (spec["maxRounds"], spec["maxEvaluations"]) == (given.get("rounds", 16), given.get("evaluations", 8))
    text = "\n".join(approved_sweeps.review(known, chosen, **given, now=NOW))
    most = f"{spec['maxRounds']} Train and Statistics tasks and {spec['maxEvaluations']} Evaluate tasks"
    assert f"covers at most {most}, until {spec['until']}." in text
    bounds = f"--rounds {spec['maxRounds']} --evaluations {spec['maxEvaluations']} --until {spec['until']}"
    assert f"--digest {chosen.digest} {bounds}" in text


def many(number: int, every: int = 0, **model: Any) -> list[Object]:
    """A waiting task of each of so many models of a sweep."""
    tasks = [member(0, name=f"breast-{each:02}", uid=f"uid-{each:02}", **model) for each in range(number)]
    rates = [{"epochs": "5", "learningRate": f"0.{each + 1:03}"} for each in range(number)]
    return [
        site_task(f"task-{place}", swept(task, rate, every))
        for place, (task, rate) in enumerate(zip(tasks, rates, strict=True))
    ]


def swept(task: Assignment, parameters: Mapping[str, str], every: int) -> Assignment:
    assert task.model is not None
    model = replace(task.model, parameters=parameters)
    return replace(task, parameters=parameters, model=model, evaluation_every=every)


@pytest.mark.parametrize(("every", "evaluations"), [(0, 2 * 32 * 2), (1, 2 * 32 * 31)])
def test_one_approval_covers_the_largest_sweep_and_two_attempts_of_each_round(every: int, evaluations: int) -> None:
    tasks = many(MOST_MODELS, every, rounds=30)
    known = approvals.reviewed(tasks[0], ())
    chosen = approved_sweeps.sweep(known, tasks)
    assert (len(chosen.terms.models), chosen.omitted) == (MOST_MODELS, ())
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    spec = approved_sweeps.approve_sweep(known, chosen, **options, author="carla", now=NOW)["spec"]
    assert (spec["maxRounds"], spec["maxEvaluations"]) == (2 * 32 * 31, evaluations)


@pytest.mark.parametrize(("rounds", "models"), [(63, MOST_MODELS), (64, 31), (256, 7)])
def test_a_sweep_with_more_tasks_than_one_approval_covers_names_the_models_that_are_left(
    rounds: int, models: int
) -> None:
    tasks = many(MOST_MODELS, rounds=rounds)
    known = approvals.reviewed(tasks[0], ())
    chosen = approved_sweeps.sweep(known, tasks)
    assert (len(chosen.terms.models), len(chosen.omitted)) == (models, MOST_MODELS - models)
    text = "\n".join(approved_sweeps.review(known, chosen, now=NOW))
    assert ("no room for these further models" in text) == (models < MOST_MODELS)


def test_two_models_that_ask_for_too_much_are_no_sweep() -> None:
    tasks = many(2, rounds=MOST_TASKS)
    with pytest.raises(CommandError, match="covers at most 2048 rounds, and each model asks for 2049"):
        approved_sweeps.sweep(approvals.reviewed(tasks[0], ()), tasks)


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_task_that_has_ended_brings_no_model_into_the_list(kind: str) -> None:
    known = approvals.reviewed(OWN, ())
    over = site_task("over", member(1), ended(kind))
    with pytest.raises(CommandError, match="there is no sweep"):
        approved_sweeps.sweep(known, [OWN, over])
    chosen = approved_sweeps.sweep(known, [OWN, over, site_task("live", member(2))])
    assert [each.name for each in chosen.terms.models] == ["breast-0", "breast-2"]


@pytest.mark.parametrize(
    ("others", "offered"),
    [
        ([], False),
        ([site_task("other", member(1))], True),
        ([site_task("over", member(1), ended("Complete"))], False),
        ([site_task("further", member(0))], False),
    ],
    ids=["alone", "sweep", "ended", "the same model"],
)
def test_review_offers_the_sweep_only_of_a_model_that_is_in_one(others: list[Object], offered: bool) -> None:
    known = approved_sweeps.with_tasks(approvals.reviewed(OWN, ()), [OWN, *others])
    assert ("--sweep" in "\n".join(reviews.review(known, NOW))) == offered


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_sweep_is_not_approved_by_a_task_that_has_ended(kind: str) -> None:
    known = approvals.reviewed(site_task("own", member(0), ended(kind)), ())
    with pytest.raises(CommandError, match="own has ended"):
        approved_sweeps.sweep(known, [site_task("one", member(1)), site_task("two", member(2))])


def test_the_review_names_a_model_that_a_namesake_leaves_out() -> None:
    known = approvals.reviewed(OWN, ())
    twin = member(1, name="breast-0", uid="uid-9")
    chosen = approved_sweeps.sweep(known, [OWN, site_task("twin", twin), site_task("other", member(1))])
    assert [each.uid for each in chosen.terms.models] == ["uid-0", "uid-1"]
    text = "\n".join(approved_sweeps.review(known, chosen, now=NOW))
    assert "because the list above has another model with the same name: breast-0 (UID uid-9)." in text
