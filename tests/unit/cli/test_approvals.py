"""What a person reads before an Approval of a model or of a sweep is what the Approval then bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.card.models import making
from tests.unit.plans_site.approved import STATISTICS
from tests.unit.plans_site.test_sweep_approval import member
from tests.worlds.site import ASSIGNMENT, IMAGE, NOW, SCHEMA, a_task, signed
from wardround.api.approval import MOST_TASKS
from wardround.api.site import Policy
from wardround.api.times import to_seconds
from wardround.cli import approvals, approved_sweeps, reviews
from wardround.cli.cluster import Cluster, Object
from wardround.cli.commands import approvals as commands
from wardround.cli.errors import CommandError, ForbiddenError
from wardround.documents import cards
from wardround.kubectl import parser
from wardround.plans.terms import MOST_MODELS
from wardround.sealing import body
from wardround.sealing.cards import sign_card
from wardround.sealing.keys import generate_signing_key
from wardround.wire import codec
from wardround.wire.assignment import (
    AssignedBase,
    AssignedDelivery,
    AssignedSchedule,
    AssignedStep,
    Assignment,
    Resources,
)
from wardround.wire.card import CardMetric
from wardround.wire.envelope import Envelope
from wardround.wire.models import ModelManifest

GIVEN: list[dict[str, Any]] = [{}, {"rounds": 0, "evaluations": 0}, {"rounds": 5, "until": "2030-01-02"}]


def site_task(name: str, assignment: Assignment, status: Mapping[str, Any] | None = None) -> Object:
    changes = {each: getattr(assignment, each) for each in Assignment.__dataclass_fields__}
    made: Object = codec.dump(a_task(name, envelope=signed(**changes), status=status))
    return made


def ended(kind: str) -> Object:
    condition = {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": to_seconds(NOW)}
    return {"conditions": [condition]}


OWN = site_task("own", member(0))


def stored(made: Object) -> Object:
    """An object as the API server gives it."""
    meta = {"uid": made["metadata"]["name"], "creationTimestamp": to_seconds(NOW), "generation": 1}
    return {**made, "metadata": {**made["metadata"], **meta}}


def delivery(manifest: str = "unreadable") -> Assignment:
    model = AssignedDelivery(model_name="breast", model_uid="model-uid", version=3, keep=5, card="card")
    base = AssignedBase(manifest, b"key")
    return replace(ASSIGNMENT, task="Deliver", initial=False, base=base, parameters={}, delivery=model)


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


class Site:
    """A site with one task, and with DataSchemas that a person may list or not."""

    default_namespace = "hospital-a"
    server = "https://site.example"

    def __init__(self, schemas: list[Object] | None) -> None:
        self.schemas = schemas

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        return None if kind == "Site" else OWN

    def list(self, kind: str, namespace: str) -> Sequence[Object]:
        if kind == "DataSchema" and self.schemas is None:
            raise ForbiddenError("You may not list DataSchemas.")
        return {"DataSchema": self.schemas or [], "SiteTask": [OWN]}.get(kind, [])


class Deciding(Site):
    """A site with one task, about which a person decides."""

    def __init__(self, task: Object, *others: Object) -> None:
        super().__init__([])
        self.task, self.tasks = task, [task, *others]
        self.decision: Object = {}
        self.made: Sequence[Object] = ()

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        return None if kind == "Site" else self.task

    def list(self, kind: str, namespace: str) -> Sequence[Object]:
        return self.tasks if kind == "SiteTask" else []

    def create(self, item: Object) -> None:
        self.made = (*self.made, item)

    def user(self) -> str:
        return "carla"

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> None:
        self.decision = change["spec"]


def schema(name: str, spec: Mapping[str, Any] = SCHEMA) -> Object:
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("schemas", "name"),
    [
        (
            [schema("breast-v1"), schema("other", {**SCHEMA, "fields": SCHEMA["fields"][:2]}), schema("bad", {})],
            "breast-v1 ",
        ),
        ([schema("b"), schema("a")], "a, b "),
        ([], ""),
        (None, ""),
    ],
    ids=["one", "two", "none", "forbidden"],
)
def test_review_names_the_data_schema_of_the_site(
    schemas: list[Object] | None, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hub signs digests of the DataSchema, and no name."""
    options = parser().parse_args(["review", "sitetask/own"])
    assert options.run(cast(Cluster, Site(schemas)), options) == 0
    shown = [
        each.split(maxsplit=1)[1] for each in capsys.readouterr().out.splitlines() if each.startswith("  DataSchema")
    ]
    digest = ASSIGNMENT.schema.digest
    assert shown == [f"{name}({digest})" if name else digest] * 2


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_sweep_is_not_approved_by_a_task_that_has_ended(kind: str) -> None:
    known = approvals.reviewed(site_task("own", member(0), ended(kind)), ())
    with pytest.raises(CommandError, match="own has ended"):
        approved_sweeps.sweep(known, [site_task("one", member(1)), site_task("two", member(2))])


