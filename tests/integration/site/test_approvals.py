"""A hospital approves a model: the site operator, the courier and the command line, against a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.apiserver import Refused, account
from tests.integration.api.objects import TRAINER
from tests.integration.cluster import free_port, token
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, PERSON, Site, eventually
from tests.integration.site.hub import HUB_OPERATOR, Object
from tests.integration.site.play import condition, enrolled, forgets_after, job_of, site_tasks, taken_and_ended
from tests.worlds.site import ASSIGNMENT
from wardround.clock import system_draw
from wardround.courier import main as courier
from wardround.kube.client import Client
from wardround.kubectl import main
from wardround.wire.assignment import AssignedModel, AssignedPushed

pytestmark = pytest.mark.own_courier
APPROVALS = f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}/approvals"
OPERATOR = account(NAMESPACE, "site-operator")
REMEMBERED = 3
SERIES = AssignedModel(
    name="breast",
    uid="5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21",
    series=1,
    round=1,
    rounds=3,
    tasks=("Statistics", "Train", "Evaluate Validation"),
    image=TRAINER,
    command=ASSIGNMENT.command,
    parameters=ASSIGNMENT.parameters,
    schedules=(),
    frozen=ASSIGNMENT.exchange.frozen,
    metrics=ASSIGNMENT.metrics,
    quorum=ASSIGNMENT.quorum,
    evaluation_quorum=ASSIGNMENT.quorum,
    resources=ASSIGNMENT.resources,
)


@pytest_asyncio.fixture
async def manual(site: Site) -> AsyncIterator[Site]:
    """A site whose policy is Manual, for the courier too, and that has no Approval."""
    pins = dataclasses.replace(site.settings.pins, approval="Manual")
    secret = token(site.api, NAMESPACE, "courier")
    own = Client(site.server, site.ca, lambda: secret, NAMESPACE, draw=system_draw)
    running = asyncio.create_task(courier.run(dataclasses.replace(site.settings, pins=pins), own, free_port()))
    site.api.call("DELETE", APPROVALS)
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Manual"}}}, NAMESPACE)
    try:
        await enrolled(site)
        yield site
    finally:
        site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Policy"}}}, NAMESPACE)
        site.api.call("DELETE", APPROVALS)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


class Person:
    """A person of the hospital with the command line."""

    def __init__(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        self._site, self._capsys = site, capsys

    async def runs(self, *words: str, code: int = 0) -> str:
        """Both outputs of a command."""
        self._capsys.readouterr()
        more = ["-n", NAMESPACE, "--kubeconfig", str(self._site.api.kubeconfig)]
        assert await asyncio.to_thread(main, [*words, *more]) == code
        output = self._capsys.readouterr()
        return output.out + output.err


@pytest.fixture
def person(site: Site, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(site, capsys)


async def reason(site: Site, name: str, kind: str, expected: str) -> None:
    """Waits for the reason of a condition at the hub."""
    await eventually(
        f"{kind} of {name} is {expected}",
        lambda: condition(site.api.get("RoundTask", name, PARTICIPANT), kind)["reason"] == expected,
    )


def only(site: Site) -> Object:
    [approval] = site.api.call("GET", APPROVALS)["items"]
    live: Object = approval
    return live


def ask(site: Site, series: AssignedModel | None = SERIES, **changes: Any) -> str:
    return str(site.hub.ask(series=series, **changes)["metadata"]["name"])


async def approved(site: Site, person: Person, *options: str) -> str:
    """The name of a first task, after a person has approved its model."""
    first = ask(site)
    await reason(site, first, "Accepted", "WaitingForApproval")
    uid = site.task(first)["metadata"]["uid"]
    await person.runs("approve", f"st/{first}", "--model", "--uid", uid, *options)
    await reason(site, first, "Accepted", "Accepted")
    return first


async def test_a_person_approves_a_model_once_and_the_courier_agrees(manual: Site, person: Person) -> None:
    """Of the model that this round starts from, an Approval says nothing."""
    site, model = manual, b"a base of the hub's choice"
    first = await approved(site, person)
    assert only(site)["spec"]["author"] == PERSON
    assert site.task(first)["spec"]["approved"] is False
    decision = site.task(first)["status"]["decision"]
    assert (decision["verdict"], decision["by"], decision["approval"]) == (
        "Approve",
        PERSON,
        only(site)["metadata"]["name"],
    )
    assert "decision" not in site.api.get("RoundTask", first, PARTICIPANT)["status"]

    second = ask(site, model=await site.hub.seal_model(model), initial=False)
    fetched = site.workspace / "tasks"
    await eventually("the courier has fetched", lambda: list(fetched.glob("*/in/model.safetensors")))
    assert (site.folder(second) / "in" / "model.safetensors").read_bytes() == model
    assert (only(site)["status"]["rounds"], len(only(site)["status"]["roundTasks"])) == (2, 2)
    text = await person.runs("review", f"st/{second}")
    assert f"by {PERSON}" in text
    assert "2 of 8 rounds, 0 of 4 evaluations" in text


async def test_an_approval_covers_a_task_that_was_accepted_before_the_policy_asked_people(
    manual: Site, person: Person
) -> None:
    site, model = manual, b"a base of the hub's choice"
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Policy"}}}, NAMESPACE)
    early = ask(site, model=await site.hub.seal_model(model), initial=False)
    await reason(site, early, "Accepted", "Accepted")
    site.api.patch("Site", "site", {"spec": {"policy": {"approval": "Manual"}}}, NAMESPACE)
    await eventually(
        "the courier waits for people",
        lambda: site.task(early)["status"].get("courier", {}).get("reason") == "WaitingForApproval",
    )
    assert "decision" not in site.task(early)["status"]
    await person.runs("approve", f"st/{early}", "--model", "--uid", site.task(early)["metadata"]["uid"])
    await eventually("the courier has fetched", (site.folder(early) / "in" / "model.safetensors").exists)
    decision = site.task(early)["status"]["decision"]
    assert (decision["by"], decision["approval"]) == (PERSON, only(site)["metadata"]["name"])
    assert only(site)["status"]["rounds"] == 1


async def test_pushed_weights_are_refused_by_default_and_then_wait_for_a_person_who_sees_them_first(
    manual: Site, person: Person
) -> None:
    """An Approval of the same series without pushed weights does not cover them."""
    site = manual
    pushed = (AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda"),)
    await approved(site, person)
    refused = ask(site, pushed=pushed)
    await reason(site, refused, "Accepted", "PushedModelNotAllowed")
    message = condition(site.task(refused), "Accepted")["message"]
    assert f'weights {pushed[0].digest} pushed by "wanda"' in message
    site.api.patch("Site", "site", {"spec": {"policy": {"pushedModels": True}}}, NAMESPACE)
    try:
        waits = ask(site, pushed=pushed)
        await reason(site, waits, "Accepted", "WaitingForApproval")
        text = await person.runs("review", f"st/{waits}")
    finally:
        site.api.patch("Site", "site", {"spec": {"policy": {"pushedModels": False}}}, NAMESPACE)
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith("  ")]
    task, series = (each for each in lines if each[:2] == ["pushed", "weights"])
    assert (task[2], series[2]) == (f"{pushed[0].digest}, pushed by wanda", f"{pushed[0].digest}, pushed by wanda")
    # The first fact of the task, and the first one of its model.
    assert [lines[0], lines[[*lines].index(series)]] == [task, series]
    assert "its terms differ in pushed" in text


async def test_a_hub_that_changes_a_term_or_asks_too_often_waits_for_a_person(manual: Site, person: Person) -> None:
    site = manual
    await approved(site, person, "--rounds", "2")
    changed = dataclasses.replace(SERIES, parameters={"epochs": "50"})
    more = dataclasses.replace(SERIES, rounds=4)
    tasks = {
        "parameters of the series": ask(site, series=changed, parameters={"epochs": "50"}),
        "parameters of the task alone": ask(site, parameters={"epochs": "50"}),
        "rounds of the series": ask(site, series=more),
        "another series": ask(site, series=dataclasses.replace(SERIES, series=2)),
        "no series": ask(site, series=None),
    }
    for name in tasks.values():
        await reason(site, name, "Accepted", "WaitingForApproval")
    await reason(site, ask(site), "Accepted", "Accepted")
    beyond = ask(site)
    await reason(site, beyond, "Accepted", "WaitingForApproval")
    assert (
        "the site has accepted as many rounds as the Approval allows"
        in condition(site.task(beyond), "Accepted")["message"]
    )
    assert only(site)["status"]["rounds"] == 2
    await eventually("it says so", lambda: condition(only(site), "Ready")["reason"] == "ApprovalUsedUp")
    # The hospital agrees to one more round. Within the old limit, an Approval would cover nothing.
    uid = site.task(beyond)["metadata"]["uid"]
    text = await person.runs("approve", f"st/{beyond}", "--model", "--rounds", "2", "--uid", uid, code=2)
    assert "Nothing is approved." in text
    assert "2 Train and Statistics tasks with these terms count already" in text
    assert only(site)["spec"]["maxRounds"] == 2
    await person.runs("approve", f"st/{beyond}", "--model", "--rounds", "3", "--uid", uid)
    await reason(site, beyond, "Accepted", "Accepted")


async def test_counts_outlive_tasks_a_restart_and_the_approval_itself(manual: Site, person: Person) -> None:
    site = manual
    first = await approved(site, person, "--rounds", "2")
    # Without the task, the Approval has the count.
    site.hub.cancel(first)
    await reason(site, first, "Failed", "Cancelled")
    site.api.delete("SiteTask", first, NAMESPACE)
    await site.restart()
    second = ask(site)
    await reason(site, second, "Accepted", "Accepted")
    assert only(site)["status"]["rounds"] == 2
    third = ask(site)
    await reason(site, third, "Accepted", "WaitingForApproval")
    # Without the Approval, the tasks that are left at the site have it.
    before = only(site)
    site.api.delete("Approval", before["metadata"]["name"], NAMESPACE)
    await reason(site, second, "Failed", "ApprovalEnded")
    again = {key: before["metadata"][key] for key in ("name", "namespace")}
    site.api.create({**before, "metadata": again, "spec": {**before["spec"], "maxRounds": 1}})
    await eventually("it is seen", lambda: condition(only(site), "Ready")["reason"] == "SeriesApproved")
    await reason(site, third, "Accepted", "WaitingForApproval")


async def test_a_hub_that_repeats_a_counted_round_uses_up_another_one(
    manual: Site, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site has forgotten the task. The hub signs another assignment for the same attempt of the same round."""
    site = manual
    forgets_after(monkeypatch, REMEMBERED)
    first = await approved(site, person, "--rounds", str(REMEMBERED + 1))
    old = site.api.get("RoundTask", first, PARTICIPANT)
    site.hub.cancel(first)
    await reason(site, first, "Failed", "Cancelled")
    await asyncio.sleep(1)  # creation times are whole seconds: in one second, the names decide which task is older
    for _ in range(REMEMBERED):
        await taken_and_ended(site, series=SERIES)
    await eventually("the site has forgotten the task", lambda: first not in site_tasks(site))
    assert only(site)["status"]["rounds"] == REMEMBERED + 1
    site.hub.delete(first)
    assert ask(site, round_uid=old["spec"]["roundRef"]["uid"], train_seconds=1801) == first
    await reason(site, first, "Accepted", "WaitingForApproval")
    assert only(site)["status"]["rounds"] == REMEMBERED + 1
    # The same assignment once more would count for nothing. The site refuses it, because it is old.
    site.hub.delete(first)
    await eventually("the site has seen it", lambda: first not in site_tasks(site))
    site.api.create({**old, "metadata": {"name": first, "namespace": PARTICIPANT}}, user=HUB_OPERATOR)
    await reason(site, first, "Accepted", "AssignmentTooOld")


