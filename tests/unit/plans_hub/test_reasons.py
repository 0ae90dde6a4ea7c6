"""Every reason is described once, has an owner and something to do, and is used."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import pytest

from wardround.plans import assignment, waits
from wardround.reasons.places import Place
from wardround.reasons.reason import (
    CLUSTER,
    HOSPITAL,
    HUB,
    IMAGE,
    IMAGE_OR_ROUND,
    NETWORK,
    NOBODY,
    PUSHER,
    READER,
    ROUND,
    ROUND_OR_HOSPITAL,
    Words,
)
from wardround.reasons.refusals import REFUSALS
from wardround.reasons.registry import COURIER, POD, REASONS, advise, reason_for
from wardround.sealing.manifests import verify_update

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reasons.md"
CODE = ROOT / "operator" / "wardround"
# Rooms whose words of this form are mostly Kubernetes', or that only show what others say.
OTHER_ROOMS = {"reasons", "api", "cli", "extras", "kube", "manifests", "simulate"}
REASON = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")
OTHER_WORDS = {
    "kinds": "DataSchema Dataset FederatedRound Job Lease Participant Pod RoundTask Secret ServiceAccount Site "
    "SiteTask ConfigMap Result Approval",
    "conditions": "Failed Ready Reconciling Stalled Accepted InputReady Trained Sent Complete HubConnected "
    "LinkLocalClosed Suspended FailureTarget DisruptionTarget PodScheduled Scheduled Tested VersionWaits",
    "status of conditions": "True False Unknown",
    "stages": "Started Dispatched Collected Aggregated Prepared Checked Sealed",
    "courses and standings of plans": "Progressing Over Refused Settled Waiting",
    "stages of a series, and of a measurement on test rows": "Comparing Ended Evaluating Running Withheld",
    "triggers of a series": "Created Cron NewPatients Requested",
    "choices of a model": "Automatic Current Skip",
    "elements of a store's list": "Contents Key NextContinuationToken",
    "verdicts of the gate, and of a hospital": "Better TooFewPeople Undecided Worse",
    "what the courier does with a SiteTask, and what stands against it": "Follow Observe RemoveFolder Api Gone "
    "Models Store Workspace",
    "what the courier has done about a delivery, and which part it lacks": "Done Card Folder Nothing",
    "what the hub answers to a heartbeat": "Forbidden Renewed Unauthorized Unavailable",
    "the task of a parent on a card": "Pushed",
    "tasks and policies": "Train Statistics Evaluate Deliver Policy Manual Approve Deny Warn Refuse",
    "classes": "Site Code Platform Network",
    "of updates": "Delta Equal FedAvg KeepBase Largest Mean Model Pairs Samples Sum Update",
    "strategies": "FedAdagrad FedAdam FedNova FedYogi GeometricMedian Krum Median MultiKrum NormBounding TrimmedMean",
    "compressions": "None",
    "how a server optimizer goes on": "Continued NoState OtherStrategy OtherParameters OtherFrozenTensors ServerState",
    "ends of waits, and parts of a hospital's data": "Acceptance Start File Limits Objects Split",
    "rows that a round measures": "Test Validation",
    "why rows are left out": "AboveMaximum BelowMinimum IdentifierMissing NotAnInteger NotInEnum RowMalformed",
    "why columns are ignored": "NotInSchema OtherColumnMapped",
    "what prepare heard over link-local": "Absent Open Silent",
    "the kubelet's": "ContainerCannotRun ErrImageNeverPull ErrImagePull ImagePullBackOff InvalidImageName "
    "RegistryUnavailable StartError Succeeded",
    "of metrics": "Higher Lower Normal Wilson LogNormal DeLong Share Count Edge",
    "of cards": "Allowed Feature Ignored Logistic NoPrediction ReLU Target",
    "who may get a result": "Participants Readers Nobody",
    "of Events": "Normal Warning Set",
    "in messages and headers": "Lost Range Recipient Opaque",
}
NO_REASON = {word for words in OTHER_WORDS.values() for word in words.split()}


def words_of(path: Path) -> Iterator[str]:
    """Texts in a module that have the form of a reason."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and REASON.fullmatch(node.value):
            yield node.value