@pytest.mark.parametrize(("kind", "words"), [("Complete", "is complete"), ("Failed", r"has failed \(Failed\)")])
def test_nobody_approves_a_task_that_has_ended(kind: str, words: str) -> None:
    approvals.require_open(approvals.reviewed(OWN, ()))
    over = approvals.reviewed(site_task("own", member(0), ended(kind)), ())
    with pytest.raises(
        CommandError,
        match=f"SiteTask .*/own {words}, so an approval .* of the same model, repeat the command with --model",
    ):
        approvals.require_open(over)
    text = "\n".join(reviews.review(over, NOW))
    assert "approve sitetask/own -n hospital-a --model" in text
    assert "--sweep" not in text
    alone = approvals.reviewed(site_task("own", ASSIGNMENT, ended(kind)), ())
    with pytest.raises(CommandError, match=r"Nothing is written\.$"):
        approvals.require_open(alone)


def test_an_approval_of_a_task_that_was_denied_ends_the_denial_and_review_shows_the_command() -> None:
    """A denial counts for further attempts. Without a terminal, people copy the command from review."""
    task = site_task("own", member(0), ended("Failed"))
    denied = approvals.reviewed(task | {"spec": task["spec"] | {"denied": True, "decidedBy": "carla"}}, ())
    approvals.require_open(denied)
    assert "This task has failed (Failed), and stays so." in approvals.approved(denied)
    uid = denied.task.metadata.uid
    assert f"approve sitetask/own -n hospital-a --uid {uid}" in "\n".join(reviews.review(denied, NOW))


SENT: Object = {"timeline": [{"stage": "Sent", "time": "2026-11-24T12:00:00.000000Z"}]}