async def test_a_withdrawn_approval_ends_the_tasks_that_rest_on_it(manual: Site, person: Person) -> None:
    site = manual
    first = await approved(site, person)
    await eventually("the Job", lambda: job_of(site, first))
    await person.runs("withdraw", f"approval/{only(site)['metadata']['name']}")
    await reason(site, first, "Failed", "ApprovalEnded")
    await eventually("the Job is gone", lambda: job_of(site, first) is None)
    assert only(site)["spec"]["withdrawnBy"] == PERSON
    await eventually("the time is kept", lambda: "withdrawnAt" in only(site)["status"])
    await reason(site, ask(site), "Accepted", "WaitingForApproval")


async def test_a_task_can_be_approved_denied_and_withdrawn_alone(manual: Site, person: Person) -> None:
    site = manual
    # Of another round of the series: a denial counts for further attempts at the same round.
    one, other = ask(site), ask(site, series=dataclasses.replace(SERIES, round=2))
    for name in (one, other):
        await reason(site, name, "Accepted", "WaitingForApproval")
    text = await person.runs("review", f"st/{one}")
    assert "epochs=5" in text
    assert f"kubectl wardround approve sitetask/{one} -n {NAMESPACE} --uid" in text
    wrong = await person.runs("approve", f"st/{one}", "--uid", "another", code=2)
    assert "the hub has replaced the SiteTask" in wrong
    await person.runs("approve", f"st/{one}", "--yes")
    await reason(site, one, "Accepted", "Accepted")
    assert site.task(one)["spec"]["decidedBy"] == PERSON
    await person.runs("withdraw", f"st/{one}")
    await reason(site, one, "Failed", "ApprovalEnded")
    assert "nobody has approved" in await person.runs("withdraw", f"st/{other}", code=2)
    await person.runs("deny", f"st/{other}")
    await reason(site, other, "Failed", "Denied")
    decision = site.task(other)["status"]["decision"]
    assert (decision["verdict"], decision["by"]) == ("Deny", PERSON)
    assert "This task has failed (Denied), and stays so." in await person.runs("approve", f"st/{other}", "--yes")
    assert site.task(other)["spec"]["denied"] is False
    for words in ((), ("--yes",)):
        refused = await person.runs("approve", f"st/{other}", *words, code=2)
        assert "has failed (Denied), so an approval of this task changes nothing" in refused


