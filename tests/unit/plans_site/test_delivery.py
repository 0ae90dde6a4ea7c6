"""How a site takes a model of the hub: what it refuses, and that the courier alone works on it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.plans_site.plans import holds, hub_status, reason
from tests.worlds.site import ASSIGNMENT, HUB, NOW, SCHEMA, a_site, a_task, accepted, change_names, seen
from wardround.api.site import Site
from wardround.plans.schema import assigned
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import Observation, Plan
from wardround.wire.assignment import AssignedBase, AssignedDelivery, Assignment, Quorum

MODEL = AssignedDelivery(model_name="breast", model_uid="uid", version=3, keep=5, card="card")
DELIVERY = dataclasses.replace(
    ASSIGNMENT,
    task="Deliver",
    image="",
    image_digest="",
    initial=False,
    base=AssignedBase("manifest", b"key"),
    quorum=Quorum(1, (), 60, "Fail"),
    parameters={},
    delivery=MODEL,
)


def taking(claim: str = "models", tasks: tuple[str, ...] = ("Deliver",), **policy: Any) -> Site:
    site = a_site(tasks=list(tasks), **policy)
    workload = dataclasses.replace(site.spec.workload, models_claim_name=claim)
    return dataclasses.replace(site, spec=dataclasses.replace(site.spec, workload=workload))


def delivering(
    site: Site | None = None, assignment: Assignment = DELIVERY, status: Any = None, **changes: Any
) -> Observation:
    return seen(a_task(envelope=HUB.sign(assignment), status=status), **{"site": site or taking(), **changes})


def refusal(planned: Plan) -> str:
    accepted_condition = holds(planned.status, "Accepted")
    assert accepted_condition.status == "False"
    return accepted_condition.reason


def test_a_site_that_lists_the_task_takes_a_delivery_though_its_quorum_is_one() -> None:
    planned = plan(delivering())
    assert holds(planned.status, "Accepted").status == "True"
    assert reason(planned) == "Delivering"
    assert change_names(planned) == ()


@pytest.mark.parametrize(
    ("site", "wanted"),
    [
        (taking(tasks=("Train", "Statistics", "Evaluate")), "TaskNotAllowed"),
        (taking(claim=""), "NoModelsClaim"),
        (taking(datasets=[]), "DatasetNotAllowed"),
        (taking(approval="Deny"), "Denied"),
    ],
    ids=["default tasks", "no claim", "another federation", "no tasks"],
)
def test_a_site_refuses_what_its_hospital_does_not_want(site: Site, wanted: str) -> None:
    assert refusal(plan(delivering(site))) == wanted


def test_a_site_refuses_a_model_with_another_column_than_its_own_dataschema() -> None:
    """A dishonest hub delivers a model whose code gets one column more. The site allows everything else."""
    number = {"name": "mrn", "type": "integer"}
    further = assigned({**SCHEMA, "fields": [*SCHEMA["fields"], number]})
    assert refusal(plan(delivering(assignment=dataclasses.replace(DELIVERY, schema=further)))) == "DatasetDiffers"


def test_a_site_asks_its_people_first_where_they_want_that() -> None:
    planned = plan(delivering(taking(approval="Manual")))
    assert holds(planned.status, "Accepted").reason == "WaitingForApproval"


MALFORMED: dict[str, dict[str, Any]] = {
    "no delivery": {"delivery": None},
    "no model": {"base": None},
    "version zero": {"delivery": dataclasses.replace(MODEL, version=0)},
    "keeps nothing": {"delivery": dataclasses.replace(MODEL, keep=0)},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_delivery_without_a_model_or_a_version_is_refused(case: str) -> None:
    assert refusal(plan(delivering(assignment=dataclasses.replace(DELIVERY, **MALFORMED[case])))) == "TaskNotAllowed"


def test_no_other_task_brings_a_version() -> None:
    train = dataclasses.replace(ASSIGNMENT, delivery=MODEL)
    assert refusal(plan(delivering(taking(tasks=("Train",)), train))) == "TaskNotAllowed"


@pytest.mark.parametrize("name", ["../state", "a/b", "..", ".hidden", "", "Breast", "breast\n"])
def test_a_name_with_parts_of_a_path_is_refused(name: str) -> None:
    named = dataclasses.replace(DELIVERY, delivery=dataclasses.replace(MODEL, model_name=name))
    planned = plan(delivering(assignment=named))
    assert refusal(planned) == "AssignmentUnreadable"
    assert "delivery.modelName" in holds(planned.status, "Failed").message


def test_an_assignment_that_was_accepted_before_is_not_accepted_again() -> None:
    before = a_task("before-1a2b3c4d-a1", envelope=HUB.sign(DELIVERY), status=accepted())
    assert refusal(plan(delivering(others=(before,)))) == "Replayed"


@pytest.mark.parametrize("cause", ["ModelsClaimFull", "ModelsClaimUnusable", "StoreUnreachable"])
def test_a_claim_that_fails_is_waited_for_and_is_the_reason_in_the_end(cause: str) -> None:
    waiting = delivering(status=accepted(courier={"reason": cause}))
    assert reason(plan(waiting)) == cause
    late = dataclasses.replace(waiting, now=NOW + timedelta(seconds=ASSIGNMENT.wait_seconds + 60))
    assert holds(plan(late).status, "Failed").reason == cause


def test_a_delivery_that_takes_too_long_fails() -> None:
    late = delivering(status=accepted(), now=NOW + timedelta(seconds=ASSIGNMENT.wait_seconds + 60))
    assert holds(plan(late).status, "Failed").reason == "DeliveryDeadline"


@pytest.mark.parametrize(
    "cause", ["CardDiffers", "ModelNameTaken", "ModelVersionBackwards", "ModelVersionDiffers", "NoModelsClaim"]
)
def test_a_delivery_fails_with_the_reason_of_the_couriers_refusal(cause: str) -> None:
    assert holds(plan(delivering(status=accepted(courier={"reason": cause}))).status, "Failed").reason == cause


def test_a_model_on_the_claim_completes_the_task_and_the_hub_hears_of_no_update() -> None:
    done = delivering(status=accepted(courier={"delivery": "Done"}))
    planned = plan(done)
    assert (holds(planned.status, "Complete").status, holds(planned.status, "Complete").reason) == ("True", "Delivered")
    at_hub = hub_status(done)
    assert holds(at_hub, "Complete").status == "True"
    assert (at_hub.update, at_hub.upload) == (None, None)


def test_a_delivery_keeps_no_task_from_its_place_to_train() -> None:
    older = a_task("before-1a2b3c4d-a1", envelope=HUB.sign(DELIVERY), status=accepted(), created="2026-11-24T11:00:00Z")
    task = a_task(status=accepted(courier={"input": "Ready"}))
    assert reason(plan(seen(task, others=(older,)))) != "Queued"