def words_in(function: Callable[..., object]) -> Iterator[str]:
    """Texts in a function that have the form of a reason."""
    for each in re.finditer(rf'"({REASON.pattern})"', inspect.getsource(function)):
        yield each[1]


def words(without: AbstractSet[str]) -> set[str]:
    """Of all rooms but these."""
    paths = (path for path in CODE.rglob("*.py") if path.relative_to(CODE).parts[0] not in without)
    return {word for path in paths for word in words_of(path)}


def test_every_reason_that_the_code_uses_is_in_the_registry() -> None:
    assert words(OTHER_ROOMS) - NO_REASON - set(REASONS) == set(), "add it to operator/wardround/reasons"


def test_every_reason_in_the_registry_is_used() -> None:
    """By the code, or by another reason, which becomes this one."""
    becomes = {each.in_round for each in REASONS.values()} | {wait.deadline for wait in waits.WAITS.values()}
    assert becomes - {None} <= set(REASONS)
    assert set(REASONS) - words({"reasons"}) - becomes == set()


@pytest.mark.parametrize("name", sorted(REASONS))
def test_every_reason_says_what_happened_who_acts_and_how(name: str) -> None:
    reason = REASONS[name]
    assert reason.name == name
    people = {HOSPITAL, IMAGE, ROUND, HUB, CLUSTER, NETWORK, NOBODY, PUSHER, READER}
    assert reason.owner in people | {ROUND_OR_HOSPITAL, IMAGE_OR_ROUND}
    for text in (reason.meaning, reason.action):
        assert re.match(r"[A-Z]|spec\.|policy\.", text)
        assert text.endswith(".")
        assert ";" not in text
    assert len(reason.text) < 900, "a condition's message has 1024 characters, names among them"


def test_only_failures_of_platform_or_network_are_tried_again() -> None:
    """A fault of the data or of the code gives the same answer again."""
    retried = {each.failure_class for each in REASONS.values() if each.retried}
    assert retried == {"Platform", "Network"}


def test_a_container_of_ours_has_an_exit_code_for_each_reason_that_it_says() -> None:
    assert all(REASONS[name].exit_code and REASONS[name].failure_class for name in POD)


def test_the_pod_fails_a_task_for_each_reason_of_its_code() -> None:
    """What it says beside these is a remark about rows, or that it has read them."""
    remarks = {name for name, each in REASONS.items() if each.concerns == "Rows"}
    assert used_by(("pod",)) - remarks - {"Read"} == POD


def test_the_courier_fails_a_task_for_each_reason_for_which_its_code_refuses_one() -> None:
    """After the reasons of a wait the courier tries again. The aggregation alone verifies updates."""
    compared = {*words_in(assignment.verify), *words_in(assignment.require_version)} & set(REASONS)
    here = used_by(("courier", "plans/courier", "sealing", "store")) - ({*words_in(verify_update)} - {"WrongBase"})
    assert (here | compared) - set(waits.WAITS) == COURIER
    assert here & waits.TROUBLE - waits.UNACCEPTED == {
        name for name, wait in waits.WAITS.items() if wait.stage == "Transfer" and name in waits.TROUBLE
    }


def test_a_task_that_waits_too_long_fails_with_a_class() -> None:
    assert [name for name in waits.WAITS if not REASONS[waits.too_long(name, "")].failure_class] == []
    assert set(waits.WAITS) & (COURIER | POD) == set(), "a task that fails at once does not wait"


def test_an_unknown_reason_is_not_guessed_at() -> None:
    assert "SomethingNew" in reason_for("SomethingNew").meaning
    assert reason_for("SomethingNew", "Code").owner == IMAGE