async def test_a_person_denies_a_model(manual: Site, person: Person) -> None:
    site = manual
    first = ask(site)
    await reason(site, first, "Accepted", "WaitingForApproval")
    await person.runs("deny", f"st/{first}", "--model")
    await reason(site, first, "Failed", "Denied")
    await reason(site, ask(site, series=dataclasses.replace(SERIES, rounds=9)), "Failed", "Denied")
    await person.runs("withdraw", f"approval/{only(site)['metadata']['name']}")
    await reason(site, ask(site), "Accepted", "WaitingForApproval")


async def test_a_site_operator_that_lies_gets_nothing_from_the_courier(manual: Site, person: Person) -> None:
    """It claims that the Approval covers a task of other terms. It cannot write one that does."""
    site = manual
    await approved(site, person)
    name = only(site)["metadata"]["name"]
    changed = dataclasses.replace(SERIES, parameters={"epochs": "50"})
    sealed = await site.hub.seal_model(b"model")
    task = ask(site, series=changed, parameters={"epochs": "50"}, model=sealed, initial=False)
    await reason(site, task, "Accepted", "WaitingForApproval")
    accepted = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    claimed = {**accepted, "lastTransitionTime": "2026-11-24T11:59:00Z"}
    decision = {"verdict": "Approve", "by": PERSON, "at": "2026-11-24T11:59:00Z", "approval": name}
    site.api.patch_status("SiteTask", task, {"conditions": [claimed], "decision": decision}, NAMESPACE, user=OPERATOR)
    await eventually(
        "the courier waits for the people here",
        lambda: (site.task(task)["status"].get("courier") or {}).get("reason") == "WaitingForApproval",
    )
    assert not (site.folder(task) / "in" / "model.safetensors").exists()
    spec = {**only(site)["spec"], "terms": "{}"}
    forged = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "x", "namespace": NAMESPACE},
    }
    with pytest.raises(Refused, match="forbidden"):
        site.api.create({**forged, "spec": spec}, user=OPERATOR)


