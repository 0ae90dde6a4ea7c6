"""What a person reads who types an object as for kubectl, or names the wrong namespace."""

from __future__ import annotations

import argparse
from typing import Any, cast

import pytest

from wardround import kubectl
from wardround.cli.cluster import Cluster
from wardround.cli.commands import approvals
from wardround.cli.commands.explain import run_explain
from wardround.cli.commands.hospitals import run_approve
from wardround.cli.errors import ForbiddenError, MissingError


class Empty:
    """A cluster without objects."""

    default_namespace = "wardround-site"
    server = "https://site.example"

    def get(self, kind: str, name: str, namespace: str = "") -> Any:
        return {} if kind == "Namespace" else None

    def list(self, kind: str, namespace: str = "", **options: Any) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["explain", "fm", "nu-one"], ". Write fm/nu-one\n"),
        (["results", "FederatedRound", "r1", "-n", "fed"], ". Write FederatedRound/r1\n"),
        (["approve", "sitetask", "t1"], ". Write sitetask/t1\n"),
        (["explain", "fm/nu-one", "more"], "arguments: more\n"),
        (["explain", "fm", "--wide"], "arguments: --wide\n"),
        (["explain", "pods", "p1"], "arguments: p1\n"),
    ],
)
def test_kind_and_name_apart_are_refused_with_the_right_spelling(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        kubectl.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(advice)


@pytest.mark.parametrize(("namespace", "hint"), [("other", True), ("site-a", False), (None, False)])
def test_a_participant_in_another_namespace_says_where_participants_lie(namespace: str | None, hint: bool) -> None:
    options = argparse.Namespace(target="participant/site-a", namespace=namespace)
    with pytest.raises(MissingError) as missing:
        run_explain(cast(Cluster, Empty()), options)
    assert (
        "A Participant lies in the namespace of its own name: leave out -n, or give -n site-a." in str(missing.value)
    ) == hint


class Bare(Empty):
    """A cluster that has no namespace. `forbidden`: whether the person may not read namespaces."""

    def __init__(self, forbidden: bool) -> None:
        self.forbidden = forbidden

    def get(self, kind: str, name: str, namespace: str = "") -> None:
        if kind == "Namespace" and self.forbidden:
            raise ForbiddenError("You may not read Namespace.")


@pytest.mark.parametrize("forbidden", [False, True])
def test_a_misspelt_namespace_is_named(forbidden: bool) -> None:
    options = argparse.Namespace(target="federatedmodel/heart", namespace="nosuch")
    with pytest.raises(MissingError) as missing:
        run_explain(cast(Cluster, Bare(forbidden)), options)
    absent = "because https://site.example has no namespace nosuch. To see the namespaces that exist: kubectl get names"
    assert (absent in str(missing.value)) != forbidden


class Hospital(Empty):
    """Holds one Approval."""

    def __init__(self, verdict: str) -> None:
        self.approval = {"spec": {"verdict": verdict}}

    def get(self, kind: str, name: str, namespace: str = "") -> Any:
        return self.approval

    def user(self) -> str:
        return "carla"

    def patch(self, kind: str, name: str, namespace: str, change: dict[str, Any]) -> None:
        self.approval["spec"] |= change["spec"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("Approve", "Tasks that need this approval and have not ended fail, and the site operator deletes their Jobs."),
        ("Deny", "The site may accept new tasks of the model again. Tasks that it has refused stay refused."),
    ],
)
def test_withdraw_says_what_becomes_of_tasks(verdict: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    site = Hospital(verdict)
    options = kubectl.parser().parse_args(["withdraw", "approval/a"])
    assert approvals.run_withdraw(cast(Cluster, site), options) == 0
    assert site.approval["spec"]["withdrawnBy"] == "carla"
    assert words in capsys.readouterr().err


class WithTask(Empty):
    """A hospital's cluster with the SiteTask t1. `rights`: what the person may do."""

    def __init__(self, *rights: str) -> None:
        self.rights = rights

    def get(self, kind: str, name: str, namespace: str = "") -> Any:
        if "participants" not in self.rights and kind == "Participant":
            raise ForbiddenError("You may not read Participant.")
        known = (kind, name, namespace) == ("SiteTask", "t1", "wardround-site")
        return {"metadata": {"name": "t1"}} if known else super().get(kind, name, namespace)

    def list(self, kind: str, namespace: str | None = "", **options: Any) -> list[dict[str, Any]]:
        if "all namespaces" not in self.rights and not namespace:
            raise ForbiddenError("You may not list SiteTasks.")
        known = options["fields"] == "metadata.name=t1" and namespace in (None, "wardround-site")
        return [{"metadata": {"name": "t1", "namespace": "wardround-site"}}] if known else []


@pytest.mark.parametrize("rights", [(), ("all namespaces",), ("participants",), ("participants", "all namespaces")])
def test_a_task_that_is_approved_by_its_name_alone_is_recognised(rights: tuple[str, ...]) -> None:
    """Nobody advises to enrol a hospital of that name."""
    options = kubectl.parser().parse_args(["approve", "t1"])
    with pytest.raises(MissingError) as missing:
        run_approve(cast(Cluster, WithTask(*rights)), options)
    assert str(missing.value) == (
        "t1 is no hospital, but a task: there is a SiteTask t1 in wardround-site. To approve the task: kubectl "
        "wardround approve sitetask/t1 -n wardround-site"
    )


def test_a_name_that_neither_a_hospital_nor_a_task_has_may_be_one_of_both() -> None:
    options = kubectl.parser().parse_args(["approve", "t2"])
    with pytest.raises(MissingError) as missing:
        run_approve(cast(Cluster, WithTask("participants")), options)
    text = str(missing.value)
    assert "neither a Participant t2 nor, in namespace wardround-site, a SiteTask t2." in text
    assert "kubectl get participants -A" in text
    assert "kubectl get sitetasks -n wardround-site" in text
    assert "enrol" not in text
    with pytest.raises(ForbiddenError):
        run_approve(cast(Cluster, WithTask()), options)


def test_a_hospital_that_is_named_as_one_is_no_task() -> None:
    options = kubectl.parser().parse_args(["approve", "participant/t1"])
    with pytest.raises(MissingError, match=r"There is no Participant t1 on .* kubectl get participants -A\.$"):
        run_approve(cast(Cluster, WithTask("participants")), options)