def test_a_sentence_has_the_names_of_what_it_is_about() -> None:
    message = advise("FederationNotAllowed", "site-a", federation="breast-cancer", dataset="breast")
    assert "kubectl wardround enrol site-a --federation breast-cancer --apply" in message
    assert "Dataset breast" in advise("DataUnreadable", "site-a", dataset="breast")


def test_nobody_has_to_act_where_the_advice_is_to_wait() -> None:
    idle = [each for each in REASONS.values() if re.match(r"(Wait|Nothing to do)[.]", each.action)]
    assert {each.name for each in idle} >= {"Queued", "Complete"}
    assert [each.name for each in idle if each.owner != NOBODY] == []


def test_a_command_for_a_cluster_names_the_namespace() -> None:
    actions = " ".join(each.action for each in REASONS.values())
    commands = re.findall(r"`(kubectl (?!wardround)[^`]+ [^`]*)`", actions)
    assert len(commands) > 3
    named = (" -n SITE_NAMESPACE", " -n FEDERATION", " -n HUB_NAMESPACE")
    assert [each for each in commands if each != "kubectl describe" and not any(map(each.count, named))] == []


@pytest.mark.parametrize("name", ["CountsInvalid", "CompressionInvalid", "FrozenNotZero", "UpdateLengthDiffers"])
def test_a_hospital_that_goes_on_to_send_unusable_updates_can_be_suspended(name: str) -> None:
    """Otherwise each round asks the hospital, and leaves out its update."""
    action = REASONS[name].about("site-a").action
    assert "the hub's administrator sets spec.suspend of Participant site-a to true until the hospital" in action


@pytest.mark.parametrize("name", ["ActionFailed", "NotDispatched"])
def test_a_step_that_the_hub_operator_could_not_take_names_the_command_that_shows_its_log(name: str) -> None:
    assert REASONS[name].action.startswith("Run `kubectl logs deployment/hub-operator -n HUB_NAMESPACE`: the log ")


def test_a_job_that_was_not_admitted_is_not_taken_for_a_pod_without_memory() -> None:
    message = REASONS["JobNotAdmitted"].action
    assert all(word in message for word in ("ResourceQuota", "admission policy", "upgrade the CRDs"))
    assert "memory" not in message


KINDS = {
    "Dataset": ("plans/dataset.py",),
    "Site": ("plans/site", "plans/link_local.py", "plans/versions.py"),
    "Participant": ("plans/participant.py", "plans/versions.py"),
    "FederatedRound": ("plans/round", "plans/participant.py", "plans/versions.py"),
    "RoundTask": ("plans/sitetask", "plans/assignment.py"),
}
# A condition's type, as far as the same word is also a reason.
CONDITIONS = {"Accepted", "BaseDeleted", "CleanedUp", "Complete", "Sent", "Suspended", "Trained"}


def used_by(places: tuple[str, ...]) -> set[str]:
    """The reasons that these modules name."""
    paths = [
        path for place in places for path in ([CODE / place] if place.endswith(".py") else (CODE / place).rglob("*.py"))
    ]
    return {word for path in paths for word in words_of(path)} & set(REASONS)


def test_every_reason_stands_somewhere() -> None:
    assert [name for name, each in REASONS.items() if not each.stands_in] == []


def test_no_reason_lists_a_place_that_follows_from_another_field() -> None:
    for name, each in REASONS.items():
        derived = replace(each, places=()).stands_in
        listed = {*each.places} - ({Place.ACCEPTED} if each in REFUSALS else set())
        assert listed & {*derived} == set(), name