def member(number: int, epochs: str, **changes: Any) -> AssignedModel:
    """A model of a sweep over epochs."""
    uid = f"{SERIES.uid[:-1]}{number}"
    return dataclasses.replace(SERIES, name=f"breast-{number}", uid=uid, parameters={"epochs": epochs}, **changes)


async def test_a_person_approves_the_models_of_a_sweep_once_and_no_other_model(manual: Site, person: Person) -> None:
    site = manual
    models = [member(number, epochs) for number, epochs in enumerate(("5", "6", "7"))]
    tasks = [ask(site, series=each, parameters=each.parameters) for each in models]
    for name in tasks:
        await reason(site, name, "Accepted", "WaitingForApproval")
    text = await person.runs("approve", f"st/{tasks[0]}", "--sweep", code=2)
    assert "3 models of federation breast-cancer ask for the same, but for epochs:" in text
    assert [line.split()[:2] for line in text.splitlines() if "(UID" in line] == [
        [each.name, f"epochs={each.parameters['epochs']}"] for each in models
    ]
    digest = text.split("--digest ")[1].split()[0]
    # A hub adds a model after the person has read.
    late = member(3, "8")
    added = ask(site, series=late, parameters=late.parameters)
    await reason(site, added, "Accepted", "WaitingForApproval")
    changed = await person.runs("approve", f"st/{tasks[0]}", "--sweep", "--digest", digest, code=2)
    assert "the models of the sweep now ask for something else" in changed
    await person.runs("deny", f"st/{added}")
    await reason(site, added, "Failed", "Denied")
    await person.runs("approve", f"st/{tasks[0]}", "--sweep", "--digest", digest, "--rounds", "4")
    for name in tasks:
        await reason(site, name, "Accepted", "Accepted")
        assert site.task(name)["status"]["decision"]["approval"] == only(site)["metadata"]["name"]
    outside = {
        "a model that claims the name and the value of another": dataclasses.replace(models[0], uid=late.uid),
        "the value of another model": dataclasses.replace(models[0], parameters=models[1].parameters),
        "a value outside the sweep": dataclasses.replace(models[0], parameters={"epochs": "50"}),
        "more rounds": dataclasses.replace(models[0], rounds=4),
    }
    for difference, each in outside.items():
        name = ask(site, series=each, parameters=each.parameters)
        await reason(site, name, "Accepted", "WaitingForApproval")
        assert not site.task(name)["status"].get("decision"), difference
    sealed = await site.hub.seal_model(b"a base")
    second = ask(site, series=models[1], parameters=models[1].parameters, model=sealed, initial=False)
    await reason(site, second, "Accepted", "Accepted")
    fetched = site.folder(second) / "in" / "model.safetensors"
    await eventually("the courier agrees", fetched.exists)
    # Four rounds in all, whatever the model.
    beyond = ask(site, series=models[2], parameters=models[2].parameters)
    await reason(site, beyond, "Accepted", "WaitingForApproval")
    assert only(site)["status"]["rounds"] == 4


async def test_without_another_model_there_is_no_sweep_to_approve(manual: Site, person: Person) -> None:
    site, one = manual, member(0, "5")
    first = ask(site, series=one, parameters=one.parameters)
    other = dataclasses.replace(member(1, "6"), rounds=9)
    unlike = ask(site, series=other, parameters=other.parameters)
    for name in (first, unlike):
        await reason(site, name, "Accepted", "WaitingForApproval")
    output = await person.runs("approve", f"st/{first}", "--sweep", code=2)
    assert "because there is no sweep: a sweep needs several models" in output
    assert site.api.call("GET", APPROVALS)["items"] == []