@pytest.mark.parametrize(
    ("assignment", "status", "words"),
    [
        (member(0), {}, "Denied: sitetask/own -n hospital-a"),
        (member(0), ended("Complete"), "task is complete, and stays so. Its update is at the hub, and stays there."),
        (member(0), ended("Failed") | SENT, "has failed (Failed), and stays so. Its update is at the hub, and stays"),
        (member(0), ended("Failed"), "This task has failed (Failed), and stays so.\n"),
        (delivery(), ended("Complete"), "is complete, and stays so. Its model is on the hospital's claim of models."),
        (delivery(), ended("Failed"), "This task has failed (Failed), and stays so.\n"),
    ],
    ids=["open", "complete", "sent", "failed", "delivered", "not delivered"],
)
def test_a_denial_that_comes_too_late_says_so(
    assignment: Assignment, status: Object, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Deciding(site_task("own", assignment, status))
    options = parser().parse_args(["deny", "sitetask/own"])
    assert options.run(cast(Cluster, site), options) == 0
    assert site.decision == {"approved": False, "denied": True, "decidedBy": "carla"}
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.startswith("Denied for further attempts only: sitetask/own -n hospital-a. ") == bool(status)


def test_the_approval_of_a_denied_task_that_is_complete_calls_it_complete() -> None:
    """A person denied the task after the courier had sent its update."""
    task = site_task("own", member(0), ended("Complete"))
    denied = approvals.reviewed(task | {"spec": task["spec"] | {"denied": True, "decidedBy": "carla"}}, ())
    assert approvals.approved(denied).endswith("This task is complete, and stays so.")


def test_withdrawing_the_approvals_of_a_model_leaves_its_denial() -> None:
    known = approvals.reviewed(OWN, ())
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    made = approvals.approve_model(known, **options, author="carla", now=NOW)
    denial = approvals.deny_model(approvals.reviewed(OWN, [stored(made)]), "carla")
    known = approvals.reviewed(OWN, [stored(made), stored(denial)])
    assert approvals.withdrawable(known) == [made["metadata"]["name"]]
    [left] = approvals.denials_left(known)
    assert f"kubectl wardround withdraw approval/{denial['metadata']['name']}" in left


def written_by_another_version(made: Object, change: Mapping[str, Any]) -> Object:
    text = json.dumps(json.loads(made["spec"]["terms"]) | change, indent=2)
    return stored(made) | {"spec": made["spec"] | {"terms": text}}


CHANGES: list[Mapping[str, Any]] = [{"newField": "x"}, {"compression": "Zstd"}, {"modelUID": 7}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_denial_that_another_version_has_written_is_shown_and_named_by_withdraw(change: Mapping[str, Any]) -> None:
    """The third denial names no model that the site can read, so it denies all models."""
    denial = written_by_another_version(approvals.deny_model(approvals.reviewed(OWN, ()), "carla"), change)
    known = approvals.reviewed(OWN, [denial])
    name = denial["metadata"]["name"]
    shown = f"Approval {name} by carla, {to_seconds(NOW)}: Deny (another version of Wardround may have written its"
    assert shown in "\n".join(reviews.review(known, NOW))
    command = f"kubectl wardround withdraw approval/{name} -n {known.task.metadata.namespace}"
    with pytest.raises(CommandError, match=f"nothing to withdraw.*{command}"):
        approvals.withdrawable(known)


def test_an_approval_that_another_version_has_written_is_shown_and_withdrawn() -> None:
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    made = approvals.approve_model(approvals.reviewed(OWN, ()), **options, author="carla", now=NOW)
    known = approvals.reviewed(OWN, [written_by_another_version(made, {"newField": "x"})])
    assert f"Approval {made['metadata']['name']} by carla" in "\n".join(reviews.review(known, NOW))
    assert approvals.withdrawable(known) == [made["metadata"]["name"]]
    assert approvals.denials_left(known) == []


def test_a_denial_of_another_model_is_neither_shown_nor_named() -> None:
    denial = approvals.deny_model(approvals.reviewed(site_task("other", member(1)), ()), "carla")
    known = approvals.reviewed(OWN, [written_by_another_version(denial, {"newField": "x"})])
    assert denial["metadata"]["name"] not in "\n".join(reviews.review(known, NOW))
    assert approvals.denials_left(known) == []


def test_the_review_names_a_model_that_a_namesake_leaves_out() -> None:
    known = approvals.reviewed(OWN, ())
    twin = member(1, name="breast-0", uid="uid-9")
    chosen = approved_sweeps.sweep(known, [OWN, site_task("twin", twin), site_task("other", member(1))])
    assert [each.uid for each in chosen.terms.models] == ["uid-0", "uid-1"]
    text = "\n".join(approved_sweeps.review(known, chosen, now=NOW))
    assert "because the list above has another model with the same name: breast-0 (UID uid-9)." in text


def test_the_text_of_a_delivery_names_model_version_file_and_what_is_deleted() -> None:
    digest = "sha256:" + "a" * 64
    names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
    header = body.new_header(bytes(32), kind=body.MODEL, attempt=1, length=0, **names)
    payload = codec.dump(ModelManifest(header, digest, "", "models/uid", 9))
    envelope = Envelope(payload=json.dumps(payload).encode(), payload_type="x", signatures=())
    known = approvals.reviewed(site_task("brings", delivery(codec.write_document(envelope).decode())), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "version 3 of model breast (UID model-uid)" in text
    assert digest in text
    assert "the newest 5 versions" in text
    assert "image" not in text


def test_a_delivery_whose_manifest_cannot_be_read_says_so() -> None:
    known = approvals.reviewed(site_task("brings", delivery()), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "the model's manifest cannot be read" in text


def test_the_text_of_a_delivery_has_the_log_loss_of_its_card() -> None:
    loss = CardMetric(name="loss", value="2.3", people=150, hospitals=3, rows="Validation", round_name="train-5")
    shown = []
    made = cards.first(making(), NOW)
    made = replace(made, model=replace(made.model, schema_digest="sha256:" + "a" * 64))
    for metrics in ((), (loss, replace(loss, value="2.4", rows="Test", people=90))):
        card = sign_card(replace(made, metrics=metrics), generate_signing_key())
        asks = delivery()
        assert asks.delivery is not None
        asks = replace(asks, delivery=replace(asks.delivery, card=card))
        shown.append("\n".join(reviews.review(approvals.reviewed(site_task("brings", asks), ()), NOW)))
    assert "not measured" in shown[0]
    assert "2.3 on validation rows of 150 people, 2.4 on test rows of 90 people (lower is better)" in shown[1]


def test_a_delivery_does_not_deny_or_approve_its_model() -> None:
    known = approvals.reviewed(site_task("brings", delivery()), ())
    with pytest.raises(CommandError, match="name the SiteTask of one of its Train rounds"):
        approvals.deny_model(known, "carla")


def read(status: Mapping[str, Any] | None) -> str:
    return "\n".join(reviews.review(approvals.reviewed(site_task("own", member(0), status), ()), NOW))


def test_a_person_reads_that_the_hub_does_not_wait_as_long_as_the_assignment_lasts() -> None:
    """The hub has issued the assignment a minute before noon, and waits for 900 seconds."""
    limit = "Decide before 2026-11-24T12:14:00Z: the hub then ends the task if nobody has approved it."
    text = read(None)
    assert "deadlines.admissionSeconds of the round is 900." in text
    assert f"The assignment expires at {member(0).expires}" in text
    assert limit in text
    accepted = {**ended("Complete")["conditions"][0], "type": "Accepted"}
    for status in ({"conditions": [accepted]}, ended("Complete"), ended("Failed")):
        assert limit not in read(status)


UNSAID: list[dict[str, Any]] = [*({"admission_seconds": each} for each in (0, 2_592_001, 2**53)), {"issued": "soon"}]


@pytest.mark.parametrize("change", UNSAID, ids=str)
def test_a_person_reads_no_number_that_the_hub_has_not_given(change: dict[str, Any]) -> None:
    known = approvals.reviewed(site_task("own", replace(member(0), **change)), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "Decide soon: the hub ends a task that nobody has approved within deadlines.admissionSeconds" in text
    assert "600" not in text


@pytest.mark.parametrize(
    ("reason", "shown"), [("ApprovalEnded", "approval withdrawn: bob, "), ("Denied", "Deny: bob, ")]
)
def test_an_approval_that_was_withdrawn_is_no_denial(reason: str, shown: str) -> None:
    failed = {**ended("Failed")["conditions"][0], "reason": reason}
    decision = {"verdict": "Deny", "by": "bob", "at": to_seconds(NOW)}
    assert shown in read({"conditions": [failed], "decision": decision})