@pytest.mark.parametrize("kind", ["Dataset", "Site"])
def test_a_reason_stands_where_the_plan_of_that_kind_says_it(kind: str) -> None:
    """These kinds have a plan of their own, which says nothing of another kind."""
    here = {name for name, each in REASONS.items() if any(place.startswith(f"{kind}: ") for place in each.stands_in)}
    reasons = used_by(KINDS[kind]) - CONDITIONS
    if kind == "Site":
        # Suspended is a reason here, and its message has the text of ParticipantSuspended.
        reasons = reasons - {"ParticipantSuspended"} | {"Suspended"}
    if kind == "Dataset":
        # The plan of the Dataset copies what `prepare` says of the data.
        reasons |= {name for name in used_by(("pod",)) if REASONS[name].concerns}
    assert here == reasons


@pytest.mark.parametrize("kind", ["Participant", "FederatedRound", "RoundTask"])
def test_each_reason_of_a_plan_is_listed_for_its_kind_or_for_the_round(kind: str) -> None:
    """Participants are asked about for rounds too, and a failed task stands in its round's attention."""
    kinds = ("Participant", "FederatedRound", "RoundTask") if kind != "RoundTask" else (kind, "Dataset")
    elsewhere = [
        name
        for name in sorted(used_by(KINDS[kind]))
        if not any(each in place for place in REASONS[name].stands_in for each in (*kinds, "every kind"))
    ]
    assert elsewhere == []


def as_markdown() -> str:
    """docs/reasons.md, from the registry."""
    at_predictions = [f"| `{name}` | {each.meaning} | {each.action} |" for name, each in sorted(_own_words().items())]
    return "\n".join([INTRODUCTION, *(_row(name) for name in sorted(REASONS)), AT_A_PREDICTION, *at_predictions]) + "\n"


INTRODUCTION = """# Reasons
A reason is one word that says why an object waits, has failed or has ended. Objects show it in a condition, in
`status.failure` of a task, or in `status.attention` of a round. The column "stands in" names the kinds and conditions
that show a reason. If a person has to help, or if the object has failed, its condition `Stalled` has the reason too.
`kubectl wardround explain KIND/NAME -n NAMESPACE` gives the same texts, with the names of your objects in place of the
words in capitals.

The column "class" says for a failed task what kind of problem it has: `Site` (the hospital's policy or data), `Code`
(the training code), `Platform` (a cluster) or `Network`. With "tried again", the hub operator makes another attempt
after such a failure, up to the round's `retryLimit`. The task of the last attempt keeps its reason.

`as_markdown()` of `tests/unit/plans_hub/test_reasons.py` makes this page from `operator/wardround/reasons`.

| reason | stands in | class | means | who acts | do |
|---|---|---|---|---|---|"""
AT_A_PREDICTION = """
## At a Prediction
A Prediction has no round and no SiteTask. So `explain` says this of these reasons if a Prediction has them:

| reason | means | do |
|---|---|---|"""


def _own_words() -> dict[str, Words]:
    return {name: each.at_prediction for name, each in REASONS.items() if each.at_prediction is not None}


def _row(name: str) -> str:
    each = REASONS[name]
    kind = f"{each.failure_class or ''}{', tried again' if each.retried else ''}"
    return f"| `{name}` | {_stands_in(name)} | {kind} | {each.meaning} | {each.owner} | {each.action} |"


def _stands_in(name: str) -> str:
    """Each kind once, with all its conditions."""
    places: dict[str, list[str]] = {}
    for place in REASONS[name].stands_in:
        kinds, _, condition = place.partition(": ")
        places.setdefault(kinds, []).append(condition)
    return "; ".join(": ".join(filter(None, (kinds, ", ".join(conditions)))) for kinds, conditions in places.items())


def test_a_reason_with_words_for_a_prediction_can_stand_at_one() -> None:
    for name in _own_words():
        assert any(place.startswith("Prediction: ") for place in REASONS[name].stands_in), name


def test_the_documentation_says_what_explain_says() -> None:
    assert PAGE.read_text() == as_markdown(), (
        "run `python -c 'from tests.unit.plans_hub.test_reasons import *; PAGE.write_text(as_markdown())'`"
    )
